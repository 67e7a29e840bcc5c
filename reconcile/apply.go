package reconcile

import (
	"context"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
)

// inFlight is how many requests are under way at once: where a server on two cores stops getting faster.
const inFlight = 32

// Change is what became of one action that writes.
type Change struct {
	diff.Action
	Failure *Failure // nil when it was done
	Took    time.Duration
	Tried   bool // by this pass; otherwise the Failure is that of an earlier one, and it is not time yet to try again
	Again   bool // the same thing failed before
	Same    bool // the server stored nothing new
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

// apply sends one request per create and update of the plan, in parallel, each as soon as everything in its After is done: what was
// unchanged and is Current, or what this call applied and whose kind is done when it exists. Whatever waits for more than
// that is returned as blocked; the event that it waits for starts the next pass.
func (l *Loop) apply(ctx context.Context, plan diff.Plan, places map[place]resource) applied {
	run := &applyRun{loop: l, places: places, state: map[manifests.ID]*node{}, slots: make(chan struct{}, inFlight)}
	for _, action := range plan.Actions {
		if action.Object != nil {
			run.state[action.ID] = &node{action: action, todo: action.Op == diff.Create || action.Op == diff.Update}
		}
	}
	var free []*node // complete before the first is sent: from then on waits belongs to the mutex
	for _, action := range plan.Actions {
		n := run.state[action.ID]
		if n == nil || !n.todo {
			continue
		}
		for _, dependency := range action.After {
			if d := run.state[dependency]; !d.done() {
				n.waits++
				d.dependents = append(d.dependents, n)
			}
		}
		if n.waits == 0 {
			free = append(free, n)
		}
	}
	for _, n := range free {
		run.send(ctx, n)
	}
	run.sending.Wait()
	return run.result(plan)
}

// applyRun is one call of apply. The mutex guards every node.
type applyRun struct {
	loop    *Loop
	places  map[place]resource
	slots   chan struct{}
	sending sync.WaitGroup

	mu    sync.Mutex
	state map[manifests.ID]*node
}

// node is one object in the graph of a plan.
type node struct {
	action     diff.Action
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
	return !n.todo && n.action.Live != nil && n.action.Live.Health.Unblocks()
}

// send applies n when a slot is free, and then whatever waited for it alone.
func (r *applyRun) send(ctx context.Context, n *node) {
	r.sending.Go(func() {
		select {
		case r.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		if ctx.Err() != nil {
			<-r.slots
			return
		}
		var stored *diff.Live
		change := r.loop.act(n.action, func() (err error) {
			if slowed := r.loop.fights.slowed(n.action.Object, r.loop.clock()); slowed != nil {
				return slowed
			}
			stored, err = r.loop.request(ctx, n.action.Object, r.places)
			return err
		})
		change.Same = stored != nil && n.action.Live != nil && stored.ResourceVersion == n.action.Live.ResourceVersion
		<-r.slots

		r.mu.Lock()
		defer r.mu.Unlock()
		n.change, n.live = &change, stored
		if !n.done() {
			return
		}
		for _, dependent := range n.dependents {
			if dependent.waits--; dependent.waits == 0 {
				r.send(ctx, dependent)
			}
		}
	})
}

// act does what one action asks for, unless the same thing failed before and it is not yet time to try again.
func (l *Loop) act(action diff.Action, do func() error) Change {
	change := Change{Action: action}
	previous, failed := l.attempts.of(action.ID)
	if failed && !previous.due(action.Object, l.clock()) {
		change.Failure, change.Again = previous.failure, true
		return change
	}
	start := l.clock()
	err := do()
	change.Tried = true
	change.Took = l.clock().Sub(start)
	if err == nil {
		l.attempts.succeeded(action.ID)
		return change
	}
	change.Failure = newFailure(err, l.cluster.host)
	change.Failure.Where = l.locate(action.Object, change.Failure)
	change.Again = l.attempts.failed(action, change.Failure, l.clock())
	return change
}

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

func (l *Loop) request(ctx context.Context, object *manifests.Object, places map[place]resource) (*diff.Live, error) {
	target, ok := places[placeOf(object.ID)]
	if !ok {
		// The kind is defined in this very commit, and its CRD was established a moment ago.
		l.cluster.mapper.Reset()
		var err error
		target, err = l.cluster.resolve(object.ID.GroupKind(), object.Version)
		switch {
		case meta.IsNoMatchError(err):
			return nil, &Failure{Class: Transient, Reason: "UnknownKind", Text: "the API server does not serve its kind yet"}
		case err != nil:
			return nil, err
		}
		defer signal(l.observer.changed) // for the next pass to watch it
	}
	target.gvr.Version = object.Version
	content, err := body(object, l.parent.ID())
	if err != nil {
		return nil, err
	}
	stored, err := l.cluster.patch(ctx, target, object.ID.Namespace, object.ID.Name, content)
	if err != nil {
		return nil, err
	}
	live := l.observer.record(object.ID, stored)
	l.expected.set(object, live.Fields)
	l.fights.applied(object, l.clock())
	return &live, nil
}

// result collects what was done and what is left waiting, in the plan's order.
func (r *applyRun) result(plan diff.Plan) applied {
	var out applied
	for _, action := range plan.Actions {
		n := r.state[action.ID]
		switch {
		case n == nil || !n.todo:
		case n.change != nil:
			out.changes = append(out.changes, *n.change)
		default:
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
	case d.action.Live != nil:
		b.Reason = d.action.Live.Health.Message
	}
	return b
}

func placeOf(id manifests.ID) place { return place{kind: id.GroupKind(), namespace: id.Namespace} }
