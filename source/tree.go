package source

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

// Tree is the files below one path of one commit, under their names in the repository. It implements fs.FS, fs.ReadDirFS,
// fs.ReadFileFS and fs.StatFS. It holds names and blob IDs; contents are read from the object store on demand. It never changes, and
// is safe for concurrent use.
//
// Of what is outside of the path, a directory above it lists only the way to the path. Everything else in the commit is there for who
// asks for it by name, as a kustomization does for its bases: it is looked up then, and was not checked before. A name that leads over
// a symbolic link, a submodule or anything else that is refused inside the path fails with an error that is fs.ErrInvalid.
//
// When a read fails because the store was damaged, the next Fetch starts afresh and returns a Tree that can be read.
type Tree struct {
	store *store
	dirs  map[string][]node // inside the path and on the way to it: by path, "." for the root; each sorted by name
	path  string
	rest  *rest
}

var (
	_ fs.ReadDirFS  = (*Tree)(nil)
	_ fs.ReadFileFS = (*Tree)(nil)
	_ fs.StatFS     = (*Tree)(nil)
)

// Open opens a file or directory.
func (t *Tree) Open(name string) (fs.File, error) {
	n, err := t.find("open", name)
	if err != nil {
		return nil, err
	}
	if n.dir {
		return &openDir{info: info{node: n}, entries: t.list(name)}, nil
	}
	object, err := t.store.object(n.hash)
	if long, ok := errors.AsType[*tooLongError](err); ok { // its beginning can be read, for who wants no more
		size, err := t.store.size(n.hash)
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: name, Err: err}
		}
		return openObject(info{node: n, size: size}, object, &fs.PathError{Op: "read", Path: name, Err: long})
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return openObject(info{node: n, size: object.Size()}, object, io.EOF)
}

// openObject opens what was read of an object; a read beyond it ends with an error.
func openObject(info info, object *plumbing.MemoryObject, end error) (fs.File, error) {
	reader, err := object.Reader()
	if err != nil {
		return nil, err
	}
	return &openFile{info: info, content: reader, end: end}, nil
}

// ReadFile reads one file whole.
func (t *Tree) ReadFile(name string) ([]byte, error) {
	n, err := t.find("read", name)
	if err != nil {
		return nil, err
	}
	if n.dir {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrInvalid}
	}
	object, err := t.store.object(n.hash)
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	reader, err := object.Reader()
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	defer func() { _ = reader.Close() }()
	return io.ReadAll(reader)
}

// ReadDir lists a directory in the order of names.
func (t *Tree) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := t.find("readdir", name)
	if err != nil {
		return nil, err
	}
	if !n.dir {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrInvalid}
	}
	return t.list(name), nil
}

// Stat describes a file or directory; a file's size is read from the store, its content is not.
func (t *Tree) Stat(name string) (fs.FileInfo, error) {
	n, err := t.find("stat", name)
	if err != nil {
		return nil, err
	}
	described, err := t.describe(n)
	if err != nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	return described, nil
}

// Hash returns the ID of a file's blob, which changes exactly when the content does. Nothing is read.
func (t *Tree) Hash(name string) (string, error) {
	n, err := t.find("hash", name)
	if err != nil {
		return "", err
	}
	if n.dir {
		return "", &fs.PathError{Op: "hash", Path: name, Err: fs.ErrInvalid}
	}
	return n.hash.String(), nil
}

// HashDir returns the ID of a directory's tree object, which changes exactly when anything below it does, or false where it is not known.
func (t *Tree) HashDir(name string) (string, bool) {
	n, err := t.find("hash", name)
	return n.hash.String(), err == nil && n.dir && n.hash != plumbing.ZeroHash
}

// find returns the node at a valid path, or an *fs.PathError.
func (t *Tree) find(op, name string) (node, error) {
	if !fs.ValidPath(name) {
		return node{}, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	n, found := t.lookup(name)
	if found {
		return n, nil
	}
	err := fs.ErrNotExist
	if !t.inside(name) {
		n, err = t.rest.find(name)
	}
	if err != nil {
		return node{}, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return n, nil
}

// inside reports whether a name is in the path, where everything is known.
func (t *Tree) inside(name string) bool { return t.path == "." || strings.HasPrefix(name, t.path+"/") }

// lookup finds what is inside the path or on the way to it.
func (t *Tree) lookup(name string) (node, bool) {
	if name == "." {
		return node{name: ".", dir: true}, true
	}
	return search(t.dirs[path.Dir(name)], path.Base(name))
}

// search finds a node in a sorted list.
func search(siblings []node, name string) (node, bool) {
	i, found := slices.BinarySearchFunc(siblings, name, func(n node, name string) int { return cmp.Compare(n.name, name) })
	if !found {
		return node{}, false
	}
	return siblings[i], true
}

// list returns the entries of a directory that find has found.
func (t *Tree) list(dir string) []fs.DirEntry {
	nodes, known := t.dirs[dir]
	if !known {
		nodes = t.rest.listed(dir)
	}
	entries := make([]fs.DirEntry, len(nodes))
	for i, n := range nodes {
		entries[i] = dirEntry{tree: t, node: n}
	}
	return entries
}

func (t *Tree) describe(n node) (info, error) {
	if n.dir || n.hash == plumbing.ZeroHash {
		return info{node: n}, nil
	}
	size, err := t.store.size(n.hash)
	return info{node: n, size: size}, err
}

// info describes a file or directory: everything is read-only and has no time.
type info struct {
	node node
	size int64
}

func (i info) Name() string       { return i.node.name }
func (i info) Size() int64        { return i.size }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return i.node.dir }
func (i info) Sys() any           { return nil }
func (i info) Mode() fs.FileMode {
	if i.node.dir {
		return fs.ModeDir | 0o555
	}
	return 0o444
}

type dirEntry struct {
	tree *Tree
	node node
}

func (e dirEntry) Name() string               { return e.node.name }
func (e dirEntry) IsDir() bool                { return e.node.dir }
func (e dirEntry) Type() fs.FileMode          { return info{node: e.node}.Mode().Type() }
func (e dirEntry) Info() (fs.FileInfo, error) { return e.tree.describe(e.node) }

type openFile struct {
	info    info
	content io.ReadCloser
	end     error // what a read ends with
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *openFile) Close() error               { return f.content.Close() }
func (f *openFile) Read(p []byte) (int, error) {
	n, err := f.content.Read(p)
	if errors.Is(err, io.EOF) {
		err = f.end
	}
	return n, err
}

type openDir struct {
	info    info
	entries []fs.DirEntry // what has not been returned yet
}

func (d *openDir) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *openDir) Close() error               { return nil }
func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.info.Name(), Err: fs.ErrInvalid}
}

func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if n > 0 && len(d.entries) == 0 {
		return nil, io.EOF
	}
	if n <= 0 || n > len(d.entries) {
		n = len(d.entries)
	}
	next := d.entries[:n]
	d.entries = d.entries[n:]
	return next, nil
}
