package kustomize

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path"
	"strings"
)

// What is at a name of the tree.
type kind int

const (
	absent kind = iota
	file
	directory
	refused // there, and neither a file nor a directory: a link, a submodule, an odd name
)

// Reads is what a scan looked at: by name the hash of a file that was read, or a mark. It holds everything that the outcome depends on.
type Reads map[string]string

// The marks. No hash has a blank in it.
const (
	readAbsent    = "is absent"
	readDirectory = "is a directory"
	readFile      = "is a file" // that was not read
	readRefused   = "is refused"
)

func marked(hash string) bool { return strings.HasPrefix(hash, "is ") }

// hasher is an fs.FS that knows a hash of each file's content without reading it, as a Git tree does.
type hasher interface {
	Hash(name string) (string, error)
}

// Unchanged reports whether everything is as it was read. It reads no file, and is always false for a tree without hashes.
func (r Reads) Unchanged(tree fs.FS) bool {
	h, ok := tree.(hasher)
	if !ok {
		return false
	}
	for name, was := range r {
		if !marked(was) {
			if hash, err := h.Hash(name); err != nil || hash != was {
				return false
			}
			continue
		}
		is := readRefused // which is looked at again, always
		switch info, err := fs.Lstat(tree, name); {
		case errors.Is(err, fs.ErrNotExist):
			is = readAbsent
		case err != nil:
		case info.IsDir():
			is = readDirectory
		case info.Mode().IsRegular():
			is = readFile
		}
		if is != was || is == readRefused {
			return false
		}
	}
	return true
}

// Files returns the names of the files that were read, in no order.
func (r Reads) Files() iter.Seq[string] {
	return func(yield func(string) bool) {
		for name, was := range r {
			if !marked(was) && !yield(name) {
				return
			}
		}
	}
}

// files reads a tree by name, and remembers what it was asked for.
type files struct {
	ctx   context.Context
	tree  fs.FS
	limit int64 // bytes of one file
	reads Reads
	kinds map[string]kind
	bytes int64 // of all files read
}

// stat tells what is at a name. No link on the way is followed.
func (f *files) stat(name string) (kind, error) {
	if k, known := f.kinds[name]; known {
		return k, nil
	}
	if parent := path.Dir(name); parent != name && parent != "." {
		switch above, err := f.stat(parent); {
		case err != nil:
			return absent, err
		case above == refused:
			return refused, nil
		case above != directory:
			return absent, nil
		}
	}
	info, err := fs.Lstat(f.tree, name)
	k, mark := refused, readRefused
	switch {
	case errors.Is(err, fs.ErrNotExist):
		k, mark = absent, readAbsent
	case errors.Is(err, fs.ErrInvalid): // the tree's own refusal
	case err != nil:
		return absent, fmt.Errorf("cannot look at %s: %w", name, err)
	case info.IsDir():
		k, mark = directory, readDirectory
	case info.Mode().IsRegular():
		k, mark = file, readFile
	}
	f.kinds[name], f.reads[name] = k, mark
	return k, nil
}

// read returns a file's content, or its first limit+1 bytes.
func (f *files) read(name string) (data []byte, err error) {
	if err := f.ctx.Err(); err != nil {
		return nil, err
	}
	f.reads[name] = ""
	if h, ok := f.tree.(hasher); ok {
		if f.reads[name], err = h.Hash(name); err != nil {
			return nil, fmt.Errorf("cannot read %s: %w", name, err)
		}
	}
	opened, err := f.tree.Open(name)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", name, err)
	}
	defer func() { err = cmp.Or(err, opened.Close()) }()
	data, err = io.ReadAll(io.LimitReader(opened, f.limit+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", name, err)
	}
	f.bytes += int64(len(data))
	return data, nil
}

// within reports whether name is dir or below it.
func within(name, dir string) bool {
	return dir == "." || name == dir || strings.HasPrefix(name, dir+"/")
}
