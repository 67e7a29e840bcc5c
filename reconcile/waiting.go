package reconcile

import (
	"maps"
	"time"

	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/health"
)

// waiting remembers since when each object has been on its way, to tell when a rollout has taken too long.
type waiting map[manifests.ID]time.Time

// late returns timeout when the object has been on its way for longer, and 0 otherwise.
func (w waiting) late(id manifests.ID, found health.Health, timeout time.Duration, now time.Time) time.Duration {
	if found.Word != health.InProgress && found.Word != health.Terminating {
		if len(w) > 0 { // most of the time nothing is on its way, and this is asked of every object
			delete(w, id)
		}
		return 0
	}
	since, known := w[id]
	if !known {
		w[id] = now
		return 0
	}
	if now.Sub(since) < timeout {
		return 0
	}
	return timeout
}

// restart begins the time of one object anew.
func (w waiting) restart(id manifests.ID) { delete(w, id) }

// keep forgets what is neither in set nor leaving.
func (w waiting) keep(set *manifests.Set, leaving map[manifests.ID]bool) {
	maps.DeleteFunc(w, func(id manifests.ID, _ time.Time) bool {
		_, wanted := set.Find(id)
		_, leaves := leaving[id]
		return !wanted && !leaves
	})
}

// next returns when the first object that was not late at a time becomes so; zero when none will.
func (w waiting) next(timeout time.Duration, after time.Time) time.Time {
	var first time.Time
	for _, since := range w {
		due := since.Add(timeout)
		if due.After(after) && (first.IsZero() || due.Before(first)) {
			first = due
		}
	}
	return first
}
