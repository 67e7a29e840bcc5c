package source

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
)

// Options say what to fetch and how.
type Options struct {
	URL  string // an https or ssh URL, or user@host:path, without credentials; plain http only with AllowInsecure
	Ref  Ref    // which commit; the default branch when zero
	Path string // the directory that becomes the Snapshot's Tree, slash-separated; the whole repository when empty

	// Dir is where the Repository keeps its object stores, each in a directory of its own that anybody may delete at any
	// time: the next Fetch starts afresh. It belongs to this Repository alone: Open removes the stores that an earlier
	// process left in it. The system's temporary directory, where nothing is removed, when empty.
	Dir string

	// Submodules takes the files of submodules inside Path for part of it. Each has to be on the repository's own host, and is read by the
	// same transport with the same credentials; submodules of submodules are refused.
	Submodules bool

	AllowInsecure bool          // whether plain http is allowed
	Timeout       time.Duration // the wall-clock time one Fetch may take; 60 seconds when zero
	Limits        Limits        // the most that a repository may cost; each has a default

	// Credentials is asked at the start of each Fetch, so that credentials may change; anonymous when nil. The text of
	// an error it returns is shown to users.
	Credentials func(context.Context) (Credentials, error)

	Verify *Verification // the signatures to ask for; none when nil

	Clock func() time.Time // time.Now when nil
}

// Limits bound what a repository may cost. A zero field stands for its default.
type Limits struct {
	RefBytes  int64 // the length of the server's list of refs; 32 MiB
	PackBytes int64 // the length of one pack, as it is sent; 1 GiB
	Files     int   // the number of files and directories below the path; 250,000
	Packs     int   // how many packs a store may gather before it is started afresh; 50

	Objects       int   // the number of objects in one pack; 1,000,000
	UnpackedBytes int64 // what the objects of one pack come to; 4 GiB
	// ObjectBytes bounds every object that has to be held in memory: directories, commits, tags, and files that are stored as a
	// difference; 32 MiB. Other files may be larger, but only their beginning can be read.
	ObjectBytes int64
}

// Repository is one path of one ref of one Git repository, fetched again and again. It keeps an object store on disk
// between fetches; Close removes it. It is safe for concurrent use: fetches take turns.
type Repository struct {
	options  Options
	endpoint transport.Endpoint
	url      string // redacted

	mu       sync.Mutex
	closed   bool
	store    *store  // what was fetched last; nil before the first fetch
	previous *store  // the store before, which older snapshots may still read
	last     outcome // what the newest commit came to

	until   time.Time // the server wants to be left alone until then,
	because *Error    // as it said with this
}

// longestRest is the most that a server's Retry-After is believed.
const longestRest = 10 * time.Minute

// maxObjectBytes is the default of Limits.ObjectBytes, and the limit for local repositories.
const maxObjectBytes = 32 << 20

// outcome is what one commit came to: a Snapshot, or the Error that any fetch of the same commit ends with.
type outcome struct {
	want     plumbing.Hash // what the ref pointed to
	name     string        // the ref's full name
	commit   plumbing.Hash
	tree     *Tree
	snapshot Snapshot
	err      *Error
	judged   [sha256.Size]byte // by which keys; zero where none are asked for

	// searched holds the server's refs when err says that a commit is in none of them: new refs are worth a new search.
	searched map[string]plumbing.Hash
}

// outdated reports whether the server may have something else to say about the target than it had last time.
func (o outcome) outdated(t target, listed *packp.AdvRefs, keys jury) bool {
	return o.want != t.want || o.judged != keys.id || keys.mode != "" && o.name != t.name || o.searched != nil && !maps.Equal(o.searched, listed.References)
}

// Open checks the options and returns the Repository; it does not connect yet. Its errors are always *Error.
func Open(options Options) (*Repository, error) {
	r, failure := open(options)
	if failure != nil {
		failure.URL = Redact(options.URL)
		return nil, failure
	}
	return r, nil
}

func open(options Options) (*Repository, *Error) {
	endpoint, failure := parseURL(options.URL, options.AllowInsecure)
	if failure != nil {
		return nil, failure
	}
	if options.Ref, failure = options.Ref.validate(); failure != nil {
		return nil, failure
	}
	if failure = options.Verify.validate(options.Ref); failure != nil {
		return nil, failure
	}
	if options.Path, failure = cleanPath(options.Path); failure != nil {
		return nil, failure
	}
	if options.Clock == nil {
		options.Clock = time.Now
	}
	options.Timeout = orDefault(options.Timeout, time.Minute)
	options.Limits = Limits{
		RefBytes:  orDefault(options.Limits.RefBytes, 32<<20),
		PackBytes: orDefault(options.Limits.PackBytes, 1<<30),
		Files:     orDefault(options.Limits.Files, 250_000),
		Packs:     orDefault(options.Limits.Packs, 50),

		Objects:       orDefault(options.Limits.Objects, 1_000_000),
		UnpackedBytes: orDefault(options.Limits.UnpackedBytes, 4<<30),
		ObjectBytes:   orDefault(options.Limits.ObjectBytes, maxObjectBytes),
	}
	if err := removeStores(options.Dir); err != nil {
		return nil, fail(StoreFailed, "check that the directory can be written", "cannot %s", printable(err.Error()))
	}
	return &Repository{options: options, endpoint: *endpoint, url: Redact(options.URL)}, nil
}

func orDefault[T int | int64 | time.Duration](value, otherwise T) T {
	if value == 0 {
		return otherwise
	}
	return value
}

// cleanPath returns the path in its shortest form, "." for the whole repository.
func cleanPath(name string) (string, *Error) {
	for element := range strings.SplitSeq(name, "/") {
		if element == ".." {
			return "", fail(InvalidPath, "give a directory inside the repository", "the path %s leads upwards", printable(name))
		}
	}
	return path.Clean(strings.TrimLeft("./"+strings.TrimLeft(name, "/"), "/")), nil
}

// URL returns the repository's URL, redacted.
func (r *Repository) URL() string { return r.url }

// Fetch returns the ref's commit as a Snapshot. It lists the server's refs, and when the ref has not moved it returns
// the same Snapshot again without fetching anything; a Ref that is a commit is not even listed again. When the commit is
// at fault (its path is missing, say) the same error comes back, without fetching, until the ref moves.
//
// What is outside of the path may be left on the server: the Snapshot's Tree asks for it when it is read, as long as ctx lives that the last
// Fetch was given which returned the Snapshot.
//
// A Snapshot can be read until Close, and otherwise at least until two more commits have been fetched.
//
// A server that is overloaded and names a time (429 or 5xx with Retry-After) is not asked again before, nor later than ten minutes:
// until then the same error comes back.
//
// Fetch returns within Options.Timeout. Its errors are always *Error. There is no Snapshot with an empty Tree: where
// nothing was found there is an error.
func (r *Repository) Fetch(ctx context.Context) (Snapshot, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.options.Clock().Before(r.until) {
		known := *r.because
		return Snapshot{}, &known
	}
	whole := ctx
	ctx, cancel := context.WithTimeout(ctx, r.options.Timeout)
	defer cancel()
	a := r.newAttempt()
	snapshot, err := r.fetch(ctx, a)
	if err != nil {
		failure := a.explain(ctx, err)
		failure.URL = r.url
		if failure.Step == "" {
			failure.Step = a.failedAt(failure)
		}
		if a.rest > 0 {
			r.until, r.because = r.options.Clock().Add(min(a.rest, longestRest)), failure
			failure.Hint = fmt.Sprintf("it wants to be left alone until %s; %s", r.until.UTC().Format(time.RFC3339), failure.Hint)
		}
		return Snapshot{}, failure
	}
	r.last.tree.rest.reach(whole, r)
	return snapshot, nil
}

// Close removes the object stores; no Snapshot can be read after it. It waits for a Fetch that is under way.
func (r *Repository) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	err := errors.Join(r.store.remove(), r.previous.remove())
	r.store, r.previous, r.last = nil, nil, outcome{}
	return err
}
