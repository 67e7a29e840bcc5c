package reconcile

import (
	"context"
	"slices"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/reconcile/inventory"
)

// prune deletes what the plan wants deleted. Each deletion is decided once more on the object as the server has it now, and holds for
// that very object only. What has to go later is not in this plan: see diff.Compute.
func (l *Loop) prune(ctx context.Context, plan diff.Plan, places map[place]resource) []Change {
	var mu sync.Mutex
	var deleting sync.WaitGroup
	var changes []Change
	for i := range plan.Actions {
		if plan.Actions[i].Op != diff.Delete {
			continue
		}
		action := plan.Actions[i]
		if l.cluster.throttle.take(ctx) != nil {
			break
		}
		deleting.Go(func() {
			change := l.act(action, func() error { return l.delete(ctx, action, places[placeOf(action.ID)]) })
			l.cluster.throttle.give(change.Took)
			mu.Lock()
			defer mu.Unlock()
			changes = append(changes, change)
		})
	}
	deleting.Wait()
	slices.SortFunc(changes, func(a, b Change) int { return a.ID.Compare(b.ID) })
	return changes
}

// delete deletes one object if it still is what the plan took it for: a watch may lag, and what somebody else has meanwhile
// put in its place is not ours. Like an apply, a deletion that has begun is not cut off.
func (l *Loop) delete(ctx context.Context, action diff.Action, target resource) error {
	if refused := l.tenancy.refuses(l.sync.Namespace, action.ID); refused != nil {
		return &Failure{Class: Slow, Reason: string(metav1.StatusReasonForbidden), Text: "it " + refused.text + "; it stays"}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
	defer cancel()
	live, err := l.cluster.object(target, action.ID.Namespace).Get(ctx, action.ID.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return err
	case inventory.Kept(live.Annotations) != "":
		return &Failure{Class: Conflict, Reason: string(OwnershipConflict), Text: "it was annotated a moment ago to be kept; it stays"}
	case live.UID != action.Live.UID || !inventory.Member(l.parent.ID(), live):
		return &Failure{
			Class: Conflict, Reason: string(OwnershipConflict),
			Text: "it is no longer ours: somebody replaced it or took its label; it stays",
		}
	}
	if err := l.cluster.delete(ctx, target, live, metav1.DeletePropagationBackground); err != nil {
		return err
	}
	l.observer.deleted(action.ID, live.UID)
	return nil
}
