package reconcile

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/reconcile/inventory"
)

// adopt makes an object ours that exists and is not of the set, or refuses to. What its former tool owned becomes ours first, in a request
// of its own, so that the apply removes what Git does not name; a crash between the two leaves an object that is adopted like any other.
func (w *write) adopt(ctx context.Context) error {
	live, err := w.look(ctx)
	if err != nil {
		return err
	}
	w.out.op = diff.Adopt
	found := inventory.Examine(w.loop.parent.ID(), w.target.gvr.GroupVersion().String(), live)
	if found.Refused != "" {
		w.out.op = diff.Conflict
		return w.loop.refusal(ctx, live, found, w.target)
	}
	w.uid = string(live.UID)
	if err := w.begin(ctx); err != nil {
		return err
	}
	if w.object.CreateOnly {
		return w.join(ctx)
	}
	w.out.from = found.From
	if w.object, err = w.loop.adoptable(ctx, w.object, new(reduce(w.loop.parent.ID(), w.object.ID, live))); err != nil {
		return err
	}
	if err := w.rewrite(ctx, live, found.Taken); err != nil {
		return err
	}
	stored, err := w.apply(ctx, precondition{uid: w.uid}, false)
	return w.mend(ctx, stored, err)
}

// join makes an object a member of the set, and leaves it as it is otherwise.
func (w *write) join(ctx context.Context) error {
	content, err := json.Marshal(map[string]any{
		"apiVersion": w.object.GroupVersionKind().GroupVersion().String(), "kind": w.object.ID.Kind,
		"metadata": map[string]any{
			"name": w.object.ID.Name, "namespace": w.object.ID.Namespace, "uid": w.uid,
			"labels": map[string]string{inventory.PartOfLabel: w.loop.parent.ID()},
		},
	})
	if err != nil {
		return err
	}
	return w.record(w.loop.cluster.apply(ctx, applyRequest{
		target: w.target, namespace: w.object.ID.Namespace, name: w.object.ID.Name, body: content,
	}))
}

// look reads the metadata of the object that is there instead of the one to be created.
func (w *write) look(ctx context.Context) (*metav1.PartialObjectMetadata, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	live, err := w.loop.cluster.object(w.target, w.object.ID.Namespace).Get(ctx, w.object.ID.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err), err == nil && live.DeletionTimestamp != nil:
		return nil, &Failure{Class: Conflict, Reason: "Conflict", Text: "an object of its name is being deleted; it is created when that is gone"}
	case err != nil:
		return nil, err
	}
	return live, nil
}

// rewrite stores managedFields, and removes what kubectl apply leaves behind, if the object is still the one that was looked at.
func (w *write) rewrite(ctx context.Context, live *metav1.PartialObjectMetadata, fields []metav1.ManagedFieldsEntry) error {
	type operation struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value any    `json:"value,omitempty"`
	}
	patch := []operation{{"test", "/metadata/uid", live.UID}, {"replace", "/metadata/resourceVersion", live.ResourceVersion}}
	if fields != nil {
		patch = append(patch, operation{"replace", "/metadata/managedFields", fields})
	}
	if _, ok := live.Annotations[inventory.LastAppliedAnnotation]; ok {
		path := "/metadata/annotations/" + strings.ReplaceAll(inventory.LastAppliedAnnotation, "/", "~1")
		patch = append(patch, operation{Op: "remove", Path: path})
	}
	if len(patch) == 2 {
		return nil
	}
	content, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
	defer cancel()
	_, err = w.loop.cluster.object(w.target, live.Namespace).
		Patch(ctx, live.Name, types.JSONPatchType, content, metav1.PatchOptions{FieldManager: inventory.FieldManager})
	return err
}

// refusal says why an object stays as it is, and the way out. Nothing but a person can change that, so it is tried again at leisure.
func (l *Loop) refusal(ctx context.Context, live metav1.Object, found inventory.Finding, target resource) *Failure {
	if found.Set == "" {
		return foreign(found.Refused)
	}
	where := ""
	if live.GetNamespace() != "" {
		where = " -n " + live.GetNamespace()
	}
	return &Failure{Class: Slow, Reason: string(OwnershipConflict), Text: fmt.Sprintf(
		"it belongs to %s: take it out of one of the two repositories; once nobody applies that set any more, "+
			"kubectl label %s %s%s %s- sets it free", l.nameOfSet(ctx, live.GetNamespace(), found.Set), target.gvr.GroupResource(),
		live.GetName(), where, inventory.PartOfLabel)}
}

// foreign is the failure to adopt what a controller made.
func foreign(why string) *Failure {
	return &Failure{Class: Slow, Reason: string(OwnershipConflict), Text: why + ": give the manifest another name"}
}

// nameOfSet finds the parent of another set where it most likely is, or else calls the set by its ID. It is a courtesy: what cannot be
// read is passed over.
func (l *Loop) nameOfSet(ctx context.Context, namespace, set string) string {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	sync, syncs := syncParent("", "")
	file, configMaps := fileParent("", "")
	namespaces := []string{l.sync.Namespace, namespace}
	for _, in := range slices.DeleteFunc(slices.Compact(namespaces), func(ns string) bool { return ns == "" }) {
		for kind, target := range map[string]resource{sync.Kind: syncs, file.Kind: configMaps} {
			list, err := l.cluster.object(target, in).List(ctx, metav1.ListOptions{LabelSelector: inventory.IDLabel + "=" + set, Limit: 1})
			if err == nil && len(list.Items) > 0 {
				return kind + " " + in + "/" + list.Items[0].Name
			}
		}
	}
	return "another set, " + set
}
