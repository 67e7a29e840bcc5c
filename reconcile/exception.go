package reconcile

import (
	"context"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/reconcile/inventory"
)

// Exception is an object of which somebody decides a field for a time, where Git would decide otherwise or not at all.
type Exception struct {
	diff.Exception
	ID     manifests.ID
	Live   *diff.Live
	Origin manifests.Origin
}

// exceptions returns the exceptions on the objects of a set, the one that ends first foremost. One that is over and still there could not be
// ended.
func (s *sight) exceptions() []Exception {
	var all []Exception
	for i, object := range s.set.Objects {
		if live := s.objects[i].live; live != nil && live.Exception != nil {
			all = append(all, Exception{Exception: *live.Exception, ID: object.ID, Live: live, Origin: object.Origin})
		}
	}
	slices.SortStableFunc(all, func(a, b Exception) int { return a.Until.Compare(b.Until) })
	return all
}

// nextExpiry returns when the first exception ends that was in force when a pass began; zero when none does.
func nextExpiry(last *Result) time.Time {
	for _, e := range last.Exceptions {
		if e.Until.After(last.Started) {
			return e.Until
		}
	}
	return time.Time{}
}

// excepted reports whether an apply met an exception that the pass did not know of.
func excepted(taken []Taken) bool {
	return slices.ContainsFunc(taken, func(t Taken) bool { return t.Manager == inventory.ExceptionManager })
}

// endException applies the object as Git says, and then takes the exception away. In this order a field that Git names never has its default
// in between: a CronJob that Git suspends too does not run for a moment.
func (w *write) endException(ctx context.Context) error {
	stored, err := w.apply(ctx, precondition{}, false)
	if err := w.mend(ctx, stored, err); err != nil || w.out.op != diff.Update {
		return err
	}
	without, err := w.loop.cluster.withdrawException(ctx, w.object.ID, types.UID(w.uid))
	if err != nil {
		return err
	}
	w.out.live = w.loop.observer.record(w.object.ID, without)
	return nil
}
