package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
)

// attempt is one Fetch: one conversation with the server, with the credentials of the moment.
type attempt struct {
	repository  *Repository
	timeout     time.Duration
	limits      Limits
	path        string
	credentials Credentials
	wire        wire
	listed      *packp.AdvRefs
	keys        jury
	step        Step          // what is under way
	rest        time.Duration // how long the server wants to be left alone
}

// newAttempt returns an attempt that has not begun.
func (r *Repository) newAttempt() *attempt {
	return &attempt{repository: r, timeout: r.options.Timeout, limits: r.options.Limits, path: r.options.Path, step: StepCredentials}
}

// fetch is Fetch with plain errors, which attempt.explain turns into one *Error.
//
//	ref resolves to         store             does
//	what it was last time   sound             nothing: the last outcome again
//	something else          sound, not full   incremental fetch; when that fails, a fresh clone
//	anything                none or broken    fresh clone
func (r *Repository) fetch(ctx context.Context, a *attempt) (Snapshot, error) {
	if r.closed {
		return Snapshot{}, fail(StoreFailed, "open it again", "the repository is closed")
	}
	var failure *Error
	if a.keys, failure = r.options.Verify.readKeys(ctx); failure != nil {
		return Snapshot{}, failure
	}
	if r.options.Ref.Commit != "" && r.store.sound() && r.last.err == nil && r.last.judged == a.keys.id {
		return r.last.snapshot, nil
	}
	if err := a.connect(ctx, r); err != nil {
		return Snapshot{}, err
	}
	defer a.wire.close()
	t, failure := r.options.Ref.resolve(a.listed)
	if failure != nil {
		return Snapshot{}, failure
	}
	if r.last.outdated(t, a.listed, a.keys) || !r.store.sound() {
		if err := r.move(ctx, a, t); err != nil {
			return Snapshot{}, err
		}
	}
	if r.last.err != nil {
		known := *r.last.err
		return Snapshot{}, &known
	}
	r.last.snapshot.Revision = t.revisionAt(r.last.commit)
	return r.last.snapshot, nil
}

// move fetches what the ref points to now and sets r.last. Unless it returns an error, r.store is sound.
func (r *Repository) move(ctx context.Context, a *attempt, t target) error {
	var rewritten Commit
	if r.store.sound() && !r.store.full() && !r.store.tip.IsZero() {
		result, err := a.advance(ctx, r.store, t, r.last.tree)
		rewritten = r.rewritten(t, err)
		if err == nil {
			r.last = result
			r.last.snapshot.Rewritten = rewritten
			return nil
		}
		if _, elsewhere := errors.AsType[*submoduleError](err); elsewhere || ctx.Err() != nil {
			return err
		}
		// Whatever went wrong, from a store damaged on disk to a history rewritten on the server: a fresh clone mends it.
		a.wire.forget()
	}
	fresh, err := newStore(r.options.Dir, a.limits)
	if err != nil {
		return err
	}
	result, err := a.clone(ctx, fresh, t)
	if err != nil {
		return errors.Join(err, fresh.remove())
	}
	stale := r.previous
	r.previous, r.store, r.last = r.store, fresh, result
	r.last.snapshot.Rewritten = rewritten
	return stale.remove()
}

// connect reads the credentials and lists the server's refs. The wire has to be closed unless connect fails.
func (a *attempt) connect(ctx context.Context, r *Repository) (err error) {
	if r.options.Credentials != nil {
		if a.credentials, err = r.options.Credentials(ctx); err != nil {
			failure := fail(InvalidCredentials, "", "the credentials cannot be read: %s", printable(err.Error()))
			failure.Err = err
			return failure
		}
	}
	wire, failure := r.newWire(a.credentials)
	if failure != nil {
		return failure
	}
	a.wire, a.step = wire, StepList
	if a.listed, err = wire.list(ctx); err != nil {
		wire.close()
	}
	return err
}

// advance brings only what is new since the store's tip, and reads the commit. Any error means that this store cannot be
// relied on for the commit; that the commit itself is at fault is a result.
//
// The request has no depth, for then the server leaves out every object of the tip's tree, and does not say where the
// store's history ends, for then the server would send the history below it. The server may therefore believe that the
// store holds more than it does, after a merge of an old branch or a rewritten history: the walk finds what is missing.
func (a *attempt) advance(ctx context.Context, s *store, t target, before *Tree) (outcome, error) {
	if !s.has(t.want) { // it is there when the ref goes back to what it was
		request := a.request(t.want)
		request.Haves = []plumbing.Hash{s.tip}
		if s.partial {
			if err := leaveOut(request, noFiles); err != nil {
				return outcome{}, err
			}
		}
		if err := a.receive(ctx, s, request); err != nil {
			return outcome{}, err
		}
	}
	return a.read(ctx, s, t, before)
}

// clone brings one commit, without its history, into an empty store, and reads it.
func (a *attempt) clone(ctx context.Context, s *store, t target) (outcome, error) {
	if a.path != "." && a.offersParts() {
		if result, done, err := a.clonePart(ctx, s, t); done {
			return result, err
		}
	}
	return a.cloneInto(ctx, s, t)
}

// cloneInto is clone into a store that is to be partial or not.
func (a *attempt) cloneInto(ctx context.Context, s *store, t target) (outcome, error) {
	filter := noFilter
	if s.partial {
		filter = commitsOnly
	}
	err := a.bring(ctx, s, t, filter)
	switch {
	case err == nil && t.pinned && !s.has(t.want):
		return outcome{want: t.want, judged: a.keys.id, searched: a.listed.References, err: fail(RefNotFound,
			"push it, or name one that a branch or tag leads to", "commit %s not found", t.want)}, nil
	case err == nil:
		var result outcome
		if result, err = a.read(ctx, s, t, nil); err == nil {
			return result, nil
		}
	}
	_, elsewhere := errors.AsType[*submoduleError](err)
	if failure := a.explain(ctx, err); failure.Reason == TooLarge && !elsewhere { // it will not shrink: do not fetch it again
		failure.Step = a.step
		return outcome{want: t.want, name: t.name, judged: a.keys.id, err: failure}, nil
	}
	return outcome{}, err
}

// bring puts one commit, without its history and what the filter leaves out, into a store. Of a pinned one that no error comes does not say that it was found.
func (a *attempt) bring(ctx context.Context, s *store, t target, filter packp.Filter) error {
	request := a.request(t.want)
	if err := leaveOut(request, filter); err != nil {
		return err
	}
	if a.listed.Capabilities.Supports(capability.Shallow) {
		request.Depth = packp.DepthCommits(1)
		if err := request.Capabilities.Set(capability.Shallow); err != nil {
			return err
		}
	}
	err := a.receive(ctx, s, request)
	if err != nil && t.pinned && filter == noFilter && ctx.Err() == nil {
		// Not every server gives out a commit that no ref points to: look for it in the history of all refs.
		a.wire.forget()
		err = a.receive(ctx, s, a.request(slices.Collect(maps.Values(a.listed.References))...))
	}
	return err
}

// read makes the outcome of the target, whose objects are in the store. What is wrong with the commit itself, or with
// the tag before it, is part of the outcome; any error is about the store.
func (a *attempt) read(ctx context.Context, s *store, t target, before *Tree) (outcome, error) {
	commit, root, err := s.peel(t.want)
	result := outcome{want: t.want, name: t.name, commit: commit, judged: a.keys.id}
	if err == nil {
		a.step = StepVerify
		result.snapshot.Signer, err = a.keys.judge(s, t, commit)
	}
	if err == nil && s.partial {
		err = a.complete(ctx, s, root, before)
	}
	if err == nil {
		a.step = StepWalk
		w := walk{store: s, limit: a.limits.Files, before: before}
		if a.repository.options.Submodules {
			w.submodules = &submodules{attempt: a, store: s, root: root}
		} else {
			w.remedy = ", or set git.submodules: true if it is on the same host"
		}
		result.tree, err = w.read(ctx, root, a.path)
	}
	if failure, ok := errors.AsType[*Error](err); ok {
		if !commit.IsZero() {
			failure.Message = fmt.Sprintf("%s in commit %s", failure.Message, Commit(commit.String()).Short())
		}
		failure.Step = a.step
		result.err, result.snapshot = failure, Snapshot{}
		return result, nil
	}
	if err != nil {
		return outcome{}, err
	}
	s.tip = commit
	result.snapshot.Tree = result.tree
	result.snapshot.Path = a.path
	result.snapshot.Commit = Commit(commit.String())
	result.snapshot.Revision = t.revisionAt(commit)
	return result, nil
}

// request asks for objects in the simplest way that all servers know.
func (a *attempt) request(wants ...plumbing.Hash) *packp.UploadPackRequest {
	request := packp.NewUploadPackRequestFromCapabilities(a.listed.Capabilities)
	if a.listed.Capabilities.Supports(capability.NoProgress) {
		_ = request.Capabilities.Set(capability.NoProgress) // no-progress takes no argument: Set cannot fail
	}
	request.Wants = wants
	return request
}

// errUnknownTip is returned when the server does not know the commit that a store is at.
var errUnknownTip = errors.New("the server does not know the commit that was fetched last")

// receive sends the request and puts the pack that answers it into the store.
func (a *attempt) receive(ctx context.Context, s *store, request *packp.UploadPackRequest) (err error) {
	a.step = StepFetch
	response, err := a.wire.ask(ctx, request)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := response.Close(); err == nil {
			err = closeErr
		}
	}()
	if len(request.Haves) > 0 && len(response.ACKs) == 0 {
		return errUnknownTip // without a common commit the server sends the whole history
	}
	var pack io.Reader = response
	switch {
	case request.Capabilities.Supports(capability.Sideband64k):
		pack = sideband.NewDemuxer(sideband.Sideband64k, response)
	case request.Capabilities.Supports(capability.Sideband):
		pack = sideband.NewDemuxer(sideband.Sideband, response)
	}
	return s.addPack(ctx, pack)
}
