package reconcile

import (
	"context"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/reconcile/inventory"
)

// mostAsked is how many objects one pass reads to tell who changed them. Of the others it says that somebody did.
const mostAsked = 20

// named computes the plan, and says who changed what somebody changed while no watch saw it, such as before a restart: one GET for each such
// object. What a watch saw costs nothing; see placeWatch.owners.
func (l *Loop) named(ctx context.Context, in diff.Input) diff.Plan {
	plan := diff.Compute(in)
	asked := 0
	for i := range plan.Actions {
		action := &plan.Actions[i]
		if !action.Drifted || action.Live.Owners != nil || asked == mostAsked {
			continue
		}
		asked++
		if owners, err := l.owners(ctx, action.ID); err == nil {
			k := slices.IndexFunc(in.Desired, func(w diff.Wanted) bool { return w.Object == action.Object })
			in.Desired[k].Live = l.observer.owned(action.Live, owners)
		}
	}
	if asked == 0 {
		return plan
	}
	return diff.Compute(in)
}

// owners reads who owns which fields of an object. No failure is worth a word: the drift is told without a name.
func (l *Loop) owners(ctx context.Context, id manifests.ID) (*metav1.PartialObjectMetadata, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return l.cluster.object(l.places[placeOf(id)], id.Namespace).Get(ctx, id.Name, metav1.GetOptions{})
}

// owned returns what was observed of an object with who owns its fields, and keeps that as long as nobody changes ours again.
func (o *observer) owned(live *diff.Live, object *metav1.PartialObjectMetadata) *diff.Live {
	if entry := inventory.Entry(object); entry == nil || fieldsHash(entry.FieldsV1.GetRawBytes()) != live.Fields {
		return live // it has changed meanwhile, and the event that tells so is on its way
	}
	own := func(live *diff.Live) { live.Owners = object.ManagedFields }
	if w := o.watches[placeOf(live.ID)]; w != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		if known, ok := w.live[live.ID]; ok && known.Fields == live.Fields {
			w.put(with(known, own))
		}
	}
	return with(live, own)
}
