package source

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
)

// What a commit holds outside of the path is left on the server, where that can be: the large forges can, and any git with
// uploadpack.allowFilter and uploadpack.allowAnySHA1InWant. So a path costs what it holds, however large the repository is:
//
//	clone     the commit alone; each directory on the way to the path alone; the path whole
//	advance   the commits since, with the directories that changed, and no file; then what the path lacks, by its IDs
//	outside   a directory and its files when somebody asks for one of them by name, as a kustomization does for its bases
//
// The walk then makes sure of the path as it does of a whole commit. Filters by a depth of directories would save requests, but only these
// two are cheap for servers and allowed by all of them.
const (
	commitsOnly packp.Filter = "tree:0"
	noFiles     packp.Filter = "blob:none"
	noFilter    packp.Filter = ""
)

// maxPicked bounds how many objects one request asks for; git-http-backend takes requests of 10 MiB at most.
const maxPicked = 10_000

// offersParts reports whether the server says that it leaves out what is not wanted and gives out what is, be it no commit.
func (a *attempt) offersParts() bool {
	for _, needed := range []capability.Capability{
		capability.Filter, capability.AllowTipSHA1InWant, capability.AllowReachableSHA1InWant, capability.Shallow,
	} {
		if !a.listed.Capabilities.Supports(needed) {
			return false
		}
	}
	return true
}

// pick brings objects by their IDs, each with all below it that the filter lets pass.
func (a *attempt) pick(ctx context.Context, s *store, filter packp.Filter, wants ...plumbing.Hash) error {
	for some := range slices.Chunk(wants, maxPicked) {
		request := a.request(some...)
		if err := leaveOut(request, filter); err != nil {
			return err
		}
		if err := a.receive(ctx, s, request); err != nil {
			return err
		}
	}
	return nil
}

func leaveOut(request *packp.UploadPackRequest, filter packp.Filter) error {
	if filter == noFilter {
		return nil
	}
	request.Filter = filter
	return request.Capabilities.Set(capability.Filter)
}

// complete brings what a partial store lacks of a path. What is wrong with the path is left for the walk to tell.
func (a *attempt) complete(ctx context.Context, s *store, root plumbing.Hash, before *Tree) error {
	tree := root
	for dir := "."; dir != a.path; {
		if err := a.need(ctx, s, commitsOnly, tree); err != nil {
			return err
		}
		entries, err := s.entries(tree)
		if err != nil {
			return err
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(a.path, dir), "/"), "/")
		i := slices.IndexFunc(entries, func(e object.TreeEntry) bool { return e.Name == name && e.Mode == filemode.Dir })
		if i < 0 {
			return nil
		}
		dir, tree = path.Join(dir, name), entries[i].Hash
	}
	l := lack{store: s, limit: a.limits.Files, before: before, seen: map[plumbing.Hash]bool{}}
	if err := l.look(ctx, tree, a.path); err != nil {
		return err
	}
	return a.pick(ctx, s, noFilter, l.lacks...)
}

// need brings one object unless it is there.
func (a *attempt) need(ctx context.Context, s *store, filter packp.Filter, want plumbing.Hash) error {
	if s.has(want) {
		return nil
	}
	return a.pick(ctx, s, filter, want)
}

// lack finds what a store does not have of a directory: files, and directories of which then nothing is known.
type lack struct {
	store  *store
	limit  int
	before *Tree // what of it is unchanged is there
	seen   map[plumbing.Hash]bool
	lacks  []plumbing.Hash
}

func (l *lack) look(ctx context.Context, tree plumbing.Hash, dir string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !l.store.has(tree) {
		l.lacks = append(l.lacks, tree)
		return nil
	}
	entries, err := l.store.entries(tree)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := path.Join(dir, entry.Name)
		if l.seen[entry.Hash] || entry.Mode == filemode.Submodule || l.known(name, entry.Hash) {
			continue
		}
		if l.seen[entry.Hash] = true; len(l.seen) > l.limit {
			return nil // the walk refuses it
		}
		if entry.Mode == filemode.Dir {
			if err := l.look(ctx, entry.Hash, name); err != nil {
				return err
			}
		} else if !l.store.has(entry.Hash) {
			l.lacks = append(l.lacks, entry.Hash)
		}
	}
	return nil
}

// known reports whether the same was there before.
func (l *lack) known(name string, hash plumbing.Hash) bool {
	if l.before == nil || l.before.store != l.store {
		return false
	}
	n, found := l.before.lookup(name)
	return found && n.hash == hash
}

// later brings objects into a snapshot's store after its Fetch, in an attempt of its own. Its errors are always *Error.
func (r *Repository) later(ctx context.Context, s *store, filter packp.Filter, wants ...plumbing.Hash) error {
	ctx, cancel := context.WithTimeout(ctx, r.options.Timeout)
	defer cancel()
	a := r.newAttempt()
	err := a.connect(ctx, r)
	if err == nil {
		defer a.wire.close()
		err = a.pick(ctx, s, filter, wants...)
	}
	if err == nil {
		return nil
	}
	failure := a.explain(ctx, err)
	failure.URL, failure.Step = r.url, a.failedAt(failure)
	return failure
}

// clonePart is clone into a store that shall hold no more than the path; it reports false when the server does not go along.
func (a *attempt) clonePart(ctx context.Context, s *store, t target) (result outcome, done bool, err error) {
	s.partial = true
	result, err = a.cloneInto(ctx, s, t)
	if err == nil || ctx.Err() != nil {
		return result, true, err
	}
	if _, elsewhere := errors.AsType[*submoduleError](err); elsewhere {
		return result, true, err
	}
	a.wire.forget()
	s.partial = false
	return outcome{}, false, nil
}
