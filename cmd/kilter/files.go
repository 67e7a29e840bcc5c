package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"kilter.dev/kilter/source"
)

// files is what a user names on the command line, as one tree. Its root is the nearest directory that holds it all and whatever
// kustomizations may reach from it: the top of the Git work tree, beyond which the loop sees nothing either, or without one the
// file system's root.
//
// Symbolic links are followed when the user names them; inside the tree they are refused, as they are in a commit. Standard
// input and pipes are read once, when they are named.
type files struct {
	cwd     string // absolute and without symbolic links, as is root
	root    string
	given   []givenPath
	streams map[string][]byte // by name in the tree
}

// givenPath is one argument.
type givenPath struct {
	name  string // in the tree
	shown string // as the user knows it
}

// A stream's name in the tree begins with a character that no file's name can hold.
const streamPrefix = "\x00"

// standardInput is what the argument "-" is called in messages.
const standardInput = "stdin"

var errSymlink = errors.New("a symbolic link, which is refused as it is in a commit: name the file that it points to")

// openFiles finds what the arguments name. Of standard input and of pipes it reads little more than limit bytes.
func openFiles(ctx context.Context, args []string, stdin io.Reader, limit int64) (*files, error) {
	cwd, err := os.Getwd()
	if err == nil {
		cwd, err = filepath.EvalSymlinks(cwd)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot find the current directory: %w", err)
	}
	f := &files{cwd: cwd, streams: map[string][]byte{}}
	places := make([]string, len(args)) // where the arguments really are; empty for streams
	for i, arg := range args {
		info, err := os.Stat(arg)
		switch {
		case arg == "-":
			err = f.stream(ctx, standardInput, limit, func() (io.Reader, error) { return stdin, nil })
		case err != nil:
		case !info.IsDir() && !info.Mode().IsRegular():
			err = f.stream(ctx, arg, limit, func() (io.Reader, error) { return os.Open(arg) })
		default:
			places[i], err = f.find(arg)
		}
		if err != nil {
			return nil, unreadable(arg, err)
		}
	}
	if f.root == "" {
		f.root = cwd // nothing but streams
	}
	for i, place := range places {
		if place == "" {
			continue
		}
		name, err := filepath.Rel(f.root, place)
		if err != nil {
			return nil, err
		}
		f.given[i].name = filepath.ToSlash(name)
	}
	return f, nil
}

// unreadable says that something cannot be read, by the name that the user gave it.
func unreadable(name string, err error) error {
	if known, ok := errors.AsType[*fs.PathError](err); ok {
		err = known.Err
	}
	return fmt.Errorf("cannot read %s: %w", name, err)
}

// find adds a file or directory, widens the root to hold it, and returns where it really is.
func (f *files) find(arg string) (string, error) {
	name, err := filepath.Abs(arg)
	if err == nil {
		name, err = filepath.EvalSymlinks(name)
	}
	if err != nil {
		return "", err
	}
	world := workTree(name)
	if world == "" {
		world = filepath.VolumeName(name) + string(filepath.Separator)
	}
	f.root = cmp.Or(f.root, world)
	for !within(f.root, world) && f.root != filepath.Dir(f.root) {
		f.root = filepath.Dir(f.root)
	}
	f.given = append(f.given, givenPath{shown: filepath.ToSlash(filepath.Clean(arg))})
	return name, nil
}

// workTree returns the nearest directory, from name upwards, that has a .git; empty when none has.
func workTree(name string) string {
	for {
		if _, err := os.Lstat(filepath.Join(name, ".git")); err == nil {
			return name
		}
		if name == filepath.Dir(name) {
			return ""
		}
		name = filepath.Dir(name)
	}
}

func within(dir, name string) bool {
	relative, err := filepath.Rel(dir, name)
	return err == nil && relative != ".." && !strings.HasPrefix(relative, ".."+string(filepath.Separator))
}

// stream adds what can be read only once. A byte more than the limit tells that there is more.
func (f *files) stream(ctx context.Context, shown string, limit int64, open func() (io.Reader, error)) error {
	name := streamPrefix + shown
	f.given = append(f.given, givenPath{name: name, shown: shown})
	if _, read := f.streams[name]; read {
		return nil
	}
	type result struct {
		data []byte
		err  error
	}
	done := make(chan result, 1)
	go func() { // nothing interrupts a read of a terminal or pipe: when the user does, the program ends and the goroutine with it
		from, err := open()
		if err != nil {
			done <- result{err: err}
			return
		}
		data, err := io.ReadAll(io.LimitReader(from, limit+1))
		done <- result{data, err}
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case r := <-done:
		f.streams[name] = r.data
		return r.err
	}
}

// paths returns what to load.
func (f *files) paths() []string {
	names := make([]string, len(f.given))
	for i, g := range f.given {
		names[i] = g.name
	}
	return names
}

// name returns what the user calls a file of the tree: as given, or below a directory as given; what no argument leads to, such
// as a kustomization's base, is named from the current directory.
func (f *files) name(file string) string {
	if g, rest, found := f.givenFor(file); found {
		return path.Join(g.shown, rest)
	}
	if relative, err := filepath.Rel(f.cwd, f.path(file)); err == nil {
		return filepath.ToSlash(relative)
	}
	return filepath.ToSlash(f.path(file))
}

// nameInRepository returns a file's name from the top of its Git work tree, as code review knows it, whatever directory the
// user is in.
func (f *files) nameInRepository(file string) string {
	if _, stream := f.streams[file]; stream {
		return f.name(file)
	}
	place := f.path(file)
	relative, err := filepath.Rel(workTree(place), place) // an error without a work tree
	if err != nil {
		return f.name(file)
	}
	return filepath.ToSlash(relative)
}

// givenFor finds the argument that leads to a file, the nearest of several, and the rest of the way.
func (f *files) givenFor(file string) (nearest givenPath, rest string, found bool) {
	for _, g := range f.given {
		left, below := strings.CutPrefix(file, g.name+"/")
		switch {
		case g.name == file:
			left = ""
		case g.name == ".":
			left = file
		case !below:
			continue
		}
		if !found || len(g.name) > len(nearest.name) {
			nearest, rest, found = g, left, true
		}
	}
	return nearest, rest, found
}

// path returns where a file of the tree is on this machine.
func (f *files) path(name string) string { return filepath.Join(f.root, filepath.FromSlash(name)) }

// plain refuses names that lead through symbolic links.
func (f *files) plain(op, name string) error {
	if !fs.ValidPath(name) {
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	for at := name; at != "."; at = path.Dir(at) {
		info, err := os.Lstat(f.path(at))
		if err == nil && info.Mode()&fs.ModeSymlink != 0 {
			err = &fs.PathError{Op: op, Path: at, Err: errSymlink}
		}
		if err != nil {
			return f.shown(name, err)
		}
	}
	return nil
}

// shown makes an error name a file as the user does.
func (f *files) shown(name string, err error) error {
	if known, ok := errors.AsType[*fs.PathError](err); ok {
		return &fs.PathError{Op: known.Op, Path: f.name(name), Err: known.Err}
	}
	return err
}

// Open opens a file, directory or stream.
func (f *files) Open(name string) (fs.File, error) {
	if data, ok := f.streams[name]; ok {
		return &streamFile{Reader: bytes.NewReader(data), name: name}, nil
	}
	if err := f.plain("open", name); err != nil {
		return nil, err
	}
	file, err := os.Open(f.path(name))
	if err != nil {
		return nil, f.shown(name, err)
	}
	return file, nil
}

// ReadDir lists a directory in the order of names.
func (f *files) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := f.plain("readdir", name); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(f.path(name))
	if err != nil {
		return nil, f.shown(name, err)
	}
	return entries, nil
}

// streamFile is an open stream.
type streamFile struct {
	*bytes.Reader
	name string
}

func (s *streamFile) Stat() (fs.FileInfo, error) { return streamInfo{s}, nil }
func (s *streamFile) Close() error               { return nil }

type streamInfo struct{ of *streamFile }

func (i streamInfo) Name() string       { return i.of.name }
func (i streamInfo) Size() int64        { return i.of.Reader.Size() }
func (i streamInfo) Mode() fs.FileMode  { return 0o444 }
func (i streamInfo) ModTime() time.Time { return time.Time{} }
func (i streamInfo) IsDir() bool        { return false }
func (i streamInfo) Sys() any           { return nil }

var _ fs.ReadDirFS = (*files)(nil)

// isBare reports whether a directory is a bare repository, which holds no file that anybody wrote.
func isBare(dir string) bool {
	found, inside, ok := source.FindLocal(dir)
	return ok && inside == "." && workTree(found) != found
}
