package source

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"github.com/go-git/go-git/v5/storage/filesystem/dotgit"
)

// Local is a repository on this machine's disk: bare, with a work tree, or a linked work tree. It is only read, without a git
// program, hooks or a network; the work tree is not looked at.
type Local struct {
	dir   string
	store *store // over the repository's own objects: it must never be removed
}

// FindLocal returns the repository that a path leads into, and the rest of the path inside it: the directory itself when it is
// bare or has a .git, or else the nearest one above it. The path need not exist: its end may be known to some commits only.
func FindLocal(name string) (dir, inside string, found bool) {
	name, err := filepath.Abs(name)
	if err != nil {
		return "", "", false
	}
	for dir = name; ; dir = filepath.Dir(dir) {
		if _, err := gitDir(dir); err == nil {
			inside, err := filepath.Rel(dir, name)
			return dir, filepath.ToSlash(inside), err == nil
		}
		if dir == filepath.Dir(dir) {
			return "", "", false
		}
	}
}

// OpenLocal opens the repository that is at a directory, not above it. Its errors are always *Error.
func OpenLocal(dir string) (*Local, error) {
	l := &Local{dir: dir}
	own, err := gitDir(dir)
	if err != nil {
		return nil, l.failed(fail(RepositoryNotFound, "name a bare repository, or a directory with a .git", "it is no Git repository"))
	}
	common := own
	if text, err := os.ReadFile(filepath.Join(own, "commondir")); err == nil { // a linked work tree
		common = resolvePath(own, strings.TrimSpace(string(text)))
	}
	var files billy.Filesystem = dotgit.NewRepositoryFilesystem(osfs.New(own), osfs.New(common))
	storage := filesystem.NewStorageWithOptions(files, cache.NewObjectLRU(objectCacheBytes),
		filesystem.Options{LargeObjectThreshold: maxObjectBytes, AlternatesFS: osfs.New(filepath.VolumeName(dir) + string(filepath.Separator))})
	if failure := understood(storage); failure != nil {
		return nil, l.failed(failure)
	}
	_, err = os.Stat(filepath.Join(common, "objects", "info", "alternates"))
	l.store = &store{dir: own, objects: storage, borrows: err == nil, limits: Limits{ObjectBytes: maxObjectBytes}}
	return l, nil
}

// understood checks that the repository keeps its refs and objects as go-git reads them. Other extensions change nothing for a
// reader.
func understood(storage *filesystem.Storage) *Error {
	config, err := storage.Config()
	if err != nil {
		return fail(StoreFailed, "git fsck says more", "its configuration cannot be read: %s", printable(err.Error()))
	}
	for _, option := range config.Raw.Section("extensions").Options {
		switch name := strings.ToLower(option.Key); {
		case name == "objectformat" && option.Value != "sha1", name == "refstorage" && option.Value != "files":
			return fail(UnsupportedURL, "check the commit out and name its files instead of a ref",
				"it has extensions.%s = %s, which is not supported", name, printable(option.Value))
		}
	}
	return nil
}

// gitDir returns where the repository of a directory keeps its files: the directory itself when it is bare.
func gitDir(dir string) (string, error) {
	dotGit := filepath.Join(dir, ".git")
	info, err := os.Stat(dotGit)
	switch {
	case err == nil && info.IsDir():
		return dotGit, nil
	case err == nil:
		text, err := os.ReadFile(dotGit)
		link, ok := strings.CutPrefix(strings.TrimSpace(string(text)), "gitdir: ")
		if err != nil || !ok {
			return "", fmt.Errorf("%s names no directory", dotGit)
		}
		return resolvePath(dir, link), nil
	}
	for _, name := range []string{"HEAD", "objects", "refs"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return "", err
		}
	}
	return dir, nil
}

func resolvePath(base, name string) string {
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(base, name)
}

// Close releases the repository's files. Nothing is removed. No Snapshot can be read after it.
func (l *Local) Close() error { return l.store.objects.Close() }

// Snapshot reads what is at the paths of a commit: directories and single files, the whole repository when none is given. The ref
// is a branch, a tag, a remote's branch, a full ref name, a commit (abbreviated to 4 digits or more) or HEAD. The same is refused
// inside the paths as by Fetch. Path of the Snapshot is "." always. Its errors are always *Error.
func (l *Local) Snapshot(ctx context.Context, ref string, paths ...string) (Snapshot, error) {
	snapshot, err := l.snapshot(ctx, ref, paths)
	if err != nil {
		return Snapshot{}, l.explain(ctx, err)
	}
	return snapshot, nil
}

// explain makes an *Error of whatever has kept a commit from being read.
func (l *Local) explain(ctx context.Context, err error) *Error {
	failure, known := errors.AsType[*Error](err)
	switch {
	case known:
	case ctx.Err() != nil:
		failure = fail(Interrupted, "", "reading it was interrupted")
		failure.Err = ctx.Err()
	case errors.Is(err, plumbing.ErrObjectNotFound):
		failure = fail(StoreFailed, "fetch what is missing (git fsck names it), or clone it again without --depth and --filter",
			"it lacks objects of the commit, as a shallow or partial clone does: %s", printable(err.Error()))
	default:
		failure = fail(StoreFailed, "git fsck says more", "cannot %s", printable(err.Error()))
		failure.Err = err
	}
	return l.failed(failure)
}

// failed fills in what every Error of a local repository says.
func (l *Local) failed(e *Error) *Error {
	e.URL, e.doing = printable(l.dir), "read"
	return e
}

func (l *Local) snapshot(ctx context.Context, ref string, paths []string) (Snapshot, error) {
	hash, name, err := l.resolve(ref)
	if err != nil {
		return Snapshot{}, err
	}
	return l.at(ctx, target{want: hash, revision: name}, paths)
}

// at reads what is at the paths of a commit.
func (l *Local) at(ctx context.Context, t target, paths []string) (Snapshot, error) {
	commit, root, err := l.store.peel(t.want)
	if err != nil {
		return Snapshot{}, err
	}
	if len(paths) == 0 {
		paths = []string{"."}
	}
	w := &walk{store: l.store, limit: 250_000, dirs: map[string][]node{}}
	for _, at := range paths {
		clean, failure := cleanPath(at)
		if failure != nil {
			return Snapshot{}, failure
		}
		if err := w.add(ctx, root, clean); err != nil {
			return Snapshot{}, err
		}
	}
	id := Commit(commit.String())
	switch {
	case len(w.refused) > 0:
		slices.Sort(w.refused) // overlapping paths name an entry twice
		return Snapshot{}, fail(UnsupportedEntry, "put plain files in their place, or name paths without them",
			"commit %s holds what cannot be read safely: %s", id.Short(), strings.Join(slices.Compact(w.refused), ", "))
	case w.files == 0:
		return Snapshot{}, fail(EmptyPath, "add manifests there, or name another path",
			"commit %s holds no file at %s", id.Short(), enumerate(paths))
	}
	return Snapshot{
		Commit: id, Revision: t.revisionAt(commit), Path: ".",
		Tree: &Tree{store: l.store, dirs: w.dirs, rest: &rest{store: l.store, root: root, limit: w.limit, dirs: map[string]outside{}}},
	}, nil
}

// add lists one path beside those that are listed already: a directory and all below it, or a single file.
func (w *walk) add(ctx context.Context, root plumbing.Hash, name string) error {
	if name == "." {
		return w.list(ctx, root, name)
	}
	dir, base := path.Split(name)
	dir = path.Clean(dir)
	above, err := w.descend(root, dir)
	if err != nil {
		return err
	}
	entries, err := w.store.entries(above)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.Name != base || entry.Mode == filemode.Dir {
			continue
		}
		if reason := refuse(entry); reason != "" {
			return fail(UnsupportedEntry, "name the file or directory that is meant", "%s %s", printable(name), reason)
		}
		w.lead(dir, node{name: base, hash: entry.Hash})
		return w.visit(ctx, name, node{name: base, hash: entry.Hash})
	}
	tree, err := w.descend(root, name)
	if err != nil {
		return err
	}
	w.lead(dir, node{name: base, dir: true})
	return w.list(ctx, tree, name)
}

// lead makes a node, and the directories that lead to it, known.
func (w *walk) lead(dir string, n node) {
	at, found := slices.BinarySearchFunc(w.dirs[dir], n.name, func(n node, name string) int { return cmp.Compare(n.name, name) })
	if !found {
		w.dirs[dir] = slices.Insert(w.dirs[dir], at, n)
	}
	if dir != "." {
		w.lead(path.Dir(dir), node{name: path.Base(dir), dir: true})
	}
}
