package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kilter.dev/kilter/internal/phrase"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/reconcile/inventory"
)

// Taken is what an apply took over from another field manager.
type Taken struct {
	Manager string
	Fields  []string // as the server names them: ".spec.replicas"
}

// String renders the manager and the first fields: "kubectl-edit (.spec.replicas and 2 more)".
func (t Taken) String() string {
	return fmt.Sprintf("%s (%s)", t.Manager, phrase.Few(t.Fields, 3))
}

// written is what came of one object's write.
type written struct {
	op    diff.Op    // what it turned out to be
	live  *diff.Live // what the server holds now
	from  string     // of an Adopt: whose it was
	taken []Taken    // what others owned, and had other values in
}

// write applies one object. Usually that is one request:
//
//	Create   an apply that fails where anything exists; what exists is looked at, and adopted or left alone
//	Update   a polite apply; where it meets another manager's fields the server names them, and a forced one takes them over; what is known
//	         beforehand to meet some, and whose, is forced at once
//	Conflict what is seen to be somebody else's is left alone without a request; of the rest it is looked whether it still is
//
// What was never applied, although it is of the set, is adopted as well: its former tool may still own what Git does not name.
//
// What the server refuses because of a leftover that Git does not name is applied again without it; and what it refuses because a field
// must not change is replaced where that is allowed.
func (l *Loop) write(ctx context.Context, action diff.Action, places map[place]resource) (written, error) {
	target, err := l.target(action.Object, places)
	if err != nil {
		return written{}, err
	}
	w := &write{loop: l, action: action, object: action.Object, target: target, out: written{op: action.Op}}
	if action.Live != nil {
		w.uid, w.run = string(action.Live.UID), action.Live.Job
	}
	switch {
	case action.Live == nil:
		w.out.op = diff.Create
		err = w.create(ctx)
	case action.Op == diff.Conflict:
		err = foreign(action.Reason)
	case action.Op == diff.Replace:
		err = w.makeWay(ctx)
	case action.Live.Applied == "":
		err = w.adopt(ctx)
	default:
		err = w.update(ctx)
	}
	w.abandon(ctx, err)
	return w.out, err
}

// target finds where an object is reached.
func (l *Loop) target(object *manifests.Object, places map[place]resource) (resource, error) {
	target, ok := places[placeOf(object.ID)]
	if !ok {
		// The kind is defined in this very commit, and its CRD was established a moment ago.
		l.cluster.mapper.Reset()
		var err error
		target, err = l.cluster.resolve(object.ID.GroupKind(), object.Version)
		switch {
		case meta.IsNoMatchError(err):
			return resource{}, &Failure{Class: Transient, Reason: "UnknownKind", Text: "the API server does not serve its kind yet"}
		case err != nil:
			return resource{}, err
		}
		defer signal(l.observer.changed) // for the next pass to watch it
	}
	target.gvr.Version = object.Version
	return target, nil
}

// write is one object on its way to the server.
type write struct {
	loop   *Loop
	action diff.Action
	object *manifests.Object // as it is applied
	target resource
	uid    string         // of the object that is changed; empty while that is not known
	run    *diff.JobState // of a Job: which run it is
	begun  bool           // by this write
	out    written
}

// create applies the object if nothing of its name exists. Objects that nobody told Kilter of are not forced over unseen.
func (w *write) create(ctx context.Context) error {
	if w.action.Asked != "" {
		// A Job that exists is no answer to whoever asks for a run: it becomes ours first, as a run of its own.
		if _, err := w.look(ctx); err == nil {
			w.action.Asked = ""
		}
	}
	if err := w.begin(ctx); err != nil {
		return err
	}
	stored, err := w.apply(ctx, precondition{resourceVersion: neverStored}, false)
	if exists(err) {
		return w.adopt(ctx)
	}
	return w.record(stored, err)
}

// update applies the object to the one that exists, and takes over what is in its way.
func (w *write) update(ctx context.Context) error {
	if err := w.begin(ctx); err != nil {
		return err
	}
	if w.action.Ends {
		return w.endException(ctx)
	}
	if w.object.Run != nil && !w.startedByOthers() {
		grown := *w.run
		grown.Identity.Indexes = w.object.Run.Indexes
		w.run = &grown
	}
	stored, err := w.apply(ctx, precondition{}, !w.meets())
	if taken := fieldConflicts(err); len(taken) > 0 {
		if excepted(taken) {
			return &Failure{Class: Conflict, Reason: "Conflict", Text: "somebody has suspended it meanwhile; the next pass knows until when"}
		}
		w.out.taken = taken
		stored, err = w.apply(ctx, precondition{}, false)
	}
	return w.mend(ctx, stored, err)
}

// meets reports whether the apply would meet fields that others have changed, all of them known by name. Of a CronJob nobody knows before
// the server has answered: somebody may have suspended it a moment ago.
func (w *write) meets() bool {
	return len(w.action.Drift) > 0 && w.object.ID.GroupKind() != cronJobKind
}

func (w *write) apply(ctx context.Context, only precondition, polite bool) (*metav1.PartialObjectMetadata, error) {
	content, err := body(w.object, marks{w.loop.parent.ID(), w.run}, only)
	if err != nil {
		return nil, err
	}
	return w.loop.cluster.apply(ctx, applyRequest{
		target: w.target, namespace: w.object.ID.Namespace, name: w.object.ID.Name, body: content, polite: polite,
	})
}

// record takes the server's answer to an apply as observed.
func (w *write) record(stored *metav1.PartialObjectMetadata, err error) error {
	if err != nil {
		return err
	}
	w.out.live = w.loop.observer.record(w.object.ID, stored)
	// What is observed may be newer than the answer: somebody was quicker to change the object than the answer to arrive.
	w.loop.sight.expect(w.object, reduce(w.loop.parent.ID(), w.object.ID, stored).Fields)
	w.loop.fights.applied(w.object, w.culprits(), w.loop.clock())
	return nil
}

// culprits are those who had changed what was applied, as far as the server tells.
func (w *write) culprits() []string {
	var all []string
	for _, change := range w.action.Drift {
		all = append(all, change.String())
	}
	for _, taken := range w.out.taken {
		if !slices.ContainsFunc(w.action.Drift, func(c inventory.Change) bool { return c.Manager == taken.Manager }) {
			all = append(all, "changed by "+taken.Manager+": "+phrase.Few(taken.Fields, 3))
		}
	}
	return all
}

// exists reports whether an apply was refused because of the resourceVersion in it.
func exists(err error) bool { return apierrors.IsConflict(err) && len(fieldConflicts(err)) == 0 }

// fieldConflicts returns who owns the fields that a polite apply met, sorted by manager. The server writes each as
// `conflict with "kubectl-edit" using apps/v1`; see k8s.io/apimachinery/pkg/util/managedfields/internal/conflict.go.
func fieldConflicts(err error) []Taken {
	status := apierrors.APIStatus(nil)
	if !errors.As(err, &status) || status.Status().Details == nil {
		return nil
	}
	var taken []Taken
	for _, cause := range status.Status().Details.Causes {
		if cause.Type != metav1.CauseTypeFieldManagerConflict {
			continue
		}
		_, manager, _ := strings.Cut(cause.Message, `"`)
		manager, _, _ = strings.Cut(manager, `"`)
		i := slices.IndexFunc(taken, func(t Taken) bool { return t.Manager == manager })
		if i < 0 {
			i = len(taken)
			taken = append(taken, Taken{Manager: manager})
		}
		taken[i].Fields = append(taken[i].Fields, cause.Field)
	}
	slices.SortFunc(taken, func(a, b Taken) int { return strings.Compare(a.Manager, b.Manager) })
	return taken
}
