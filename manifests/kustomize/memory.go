package kustomize

import (
	"io/fs"
	"path"
	"path/filepath"

	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// memory is a file system that holds what a plan gives to kustomize, below "/". Nothing can be written to it. Kustomize's own file
// system in memory does not take all names.
type memory struct {
	files map[string][]byte
	dirs  map[string]bool
}

var _ filesys.FileSystem = memory{}

func newMemory(files map[string][]byte) memory {
	m := memory{files: make(map[string][]byte, len(files)), dirs: map[string]bool{"/": true}}
	for name, content := range files {
		name = path.Join("/", name)
		m.files[name] = content
		for dir := path.Dir(name); !m.dirs[dir]; dir = path.Dir(dir) {
			m.dirs[dir] = true
		}
	}
	return m
}

// CleanedAbs parts a name into the directory and the file; the file is empty for a directory.
func (m memory) CleanedAbs(name string) (dir filesys.ConfirmedDir, file string, err error) {
	name = path.Join("/", name)
	switch _, isFile := m.files[name]; {
	case m.dirs[name]:
		return filesys.ConfirmedDir(name), "", nil
	case isFile:
		return filesys.ConfirmedDir(path.Dir(name)), path.Base(name), nil
	}
	return "", "", &fs.PathError{Op: "find", Path: name, Err: fs.ErrNotExist}
}

// ReadFile returns a file's content.
func (m memory) ReadFile(name string) ([]byte, error) {
	content, ok := m.files[path.Join("/", name)]
	if !ok {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrNotExist}
	}
	return content, nil
}

// IsDir reports whether a name is a directory's.
func (m memory) IsDir(name string) bool { return m.dirs[path.Join("/", name)] }

// Exists reports whether there is a file or directory of that name.
func (m memory) Exists(name string) bool {
	_, _, err := m.CleanedAbs(name)
	return err == nil
}

// The rest of the interface is not needed to build, and is refused.

func (memory) Create(name string) (filesys.File, error)    { return nil, denied("create", name) }
func (memory) Mkdir(name string) error                     { return denied("create", name) }
func (memory) MkdirAll(name string) error                  { return denied("create", name) }
func (memory) RemoveAll(name string) error                 { return denied("remove", name) }
func (memory) Open(name string) (filesys.File, error)      { return nil, denied("open", name) }
func (memory) ReadDir(name string) ([]string, error)       { return nil, denied("list", name) }
func (memory) Glob(pattern string) ([]string, error)       { return nil, denied("list", pattern) }
func (memory) WriteFile(name string, _ []byte) error       { return denied("write", name) }
func (memory) Walk(name string, _ filepath.WalkFunc) error { return denied("walk", name) }

func denied(doing, name string) error {
	return &fs.PathError{Op: doing, Path: name, Err: fs.ErrPermission}
}
