package reconcile

import (
	"context"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/reconcile/health"
	"kilter.dev/kilter/reconcile/inventory"
)

// begin puts the run of a Job that is about to be created on record; so it does with one that exists and was not started by Kilter. Every other
// object has no runs.
func (w *write) begin(ctx context.Context) error {
	if w.object.Run == nil || w.run != nil && w.run.Record != "" {
		return nil
	}
	b := begun{
		job: w.action.ID, record: w.action.Asked, exists: w.action.Asked != "", identity: w.loop.identity(w.action.Object),
		revision: w.loop.revision, origin: w.object.Origin, reason: w.action.Reason,
	}
	if b.exists {
		b.reason = "" // whoever asked has said why
	}
	if b.record == "" {
		last := 0
		for _, run := range w.loop.sight.taken[w.action.ID] { // by another Sync, which had the Job before
			last = max(last, run.Number)
		}
		for _, run := range w.loop.sight.recorded[w.action.ID] {
			last = max(last, run.Number)
		}
		b.record = fmt.Sprintf("%s-%d", w.action.ID.Name, last+1)
	}
	return w.putOnRecord(ctx, b)
}

func (w *write) putOnRecord(ctx context.Context, b begun) error {
	written, err := w.loop.ledger.begin(ctx, b)
	if err != nil {
		refused := newFailure(err, w.loop.cluster.host)
		refused.Text = "its run cannot be put on record: " + refused.Text
		return refused
	}
	w.loop.observer.wrote(written)
	w.run, w.begun = &diff.JobState{Record: b.record, Identity: b.identity}, true
	return nil
}

// abandon takes the record back that this write has begun, if the run is known not to have begun. What cannot be taken back now is found out
// later: see witness.
func (w *write) abandon(ctx context.Context, err error) {
	if w.begun && err != nil && newFailure(err, w.loop.cluster.host).Class != Transient {
		_ = w.loop.takeBack(ctx, jobRunID(w.action.ID.Namespace, w.run.Record), w.action.Asked != "")
	}
}

// makeWay deletes a Job that is to run again. The new one is created when it is gone with its pods, by a later pass.
func (w *write) makeWay(ctx context.Context) error {
	live, err := w.look(ctx)
	if err != nil {
		return err
	}
	if w.uid != string(live.UID) || !inventory.Member(w.loop.parent.ID(), live) {
		return notOurs()
	}
	if err := w.loop.rehearse(ctx, w.object, w.target); err != nil {
		return newFailure(err, w.loop.cluster.host).because("so the Job that exists was not replaced")
	}
	if err := w.loop.close(ctx, w.action.Live); err != nil {
		return err
	}
	if err := w.loop.cluster.delete(ctx, w.target, live, metav1.DeletePropagationForeground); err != nil {
		return err
	}
	w.loop.observer.deleted(w.object.ID, live.UID)
	w.out.live = &diff.Live{ID: w.object.ID, UID: live.UID, Health: health.Health{
		Word: health.Terminating, Reason: health.ReasonDeleting, Message: "deleted, to run again",
	}}
	return nil
}

// close puts the end of a run on record whose Job is about to be deleted to make way for the next.
func (l *Loop) close(ctx context.Context, live *diff.Live) error {
	status := statusOf(live)
	if status.Outcome == "" {
		status.Outcome, status.Message = v1alpha1.RunReplaced, "deleted to make way for the next run: "+live.Health.Message
	}
	return l.settle(ctx, jobRunID(live.ID.Namespace, live.Job.Record), status)
}

// startedByOthers reports whether Kilter did not start the Job that exists.
func (w *write) startedByOthers() bool {
	return w.action.Live == nil || w.action.Live.Job == nil || w.action.Live.Job.Record == ""
}

// claim makes a Job ours that exists, was not started by Kilter, and is not what Git wants: as a run of something else. What becomes of it
// is then decided as for every Job, so that one at work is left to finish.
func (w *write) claim(ctx context.Context) error {
	b := begun{job: w.action.ID, record: w.run.Record, exists: true, revision: w.loop.revision, origin: w.object.Origin, reason: "existed already"}
	if err := w.putOnRecord(ctx, b); err != nil {
		return err
	}
	live, err := w.look(ctx)
	if err != nil {
		return err
	}
	content, err := w.claimBody(live)
	if err != nil {
		return err
	}
	var stored *metav1.PartialObjectMetadata
	if inventory.Entry(live) == nil {
		stored, err = w.loop.cluster.apply(ctx, applyRequest{
			target: w.target, namespace: w.object.ID.Namespace, name: w.object.ID.Name, body: content,
		})
	} else { // an apply would take away what is ours and not in it
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
		defer cancel()
		stored, err = w.loop.cluster.object(w.target, live.Namespace).
			Patch(ctx, live.Name, types.MergePatchType, content, metav1.PatchOptions{FieldManager: inventory.FieldManager})
	}
	if err != nil {
		return err
	}
	w.out.live = w.loop.observer.record(w.object.ID, stored)
	return nil
}

// claimBody is what marks a Job as a run of the set's, and holds nothing else of it.
func (w *write) claimBody(live *metav1.PartialObjectMetadata) ([]byte, error) {
	stub := unstructured.Unstructured{Object: map[string]any{}}
	stub.SetGroupVersionKind(w.object.GroupVersionKind())
	stub.SetNamespace(live.Namespace)
	stub.SetName(live.Name)
	stub.SetUID(live.UID)
	if err := (marks{w.loop.parent.ID(), w.run}).set(&stub, ""); err != nil {
		return nil, err
	}
	return json.Marshal(stub.Object)
}
