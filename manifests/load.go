package manifests

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
)

// Loader turns trees into Sets. It remembers what the files of the last tree said, so that only what changed is parsed again.
// It is not safe for concurrent use.
type Loader struct {
	options Options
	memo    map[string]memo // by path
}

// memo is what a file said when it had that hash.
type memo struct {
	hash string
	file *parsed
}

// NewLoader returns a Loader that remembers nothing yet.
func NewLoader(o Options) *Loader {
	return &Loader{options: o.withDefaults(), memo: map[string]memo{}}
}

// hasher is an fs.FS that knows a hash of each file's content without reading it, as a Git tree does.
type hasher interface {
	Hash(name string) (string, error)
}

// Load reads every manifest below the root of tree. Whatever is wrong with the files is in the Set's Problems; the error says that
// the tree could not be read whole, and then there is no Set.
func (l *Loader) Load(ctx context.Context, tree fs.FS, target Target) (*Set, error) {
	found, err := list(tree)
	if err != nil {
		return nil, fmt.Errorf("cannot list manifests: %w", err)
	}
	fresh := make(map[string]memo, len(found.files))
	a := newAssembly(tree, target)
	a.set.Skipped, a.problems = found.skipped, found.problems
	var size int64
	var documents int
	for _, name := range found.files {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		m, err := l.read(tree, name)
		if err != nil {
			return nil, fmt.Errorf("cannot read manifest %s: %w", name, err)
		}
		fresh[name] = m
		size, documents = size+m.file.bytes, documents+m.file.documents
		if over := l.overLimit(name, size, documents); over != nil {
			a.problems = append(a.problems, *over)
			break
		}
		a.add(m.file)
	}
	l.memo = fresh
	a.set.Files = len(fresh)
	return a.finish(), nil
}

// overLimit returns the problem of a tree that has grown too large with the file name.
func (l *Loader) overLimit(name string, size int64, documents int) *Problem {
	p := Problem{Origin: Origin{File: name}, Reason: ReasonLimit, Severity: Error}
	switch {
	case size > l.options.MaxTreeBytes:
		p.Message = fmt.Sprintf("the manifests up to this file are larger than %d bytes together", l.options.MaxTreeBytes)
	case documents > l.options.MaxDocuments:
		p.Message = fmt.Sprintf("the manifests up to this file hold more than %d objects", l.options.MaxDocuments)
	default:
		return nil
	}
	p.Message += ": split the tree, list what is no manifest in .kilterignore, or raise the limit"
	return &p
}

// read returns what a file says: remembered when its hash is the same.
func (l *Loader) read(tree fs.FS, name string) (memo, error) {
	var hash string
	if h, ok := tree.(hasher); ok {
		var err error
		if hash, err = h.Hash(name); err != nil {
			return memo{}, err
		}
		if m, ok := l.memo[name]; ok && m.hash == hash && hash != "" {
			return m, nil
		}
	}
	data, err := readUpTo(tree, name, l.options.MaxFileBytes+1)
	if err != nil {
		return memo{}, err
	}
	return memo{hash: hash, file: decode(name, data, l.options)}, nil
}

// readUpTo reads a file, or its first limit bytes when it is larger.
func readUpTo(tree fs.FS, name string, limit int64) (data []byte, err error) {
	file, err := tree.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = cmp.Or(err, file.Close()) }()
	return io.ReadAll(io.LimitReader(file, limit))
}
