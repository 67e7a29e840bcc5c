package manifests

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"sync"
)

// Loader turns trees into Sets. It remembers what the files of the last tree said, so that only what changed is parsed again.
// It is not safe for concurrent use.
type Loader struct {
	options Options
	last    []memo           // of the last tree's files, in the order of their names
	plain   map[string]plain // its directories
	units   map[string]*unit // by directory
	memory  memory
}

// memo is what a file said when it had that hash; empty when the tree knows no hashes.
type memo struct {
	name  string
	hash  string
	bytes int64
	file  *parsed
	only  *manifest // what the file says, when that is one object and nothing else: most do, and each load asks all of them
}

func (m memo) documents() int {
	if m.only != nil {
		return 1
	}
	return m.file.documents
}

// NewLoader returns a Loader that remembers nothing yet.
func NewLoader(o Options) *Loader {
	return &Loader{options: o.withDefaults()}
}

// hasher is an fs.FS that knows a hash of each file's content without reading it, as a Git tree does.
type hasher interface {
	Hash(name string) (string, error)
}

// Load reads every manifest at the target's paths of tree. Whatever is wrong with the files is in the Set's Problems; the error
// says that the tree could not be read whole, and then there is no Set.
func (l *Loader) Load(ctx context.Context, tree fs.FS, target Target) (*Set, error) {
	paths := target.paths()
	found, err := list(tree, paths, l.plain)
	if err != nil {
		return nil, fmt.Errorf("cannot list manifests: %w", err)
	}
	files, read, err := l.read(ctx, tree, found.files)
	if err != nil {
		return nil, err
	}
	units, err := l.build(ctx, tree, found, target)
	if err != nil {
		return nil, err
	}
	if len(found.files)+len(found.kustomizations)+len(found.problems) == 0 {
		var where Origin // of a whole repository: nowhere
		if paths[0] != "." {
			where.File = paths[0]
		}
		found.problems = append(found.problems, Problem{
			Origin: where, Reason: ReasonEmpty, Severity: Error,
			Message: "no manifest found: expected files named *.yaml, *.yml or *.json; add one, or correct the path",
		})
	}
	a := newAssembly(tree, target, &l.memory, len(files))
	a.set.Skipped, a.set.Files = found.skipped, len(files)+found.read
	for _, p := range found.problems {
		a.take(p)
	}
	l.last, l.plain = files, found.plain
	documents := 0
	for i, file := range files {
		if documents += file.documents(); documents > l.options.MaxDocuments {
			a.tooMuch(found.files[i].name, fmt.Sprintf("hold more than %d objects", l.options.MaxDocuments))
			break
		}
		a.add(file)
	}
	for _, u := range units {
		if documents += u.out.documents; documents > l.options.MaxDocuments {
			a.tooMuch(u.plan.File, fmt.Sprintf("hold more than %d objects", l.options.MaxDocuments))
			break
		}
		a.addBuilt(u.out)
	}
	switch left := found.files[len(files):]; {
	case len(left) == 0:
	case read.errors > maxListed:
		a.stop(unread(left[0].name, "file", len(left)))
	default:
		a.tooMuch(left[0].name, fmt.Sprintf("are larger than %d bytes together", l.options.MaxTreeBytes))
	}
	return a.finish(ctx)
}

// read returns what the files say, up to the one with which the tree becomes too large or too wrong, and how many problems are in them. Files
// are read one after the other, and decoded side by side.
func (l *Loader) read(ctx context.Context, tree fs.FS, names []listed) (files []memo, found tally, err error) {
	files = make([]memo, len(names))
	last := l.last
	decoders := l.newDecoders()
	defer decoders.end() // on every way out
	counted := 0
	count := func(upTo int) bool {
		decoders.pending.Wait()
		for ; counted < upTo; counted++ {
			if !found.within(&files[counted]) {
				files = files[:counted+1]
				return false
			}
		}
		return true
	}
	var size int64
	for i, each := range names {
		name := each.name
		if err := ctx.Err(); err != nil {
			return nil, found, err
		}
		if i%atATime == 0 && !count(i) {
			return files, found, nil
		}
		for len(last) > 0 && last[0].name < name { // both are sorted
			last = last[1:]
		}
		var known memo
		if len(last) > 0 && last[0].name == name {
			known = last[0]
		}
		if files[i] = known; !each.unchanged || known.file == nil || known.file.cut {
			m, data, err := l.readFile(tree, name, known)
			if err != nil {
				return nil, found, fmt.Errorf("cannot read manifest %s: %w", name, err)
			}
			if files[i] = m; m.file == nil {
				decoders.decode(toDecode{name, data, &files[i]})
			}
			known = m
		}
		if size += known.bytes; size > l.options.MaxTreeBytes {
			files = files[:i]
			break
		}
	}
	count(len(files))
	return files, found, nil
}

// toDecode is a file that has been read, and where to put what it says.
type toDecode struct {
	name string
	data []byte
	slot *memo
}

// decoders are one decoder for each processor. They are few and stay: a goroutine for each file would grow its stack each time,
// to the depth that Kubernetes' validation needs.
type decoders struct {
	begin   func()
	files   chan toDecode
	pending sync.WaitGroup // files
	running sync.WaitGroup // decoders
}

func (l *Loader) newDecoders() *decoders {
	all := &decoders{files: make(chan toDecode)}
	all.begin = sync.OnceFunc(func() { // nothing may have changed
		for range runtime.GOMAXPROCS(0) {
			all.running.Go(func() {
				d := decoder{options: l.options}
				for f := range all.files {
					said := d.decode(f.name, f.data)
					if f.slot.file = said; said.documents == 1 && len(said.items) == 1 && len(said.problems)+said.unlisted == 0 {
						f.slot.only = said.items[0]
					}
					all.pending.Done()
				}
			})
		}
	})
	return all
}

func (d *decoders) decode(f toDecode) {
	d.begin()
	d.pending.Add(1)
	d.files <- f
}

func (d *decoders) end() {
	close(d.files)
	d.running.Wait()
}

// readFile returns what is known of a file when its hash is the same, or else its content.
func (l *Loader) readFile(tree fs.FS, name string, known memo) (m memo, data []byte, err error) {
	m.name = name
	if h, ok := tree.(hasher); ok {
		if m.hash, err = h.Hash(name); err != nil {
			return memo{}, nil, err
		}
		if known.file != nil && known.hash == m.hash && !known.file.cut {
			return known, nil, nil
		}
	}
	data, err = readUpTo(tree, name, l.options.MaxFileBytes+1)
	m.bytes = int64(len(data))
	return m, data, err
}

// readUpTo reads a file, or its first limit bytes when it is larger.
func readUpTo(tree fs.FS, name string, limit int64) (data []byte, err error) {
	file, err := tree.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = cmp.Or(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	text.Grow(int(min(info.Size(), limit)) + bytes.MinRead) // so much is read at once
	_, err = text.ReadFrom(io.LimitReader(file, limit))
	return text.Bytes(), err
}
