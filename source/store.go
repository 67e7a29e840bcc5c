package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// store is a directory of packs, laid out as a bare repository's objects are: no refs, no configuration, no work tree.
// Packs are only ever added, so that snapshots can be read while a fetch runs. Its methods are safe for concurrent use,
// but only one fetch at a time may write tip.
type store struct {
	dir    string
	limits Limits
	tip    plumbing.Hash // the newest commit whose tree is known to be complete

	mu      sync.Mutex // go-git's storage is not safe for concurrent use
	objects *filesystem.Storage
	packs   int
	cloned  int64 // the length of the first pack, in bytes
	added   int64 // the length of all others
	broken  bool  // an object could not be read: the directory was damaged or deleted
	removed bool
	partial bool // what is outside of the path may not be there
	borrows bool // objects may be in another repository, where go-git finds them only by reading them whole
}

const (
	storePrefix      = "kilter-objects-" // what the names of all stores begin with
	objectCacheBytes = 2 << 20           // the most that go-git keeps of objects already read, mostly bases of deltas
	growthBytes      = 64 << 20          // a store may always grow this much before it is started afresh
)

// storeError marks a failure of our own disk, as opposed to one of the server.
type storeError struct {
	doing string
	err   error
}

func (e *storeError) Error() string { return e.doing + ": " + e.err.Error() }
func (e *storeError) Unwrap() error { return e.err }

// removeStores deletes the stores that an earlier process left in dir.
func removeStores(dir string) error {
	if dir == "" {
		return nil
	}
	left, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &storeError{"look for old object stores", err}
	}
	for _, entry := range left {
		if entry.IsDir() && strings.HasPrefix(entry.Name(), storePrefix) {
			if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
				return &storeError{"remove an old object store", err}
			}
		}
	}
	return nil
}

// newStore makes an empty store in a directory of its own inside dir.
func newStore(dir string, limits Limits) (*store, error) {
	const doing = "make an object store"
	if dir == "" {
		dir = os.TempDir()
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, &storeError{doing, err}
	}
	dir, err := os.MkdirTemp(dir, storePrefix+"*")
	if err != nil {
		return nil, &storeError{doing, err}
	}
	s := &store{dir: dir, limits: limits}
	if err := os.MkdirAll(s.packDir(), 0o700); err != nil {
		return nil, errors.Join(&storeError{doing, err}, s.remove())
	}
	s.objects = filesystem.NewStorageWithOptions(osfs.New(dir, osfs.WithBoundOS()), cache.NewObjectLRU(objectCacheBytes),
		filesystem.Options{KeepDescriptors: true, LargeObjectThreshold: limits.ObjectBytes})
	return s, nil
}

func (s *store) packDir() string { return filepath.Join(s.dir, "objects", "pack") }

// remove deletes the store; nothing can be read from it afterwards. A nil store is removed already.
func (s *store) remove() error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removed = true
	if s.objects != nil {
		_ = s.objects.Close() // only read from: nothing can be lost
	}
	if err := os.RemoveAll(s.dir); err != nil {
		return &storeError{"remove an object store", err}
	}
	return nil
}

// sound reports whether the store exists and every read from it succeeded so far.
func (s *store) sound() bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.broken && !s.removed
}

// full reports whether starting afresh is better than adding another pack.
func (s *store) full() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.packs >= s.limits.Packs || s.added > s.cloned+growthBytes
}

// addPack writes a pack and its index. Every object in it is inflated and its ID computed, so that nothing but what the
// IDs say can be read later. When it fails the store is as it was.
func (s *store) addPack(ctx context.Context, pack io.Reader) (err error) {
	file, err := os.CreateTemp(s.packDir(), "incoming-*")
	if err != nil {
		return &storeError{"write a pack", err}
	}
	defer func() {
		_ = file.Close()
		if err != nil {
			_ = os.Remove(file.Name())
		}
	}()
	size, err := io.Copy(storeWriter{file}, pack)
	if err != nil {
		return err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return &storeError{"read a pack", err}
	}
	index, checksum, err := indexPack(ctx, file, s.limits)
	if err != nil {
		return err
	}
	name := filepath.Join(s.packDir(), "pack-"+checksum.String())
	if err := writeIndex(name+".idx", index); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), name+".pack"); err != nil {
		return &storeError{"write a pack", err}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.packs++; s.packs == 1 {
		s.cloned = size
	} else {
		s.added += size
	}
	s.objects.Reindex()
	return nil
}

func writeIndex(name string, writer *idxfile.Writer) error {
	index, err := writer.Index()
	if err != nil {
		return err
	}
	file, err := os.Create(name)
	if err != nil {
		return &storeError{"write a pack's index", err}
	}
	_, err = idxfile.NewEncoder(file).Encode(index)
	if err = errors.Join(err, file.Close()); err != nil {
		return &storeError{"write a pack's index", err}
	}
	return nil
}

// storeWriter marks what fails to be written as our own failure.
type storeWriter struct{ file *os.File }

func (w storeWriter) Write(p []byte) (int, error) {
	n, err := w.file.Write(p)
	if err != nil {
		err = &storeError{"write a pack", err}
	}
	return n, err
}

// interruptible is a file that can be read until the context ends, for readers that know no context.
type interruptible struct {
	ctx context.Context
	*os.File
}

func (f interruptible) Read(p []byte) (int, error) {
	if err := f.ctx.Err(); err != nil {
		return 0, err
	}
	return f.File.Read(p)
}

// access runs one read of go-git's storage. Any failure marks the store as broken, so that the next Fetch starts afresh.
func (s *store) access(read func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.removed {
		return fs.ErrClosed
	}
	err := read()
	if err != nil {
		s.broken = true
		err = &storeError{"read an object", err}
	}
	return err
}

// tooLongError is an object that is not read whole, because of Limits.ObjectBytes.
type tooLongError struct {
	hash  plumbing.Hash
	limit int64
}

func (e *tooLongError) Error() string { return fmt.Sprintf("it is larger than %d bytes", e.limit) }

// beginningBytes is how much of a file that is too long can be read: enough for whoever wants no long files to see that this is one.
const beginningBytes = 4 << 20

// object reads one object; of one that is longer than Limits.ObjectBytes only the beginning, beside a *tooLongError.
func (s *store) object(hash plumbing.Hash) (*plumbing.MemoryObject, error) {
	read := new(plumbing.MemoryObject)
	long := false
	err := s.access(func() error {
		encoded, err := s.objects.EncodedObject(plumbing.AnyObject, hash)
		if err != nil {
			return err
		}
		reader, err := encoded.Reader()
		if err != nil {
			return err
		}
		defer func() { _ = reader.Close() }()
		read.SetType(encoded.Type())
		limit := s.limits.ObjectBytes
		if long = encoded.Size() > limit; long {
			limit = min(limit, beginningBytes)
		}
		_, err = io.Copy(read, io.LimitReader(reader, limit))
		return err
	})
	if err == nil && long {
		err = &tooLongError{hash, s.limits.ObjectBytes}
	}
	return read, err
}

// size returns an object's length without reading it whole.
func (s *store) size(hash plumbing.Hash) (size int64, err error) {
	if s.borrows {
		whole, err := s.object(hash)
		if err != nil {
			return 0, err
		}
		return whole.Size(), nil
	}
	err = s.access(func() error {
		size, err = s.objects.EncodedObjectSize(hash)
		return err
	})
	return size, err
}

// has reports whether the object is there, which it may rightly not be.
func (s *store) has(hash plumbing.Hash) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.removed {
		return false
	}
	err := s.objects.HasEncodedObject(hash)
	if err != nil && s.borrows {
		_, err = s.objects.EncodedObject(plumbing.AnyObject, hash)
	}
	return err == nil
}

// entries returns what a tree object lists.
func (s *store) entries(hash plumbing.Hash) ([]object.TreeEntry, error) {
	encoded, err := s.object(hash)
	if err != nil {
		return nil, err
	}
	var tree object.Tree
	if err := tree.Decode(encoded); err != nil {
		return nil, fmt.Errorf("tree %s: %w", hash, err)
	}
	return tree.Entries, nil
}

// peel follows tags to a commit, and returns it and its tree.
func (s *store) peel(hash plumbing.Hash) (commit, tree plumbing.Hash, err error) {
	const nested = 10 // tags of tags beyond this are somebody's mistake
	for range nested {
		encoded, err := s.object(hash)
		if err != nil {
			return commit, tree, err
		}
		switch encoded.Type() {
		case plumbing.CommitObject:
			decoded := object.Commit{}
			if err := decoded.Decode(encoded); err != nil {
				return commit, tree, fmt.Errorf("commit %s: %w", hash, err)
			}
			return hash, decoded.TreeHash, nil
		case plumbing.TagObject:
			decoded := object.Tag{}
			if err := decoded.Decode(encoded); err != nil {
				return commit, tree, fmt.Errorf("tag %s: %w", hash, err)
			}
			hash = decoded.Target
		default:
			return commit, tree, fail(RefNotFound, "name a ref that does", "the ref points to a %s, not to a commit", encoded.Type())
		}
	}
	return commit, tree, fail(RefNotFound, "point the tag at a commit", "the ref leads through more than %d tags", nested)
}
