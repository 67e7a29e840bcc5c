package reconcile

import (
	"fmt"

	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/reconcile/health"
)

// outcome judges every desired object by its health, and counts what is still to go.
func (l *Loop) outcome(r *Result) {
	failed, deleted := map[manifests.ID]bool{}, map[manifests.ID]bool{}
	for _, change := range r.Changes {
		switch {
		case change.Failure != nil:
			failed[change.ID] = true
			continue
		case change.Op == diff.Delete:
			deleted[change.ID] = true
		case l.sight.of(change.ID) == nil:
			r.Unseen = true // its kind came with this commit; the next pass watches it
		case change.Op == diff.Adopt && change.Object.Run != nil:
			r.Unseen = true // the next pass decides whether it runs again
			signal(l.observer.changed)
		}
		l.waiting.restart(change.ID) // its rollout begins anew
	}
	l.leaving(r, deleted)
	for _, b := range r.Blocked {
		by := l.sight.of(b.By)
		// Since the plan was made, or as soon as a Job's last pods have ended: the event that tells so starts the next pass.
		if by != nil && (by.Health.Unblocks() || by.Health.Reason == health.ReasonSuccessMet) {
			r.Unblocked = true
		}
	}
	r.Unrecorded = l.unrecorded()
	r.Objects = len(l.set.Objects)
	r.Exceptions = l.sight.exceptions()
	stirring := l.sight.stirring()
	r.Health = map[health.Word]int{health.Current: r.Objects - len(stirring)}
	now := l.clock()
	for _, i := range stirring {
		found := l.judge(i, r)
		object := l.set.Objects[i]
		if late := l.waiting.late(object.ID, found, l.sync.Spec.Timeout.Duration, now); late > 0 {
			found.Word = health.Failed
			found.Reason = "Timeout"
			found.Message = fmt.Sprintf("not finished in %s: %s", late, found.Message)
		}
		if len(failed) > 0 && failed[object.ID] {
			found.Word = health.Failed
		} else if found.Word == health.Failed {
			r.Unwell = append(r.Unwell, Trouble{
				Origin: object.Origin, Object: object.ID, Reason: found.Reason,
				Message: fmt.Sprintf("failed (%s): %s", found.Reason, found.Message),
			})
		}
		r.Health[found.Word]++
	}
	l.sight.rest(func(i int) bool { return l.rests(i, r) })
}

// judge returns the health of the i-th object of the set, and notes in r when an event on it has just come that starts the next pass.
func (l *Loop) judge(i int, r *Result) health.Health {
	object, live := l.set.Objects[i], l.sight.objects[i].live
	action, planned := r.Plan.Find(object.ID)
	found := health.Absent()
	switch {
	case planned && action.Past != nil:
		return *action.Past
	case live != nil:
		return live.Health
	case l.blind[placeOf(object.ID)]:
		found.Word = health.Unknown
	case planned && action.Live != nil, !planned && !l.invisible(object):
		r.Unseen = true // it went during the pass
	}
	return found
}

// rests reports whether the i-th object of the set, which the pass has decided on, has nothing to wait for but what touches it: it is as Git
// says, it is well, and nothing else that may change has a say in it, be it the time, its pods, an autoscaler, or the record of its run.
func (l *Loop) rests(i int, r *Result) bool {
	object, at := l.set.Objects[i], &l.sight.objects[i]
	action, planned := r.Plan.Find(object.ID)
	if at.past = action.Past; at.past != nil {
		return action.Op == diff.None && at.live == nil && at.past.Word == health.Current
	}
	return planned && action.Op == diff.None && at.live != nil && at.live.Health.Word == health.Current &&
		at.live.Exception == nil && !unexplained(at.observed) && !contested(object, at.live) && !l.unrecordedEnd(at.live)
}
