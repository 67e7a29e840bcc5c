package reconcile

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/reconcile/health"
	"kilter.dev/kilter/reconcile/inventory"
)

// irreplaceable are the kinds whose deletion takes data along, or what others made. No annotation allows to replace them.
var irreplaceable = map[schema.GroupKind]string{
	{Kind: "Namespace"}:             "everything in it",
	{Kind: "PersistentVolume"}:      "its data",
	{Kind: "PersistentVolumeClaim"}: "its data",
	{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}: "every object of its kind",
}

// replace deletes an object one of whose fields has to change and must not, if its manifest allows it and the server would take the new one.
// The new one is created when the old one is gone, by a later pass.
func (w *write) replace(ctx context.Context, refused *Failure) error {
	if out := wayOut(w.object); out != "" {
		return refused.because(out)
	}
	if err := w.loop.rehearse(ctx, w.object, w.target); err != nil {
		return newFailure(err, w.loop.cluster.host).because("so it was not replaced")
	}
	live, err := w.look(ctx)
	if err != nil {
		return err
	}
	if found := inventory.Examine(w.loop.parent.ID(), "", live); found.Refused != "" || w.uid != "" && w.uid != string(live.UID) {
		return notOurs()
	}
	if err := w.loop.cluster.delete(ctx, w.target, live, metav1.DeletePropagationBackground); err != nil {
		return err
	}
	if w.out.op == diff.Adopt { // of which no watch will tell that it is gone
		return &Failure{Class: Conflict, Reason: "Conflict", Text: "it was deleted to be replaced; the new one is created when the old one is gone"}
	}
	w.loop.observer.deleted(w.object.ID, live.UID)
	w.out.op = diff.Replace
	w.out.live = &diff.Live{ID: w.object.ID, UID: live.UID, Health: health.Health{
		Word: health.Terminating, Reason: health.ReasonDeleting, Message: "deleted, to be created anew",
	}}
	return nil
}

// notOurs is the failure to delete what was ours when the pass began.
func notOurs() *Failure {
	return &Failure{Class: Conflict, Reason: string(OwnershipConflict), Text: "somebody else replaced it or took it over; it is looked at again"}
}

// wayOut says what can be done about a change that the server never makes to an object which exists; empty when the object may be replaced.
func wayOut(object *manifests.Object) string {
	if goes := losses(object); goes != "" {
		return fmt.Sprintf("it is never replaced, since %s would go with it: put the field back", goes)
	}
	if annotation(object, v1alpha1.RecreateAnnotation) != v1alpha1.RecreateAllowed {
		return fmt.Sprintf("put the field back, or let Kilter delete the object and create it anew: annotate it %s: %s",
			v1alpha1.RecreateAnnotation, v1alpha1.RecreateAllowed)
	}
	return ""
}

// losses names what the deletion of the object would take along that its manifest does not bring back; or "".
func losses(object *manifests.Object) string {
	var content struct {
		Spec struct {
			Retention struct {
				WhenDeleted string `json:"whenDeleted"`
			} `json:"persistentVolumeClaimRetentionPolicy"`
		} `json:"spec"`
	}
	if object.ID.GroupKind() == (schema.GroupKind{Group: "apps", Kind: "StatefulSet"}) &&
		json.Unmarshal(object.JSON, &content) == nil && content.Spec.Retention.WhenDeleted == "Delete" {
		return "the data of its claims"
	}
	return irreplaceable[object.ID.GroupKind()]
}

// annotation returns an annotation of the manifest.
func annotation(object *manifests.Object, key string) string {
	content, err := marked(object, marks{}, precondition{})
	if err != nil {
		return ""
	}
	return content.GetAnnotations()[key]
}

// rehearse asks the server by a dry run whether it would create the object. Where one exists, the best answer is that it does: by then
// everything else was in order; see Store.Create in k8s.io/apiserver/pkg/registry/generic/registry.
func (l *Loop) rehearse(ctx context.Context, object *manifests.Object, target resource) error {
	content, err := marked(object, marks{setID: l.parent.ID()}, precondition{})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	_, err = l.cluster.dynamic.Resource(target.gvr).Namespace(object.ID.Namespace).Create(ctx, content, metav1.CreateOptions{
		DryRun: []string{metav1.DryRunAll}, FieldManager: inventory.FieldManager, FieldValidation: metav1.FieldValidationStrict,
	})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// delete deletes an object if it is still as it was read. Like an apply, a deletion that has begun is not cut off.
func (c *Cluster) delete(ctx context.Context, r resource, live *metav1.PartialObjectMetadata, how metav1.DeletionPropagation) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
	defer cancel()
	err := c.object(r, live.Namespace).Delete(ctx, live.Name, metav1.DeleteOptions{
		Preconditions:     &metav1.Preconditions{UID: &live.UID, ResourceVersion: &live.ResourceVersion},
		PropagationPolicy: &how,
	})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
