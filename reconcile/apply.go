package reconcile

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
)

// Change is what became of one action that writes.
type Change struct {
	diff.Action
	From    string   // of an Adopt: whose the object was; may be empty
	Taken   []Taken  // fields that others owned and had other values in
	Failure *Failure // nil when it was done
	Took    time.Duration
	Done    time.Time // when it was answered; zero when it was not tried
	Tried   bool      // by this pass; otherwise the Failure is that of an earlier one, and it is not time yet to try again
	Again   bool      // the same thing failed before
	Late    bool      // it has failed for longer than spec.timeout; it is still tried again
	Same    bool      // the server stored nothing new
}

// Blocked is an object that cannot be applied before another one is where it should be.
type Blocked struct {
	Object *manifests.Object
	By     manifests.ID
	Reason string
}

// applied is what came of one plan's creates and updates.
type applied struct {
	changes []Change
	blocked []Blocked
}

// apply writes every create and update of the plan, in parallel, each as soon as everything in its After is done: what was
// unchanged and is Current, or what this call applied and whose kind is done when it exists. Whatever waits for more than
// that is returned as blocked; the event that it waits for starts the next pass.
func (l *Loop) apply(ctx context.Context, plan diff.Plan, places map[place]resource) applied {
	run := &applyRun{loop: l, places: places, state: map[manifests.ID]*node{}}
	run.moved = sync.NewCond(&run.mu)
	for i := range plan.Actions {
		if action := &plan.Actions[i]; tried(action) {
			run.state[action.ID] = &node{action: action, todo: true}
		}
	}
	for _, n := range slices.Collect(maps.Values(run.state)) {
		for _, dependency := range n.action.After { // of all that is as it should be, only this matters
			if run.state[dependency] == nil {
				found, planned := plan.Find(dependency)
				if !planned {
					found = l.sight.restful(dependency)
				}
				run.state[dependency] = &node{action: &found}
			}
		}
	}
	for i := range plan.Actions {
		action := &plan.Actions[i]
		if !tried(action) {
			continue
		}
		n := run.state[action.ID]
		for _, dependency := range action.After {
			if d := run.state[dependency]; !d.done() {
				n.waits++
				d.dependents = append(d.dependents, n)
			}
		}
		if n.waits == 0 {
			run.free = append(run.free, n)
		}
	}
	for n := run.next(); n != nil; n = run.next() {
		if l.cluster.throttle.take(ctx) != nil {
			break
		}
		run.sending.Go(func() { run.send(ctx, n) })
	}
	run.sending.Wait()
	return run.result(plan)
}

// tried reports whether an action is to apply its object, or to tell why that cannot be.
func tried(action *diff.Action) bool {
	return action.Object != nil && (action.Writes() || action.Op == diff.Conflict)
}

// applyRun is one call of apply. The mutex guards every node.
type applyRun struct {
	loop    *Loop
	places  map[place]resource
	sending sync.WaitGroup

	mu    sync.Mutex
	moved *sync.Cond // when the next two have changed
	free  []*node    // that wait for a slot alone; few of many have a goroutine
	sent  int        // and not answered
	state map[manifests.ID]*node
}

// node is one object in the graph of a plan.
type node struct {
	action     *diff.Action
	todo       bool // has to be applied
	waits      int  // dependencies that are not done
	dependents []*node
	change     *Change    // set when the request has been answered
	live       *diff.Live // what the request stored
}

// done reports whether dependents may go ahead.
func (n *node) done() bool {
	if n.live != nil {
		return n.live.Health.Unblocks()
	}
	return !n.todo && n.action.Health().Unblocks()
}

// next returns the next node to send as soon as there is one; nil when none is left that an answer could free.
func (r *applyRun) next() *node {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.free) == 0 && r.sent > 0 {
		r.moved.Wait()
	}
	if len(r.free) == 0 {
		return nil
	}
	n := r.free[0]
	r.free = r.free[1:]
	r.sent++
	return n
}

// send applies n in the slot that was taken for it, and frees whatever waited for it alone.
func (r *applyRun) send(ctx context.Context, n *node) {
	out := written{op: n.action.Op}
	change := r.loop.act(*n.action, func() (err error) {
		if slowed := r.loop.fights.slowed(n.action.Object, r.loop.clock()); slowed != nil {
			return slowed
		}
		out, err = r.loop.write(ctx, *n.action, r.places)
		return err
	})
	r.loop.cluster.throttle.give(change.Took)
	change.From, change.Taken = out.from, out.taken
	if change.Tried {
		change.Op = out.op
	}
	change.Same = out.live != nil && n.action.Live != nil && out.live.ResourceVersion == n.action.Live.ResourceVersion

	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.moved.Signal()
	r.sent--
	n.change, n.live = &change, out.live
	if !n.done() {
		return
	}
	for _, dependent := range n.dependents {
		if dependent.waits--; dependent.waits == 0 {
			r.free = append(r.free, dependent)
		}
	}
}

// act does what one action asks for, unless the same thing failed before and it is not yet time to try again.
func (l *Loop) act(action diff.Action, do func() error) Change {
	change := Change{Action: action}
	previous, failed := l.attempts.of(action.ID)
	if failed && !previous.due(action.Object, l.clock()) {
		change.Failure, change.Again, change.Late = previous.failure, true, l.late(previous)
		return change
	}
	start := l.clock()
	err := do()
	change.Tried = true
	change.Done = l.clock()
	change.Took = change.Done.Sub(start)
	if err == nil {
		l.attempts.succeeded(action.ID)
		return change
	}
	change.Failure = newFailure(err, l.cluster.host).withoutSecrets(action.Object)
	change.Failure.Where = l.locate(action.Object, change.Failure)
	change.Again = l.attempts.failed(action, change.Failure, l.clock())
	if last, ok := l.attempts.of(action.ID); ok {
		change.Late = l.late(last)
	}
	return change
}

// late reports whether something has failed for longer than one may wait for an object.
func (l *Loop) late(a attempt) bool { return l.clock().Sub(a.since) >= l.sync.Spec.Timeout.Duration }

// locate finds the line to mend: that of the first field that the server refused, or where the object begins. It is zero for an
// object that left Git.
func (l *Loop) locate(object *manifests.Object, failure *Failure) manifests.Origin {
	switch {
	case object == nil:
		return manifests.Origin{}
	case len(failure.Causes) == 0 || l.revision != l.snapshot.Revision:
		return object.Origin
	}
	return manifests.Locate(l.snapshot.Tree, object.Origin, failure.Causes[0].Field)
}

// result collects what was done and what is left waiting, in the plan's order.
func (r *applyRun) result(plan diff.Plan) applied {
	out := applied{changes: make([]Change, 0, len(r.state))}
	for i := range plan.Actions {
		action := &plan.Actions[i]
		if !tried(action) {
			continue
		}
		if n := r.state[action.ID]; n.change != nil {
			out.changes = append(out.changes, *n.change)
		} else {
			out.blocked = append(out.blocked, r.blockedBy(n))
		}
	}
	return out
}

// blockedBy names the first dependency that is not done, and what it is waiting for in turn.
func (r *applyRun) blockedBy(n *node) Blocked {
	b := Blocked{Object: n.action.Object, Reason: "the pass was interrupted"}
	i := slices.IndexFunc(n.action.After, func(id manifests.ID) bool { return !r.state[id].done() })
	if i < 0 {
		return b
	}
	b.By = n.action.After[i]
	d := r.state[b.By]
	switch {
	case d.change != nil && d.change.Failure != nil:
		b.Reason = "it could not be applied"
	case d.todo && d.change == nil:
		b.Reason = "it waits itself"
	case d.live != nil:
		b.Reason = d.live.Health.Message
	default:
		b.Reason = d.action.Health().Message
	}
	return b
}

func placeOf(id manifests.ID) place { return place{kind: id.GroupKind(), namespace: id.Namespace} }
