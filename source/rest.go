package source

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
)

// rest is what a commit holds outside of a Tree's path. A directory is read when something in it is asked for by name, and is kept
// then. It is safe for concurrent use.
type rest struct {
	store *store
	root  plumbing.Hash // the commit's root tree
	limit int           // on the entries of all directories read

	mu      sync.Mutex
	bring   func(wants ...plumbing.Hash) error // brings what the store does not have; nil where it has everything
	dirs    map[string]outside                 // by path, "." for the root
	entries int
}

// outside is one directory of the rest.
type outside struct {
	nodes   []node            // sorted by name
	refused map[string]string // by name, with the reason
}

// refusedError is why an entry is not given out: what a walk says of such an entry inside the path.
type refusedError struct{ name, reason string }

func (e *refusedError) Error() string { return printable(e.name) + " " + e.reason }

// Is makes it fs.ErrInvalid: the entry is there, and is neither a file nor a directory.
func (e *refusedError) Is(target error) bool { return target == fs.ErrInvalid }

// find follows a name down from the root. An error is fs.ErrNotExist, a *refusedError, or about the limit or the store.
func (r *rest) find(name string) (node, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := node{name: ".", hash: r.root, dir: true}
	parent := "."
	var dir outside
	for element := range strings.SplitSeq(name, "/") {
		if !n.dir {
			return node{}, fs.ErrNotExist
		}
		var err error
		if dir, err = r.read(parent, n.hash); err != nil {
			return node{}, err
		}
		here := path.Join(parent, element)
		if reason := dir.refused[element]; reason != "" {
			return node{}, &refusedError{here, reason}
		}
		found := false
		if n, found = search(dir.nodes, element); !found {
			return node{}, fs.ErrNotExist
		}
		parent = here
	}
	if n.dir { // so that it can be listed
		var err error
		if dir, err = r.read(name, n.hash); err != nil {
			return node{}, err
		}
	}
	return n, r.need(dir.files()...)
}

// files returns the blobs of a directory's own files.
func (d outside) files() (blobs []plumbing.Hash) {
	for _, n := range d.nodes {
		if !n.dir {
			blobs = append(blobs, n.hash)
		}
	}
	return blobs
}

// need brings objects that are not there. A directory's files are mostly wanted together, and each request takes a while.
func (r *rest) need(wants ...plumbing.Hash) error {
	if r.bring == nil {
		return nil
	}
	wants = slices.DeleteFunc(wants, r.store.has)
	if len(wants) == 0 {
		return nil
	}
	return r.bring(wants...)
}

// reach lets what the store lacks be brought until ctx ends.
func (r *rest) reach(ctx context.Context, repository *Repository) {
	if !r.store.partial {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bring = func(wants ...plumbing.Hash) error { return repository.later(ctx, r.store, commitsOnly, wants...) }
}

// listed returns what is in a directory that find has found.
func (r *rest) listed(dir string) []node {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dirs[dir].nodes
}

// read returns a directory, from memory when it was read before.
func (r *rest) read(name string, tree plumbing.Hash) (outside, error) {
	if known, ok := r.dirs[name]; ok {
		return known, nil
	}
	if err := r.need(tree); err != nil {
		return outside{}, err
	}
	entries, err := r.store.entries(tree)
	if err != nil {
		return outside{}, err
	}
	if r.entries += len(entries); r.entries > r.limit {
		return outside{}, fmt.Errorf("the directories that are read outside of the path hold more than %d files and directories", r.limit)
	}
	dir := outside{refused: map[string]string{}}
	for _, entry := range entries {
		if reason := refuse(entry); reason != "" {
			dir.refused[entry.Name] = reason
			continue
		}
		dir.nodes = append(dir.nodes, node{name: entry.Name, hash: entry.Hash, dir: entry.Mode == filemode.Dir})
	}
	slices.SortFunc(dir.nodes, func(a, b node) int { return cmp.Compare(a.name, b.name) })
	for i := range max(len(dir.nodes)-1, 0) {
		if name := dir.nodes[i].name; name == dir.nodes[i+1].name {
			dir.refused[name] = "appears twice"
		}
	}
	r.dirs[name] = dir
	return dir, nil
}
