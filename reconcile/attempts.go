package reconcile

import (
	"maps"
	"sync"
	"time"

	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
)

// attempt is what is remembered of an object whose apply or deletion failed: when to try again.
type attempt struct {
	hash    string // the manifest that failed, empty for a deletion; another one is tried at once
	failure *Failure
	count   int
	since   time.Time // of the first failure
	next    time.Time // zero: not before another commit
}

// attempts remembers what failed, until it succeeds.
type attempts struct {
	mu sync.Mutex
	by map[manifests.ID]attempt
}

// of returns what is remembered of an object.
func (a *attempts) of(id manifests.ID) (attempt, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	found, ok := a.by[id]
	return found, ok
}

// conflict returns why an object was somebody else's when it was tried last, as long as it is not to be tried again; or "".
func (a *attempts) conflict(object *manifests.Object, now time.Time) string {
	if len(a.by) == 0 { // read without the mutex: nothing is applied while a pass decides
		return ""
	}
	if last, ok := a.of(object.ID); ok && last.refused() && !last.due(object, now) {
		return last.failure.Text
	}
	return ""
}

// refused reports whether the object was found to be somebody else's; a fight over one of ours is something else.
func (a attempt) refused() bool {
	return a.failure.Class == Slow && a.failure.Reason == string(OwnershipConflict)
}

func (a *attempts) succeeded(id manifests.ID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.by, id)
}

// failed remembers a failure and reports whether the same request had failed before.
func (a *attempts) failed(action diff.Action, failure *Failure, now time.Time) (again bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	previous, known := a.by[action.ID]
	a.by[action.ID] = previous.after(action.Object, failure, now)
	return known && a.by[action.ID].count > 1
}

// keep forgets what the plan does not want to do any more.
func (a *attempts) keep(plan diff.Plan) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.by) == 0 {
		return
	}
	wanted := map[manifests.ID]bool{}
	for _, action := range plan.Actions {
		wanted[action.ID] = action.Writes() || action.Op == diff.Conflict
	}
	maps.DeleteFunc(a.by, func(id manifests.ID, _ attempt) bool { return !wanted[id] })
}

// next returns when the first retry after a time is due; zero when none is.
func (a *attempts) next(after time.Time) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	var first time.Time
	for _, attempt := range a.by {
		if attempt.next.After(after) && (first.IsZero() || attempt.next.Before(first)) {
			first = attempt.next
		}
	}
	return first
}

// after returns the state once the same request has failed again.
func (a attempt) after(object *manifests.Object, failure *Failure, now time.Time) attempt {
	if hash := hashOf(object); a.hash != hash {
		a = attempt{hash: hash}
	}
	if a.count == 0 {
		a.since = now
	}
	a.failure = failure
	a.count++
	switch {
	case failure.Class == Terminal && object != nil:
		a.next = time.Time{}
	case failure.Class == Terminal, failure.Class == Slow: // no commit can mend a deletion, so that one is tried again too
		a.next = now.Add(backoff(time.Second, time.Minute, a.count))
	default:
		a.next = now.Add(backoff(200*time.Millisecond, 10*time.Second, a.count))
	}
	return a
}

// due reports whether the object may be tried now.
func (a attempt) due(object *manifests.Object, now time.Time) bool {
	if hashOf(object) != a.hash {
		return true
	}
	return !a.next.IsZero() && !now.Before(a.next)
}

// hashOf returns what tells one request for an object from another; a deletion has no manifest.
func hashOf(object *manifests.Object) string {
	if object == nil {
		return ""
	}
	return object.Hash
}

// backoff doubles from first with every further failure, up to most.
func backoff(first, most time.Duration, failures int) time.Duration {
	return min(most, first<<min(failures-1, 20))
}
