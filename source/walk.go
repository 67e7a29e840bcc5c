package source

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// walk lists a path of a commit, whole or not at all: it reads every tree object below the path and checks that every
// blob is there, without reading one.
//
// An *Error from it is about the commit. Any other error is about the store.
type walk struct {
	store  *store
	limit  int   // on files and directories
	before *Tree // blobs known to be in a store; nil when nothing is known

	submodules *submodules // what brings them; nil when they are refused
	remedy     string      // what else can be done about a submodule that is refused

	dirs    map[string][]node
	nodes   int
	files   int
	refused []string // what may not be inside the path, with the reason

	gitlinks bool // a submodule is among them
}

// node is a file or a directory.
type node struct {
	name string // its own name
	hash plumbing.Hash
	dir  bool
}

// maxRefused is how many refused entries are named before a walk gives up.
const maxRefused = 10

// read lists what is below the path of a commit's root tree.
func (w *walk) read(ctx context.Context, root plumbing.Hash, below string) (*Tree, error) {
	if w.before != nil && w.before.store != w.store {
		w.before = nil
	}
	top, err := w.descend(root, below)
	if err != nil {
		return nil, err
	}
	w.dirs = make(map[string][]node)
	for dir := below; dir != "."; dir = path.Dir(dir) {
		w.dirs[path.Dir(dir)] = []node{{name: path.Base(dir), dir: true}}
	}
	if err := w.list(ctx, top, below); err != nil {
		return nil, err
	}
	if !w.gitlinks {
		w.remedy = ""
	}
	switch {
	case len(w.refused) > 0:
		return nil, fail(UnsupportedEntry, "put plain files in their place, or move them out of the path"+w.remedy,
			"path %s holds what cannot be read safely: %s", printable(below), strings.Join(w.refused, ", "))
	case w.files == 0:
		return nil, fail(EmptyPath, "add manifests there, or name another path", "path %s holds no file", printable(below))
	}
	return &Tree{store: w.store, dirs: w.dirs, path: below, rest: &rest{
		store: w.store, root: root, limit: w.limit, dirs: map[string]outside{},
	}}, nil
}

// descend finds the tree object of a directory. Nothing beside the way to it is looked at.
func (w *walk) descend(tree plumbing.Hash, below string) (plumbing.Hash, error) {
	if below == "." {
		return tree, nil
	}
	parent := "."
	for name := range strings.SplitSeq(below, "/") {
		entries, err := w.store.entries(tree)
		if err != nil {
			return tree, err
		}
		here := path.Join(parent, name)
		i := slices.IndexFunc(entries, func(e object.TreeEntry) bool { return e.Name == name })
		if i < 0 {
			return tree, fail(PathNotFound, offer(parent, entries), "path %s not found", printable(here))
		}
		switch entries[i].Mode {
		case filemode.Dir:
		case filemode.Symlink:
			return tree, fail(UnsupportedEntry, "name the directory that it points to", "path %s is a symbolic link", printable(here))
		case filemode.Submodule:
			return tree, fail(UnsupportedEntry, "use the other repository directly", "path %s is a submodule", printable(here))
		default:
			return tree, fail(PathNotFound, "name the directory that it is in", "path %s is a file", printable(here))
		}
		tree, parent = entries[i].Hash, here
	}
	return tree, nil
}

// offer says which directories there are instead.
func offer(parent string, entries []object.TreeEntry) string {
	var names []string
	for _, entry := range entries {
		if entry.Mode == filemode.Dir {
			names = append(names, entry.Name)
		}
	}
	where := "the repository"
	if parent != "." {
		where = printable(parent)
	}
	if len(names) == 0 {
		return where + " has no directories"
	}
	return where + " has the directories " + enumerate(names)
}

// list records one directory and all below it.
func (w *walk) list(ctx context.Context, tree plumbing.Hash, dir string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	entries, err := w.store.entries(tree)
	if err != nil {
		return err
	}
	if w.nodes += len(entries); w.nodes > w.limit {
		return fail(TooLarge, "name a smaller path", "the path holds more than %d files and directories", w.limit)
	}
	nodes := make([]node, 0, len(entries))
	for _, entry := range entries {
		entry, reason, err := w.enter(ctx, dir, entry)
		if err != nil {
			return err
		}
		if reason != "" {
			w.refused = append(w.refused, printable(path.Join(dir, entry.Name))+" "+reason)
			if len(w.refused) == maxRefused {
				return nil
			}
			continue
		}
		nodes = append(nodes, node{name: entry.Name, hash: entry.Hash, dir: entry.Mode == filemode.Dir})
	}
	slices.SortFunc(nodes, func(a, b node) int { return cmp.Compare(a.name, b.name) })
	w.dirs[dir] = nodes
	for i, n := range nodes {
		if i > 0 && nodes[i-1].name == n.name {
			w.refused = append(w.refused, printable(path.Join(dir, n.name))+" appears twice")
		}
		if len(w.refused) >= maxRefused {
			return nil
		}
		if err := w.visit(ctx, path.Join(dir, n.name), n); err != nil {
			return err
		}
	}
	return nil
}

// enter says why an entry may not be inside the path, or puts a submodule's directory in its place.
func (w *walk) enter(ctx context.Context, dir string, entry object.TreeEntry) (_ object.TreeEntry, refused string, _ error) {
	if reason := refuse(entry); reason != "" && (entry.Mode != filemode.Submodule || w.submodules == nil) {
		w.gitlinks = w.gitlinks || entry.Mode == filemode.Submodule
		return entry, reason, nil
	} else if entry.Mode != filemode.Submodule {
		return entry, "", nil
	}
	inside := entry
	inside.Mode = filemode.Dir
	if reason := refuse(inside); reason != "" {
		return entry, reason, nil
	}
	tree, reason, err := w.submodules.tree(ctx, path.Join(dir, entry.Name), entry.Hash)
	inside.Hash = tree
	return inside, reason, err
}

// visit goes into a directory, and makes sure that a file's blob is in the store.
func (w *walk) visit(ctx context.Context, name string, n node) error {
	if n.dir {
		return w.list(ctx, n.hash, name)
	}
	w.files++
	if w.before != nil {
		if known, found := w.before.lookup(name); found && known.hash == n.hash {
			return nil
		}
	}
	if !w.store.has(n.hash) {
		return fmt.Errorf("blob %s of %s: %w", n.hash, printable(name), plumbing.ErrObjectNotFound)
	}
	return nil
}

// refuse says why an entry may not be inside the path; nothing when it may.
func refuse(entry object.TreeEntry) string {
	switch entry.Mode {
	case filemode.Dir, filemode.Regular, filemode.Deprecated, filemode.Executable:
	case filemode.Symlink:
		return "is a symbolic link"
	case filemode.Submodule:
		return "is a submodule"
	default:
		return "is of an unknown type"
	}
	name := entry.Name
	switch {
	case name == "" || name == "." || name == ".." || strings.ContainsAny(name, `/\`):
		return "has a name that leads elsewhere"
	case strings.EqualFold(name, ".git") || strings.EqualFold(name, "git~1"):
		return "has a name that belongs to Git"
	case !utf8.ValidString(name):
		return "has a name that is not UTF-8"
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "has a name with characters that cannot be seen"
	}
	return ""
}
