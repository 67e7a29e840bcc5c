package reconcile

import (
	"fmt"
	"slices"

	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/reconcile/health"
)

// leaving counts what left Git and is on its way out, and tells of what does not get there.
func (l *Loop) leaving(r *Result, deleted map[manifests.ID]bool) {
	stuck := slices.ContainsFunc(r.Changes, func(c Change) bool { return c.Op == diff.Delete && c.Failure != nil })
	terminating := map[manifests.ID]bool{} // whether there is hope
	for _, action := range r.Plan.Actions {
		if action.Object != nil {
			continue
		}
		found := l.sight.of(action.ID)
		if found == nil || action.Op == diff.Keep || found.Health.Word != health.Terminating {
			continue
		}
		late := l.waiting.late(action.ID, found.Health, l.sync.Spec.Timeout.Duration, l.clock())
		terminating[action.ID] = late == 0
		if late > 0 {
			stuck = true
			r.Unwell = append(r.Unwell, Trouble{
				Object: action.ID, Reason: "Timeout", Message: fmt.Sprintf("left Git and is not gone in %s: %s", late, found.Health.Message),
			})
		}
	}
	l.waiting.keep(l.set, terminating)
	for _, action := range r.Plan.Actions {
		if action.Object != nil {
			continue
		}
		// A deletion that the plan wants and that was withheld is on nobody's way, and so is what waits for one that does not come about.
		exists := l.sight.of(action.ID) != nil
		_, ends := terminating[action.ID]
		waits := action.Op == diff.Wait && !ends && !stuck || deleted[action.ID] && !ends
		if exists && (waits || terminating[action.ID]) {
			r.Leaving++
		}
	}
}
