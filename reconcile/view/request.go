package view

import (
	"context"
	"encoding/json"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile"
)

// fieldManager is the name under which people's requests are written.
const fieldManager = "kilter-cli"

// await watches one object until done says so; where it is deleted before that the error is a NotFoundError.
func (r *Reader) await(ctx context.Context, id manifests.ID, done func(*unstructured.Unstructured) (bool, error)) error {
	mapping, err := r.kinds.RESTMapping(id.GroupKind())
	if err != nil {
		return r.cluster.Explain(err)
	}
	source := reconcile.One(r.cluster.Dynamic().Resource(mapping.Resource).Namespace(id.Namespace), id.Name)
	gone := func(known cache.Store) (bool, error) {
		if len(known.List()) == 0 {
			return false, notFound("%s was deleted before its outcome was known", id)
		}
		return false, nil
	}
	_, err = watchtools.UntilWithSync(ctx, source, &unstructured.Unstructured{}, gone, func(event watch.Event) (bool, error) {
		object, ok := event.Object.(*unstructured.Unstructured)
		if event.Type == watch.Deleted || !ok {
			return false, notFound("%s was deleted before its outcome was known", id)
		}
		return done(object)
	})
	if cause := ctx.Err(); cause != nil && err != nil {
		return cause
	}
	return err
}

// Request asks for a pass of a Sync object now. The Sync's status answers with the value, which has to be a new one.
func (r *Reader) Request(ctx context.Context, set Set, value string) error {
	return r.patch(ctx, set, map[string]any{
		"metadata": map[string]any{"annotations": map[string]any{v1alpha1.RequestedAtAnnotation: value}},
	})
}

// Suspend sets spec.suspend of a Sync object.
func (r *Reader) Suspend(ctx context.Context, set Set, suspend bool) error {
	return r.patch(ctx, set, map[string]any{"spec": map[string]any{"suspend": suspend}})
}

// patch changes a Sync object by a merge patch.
func (r *Reader) patch(ctx context.Context, set Set, change map[string]any) error {
	mapping, err := r.kinds.RESTMapping(syncKind)
	if err != nil {
		return r.cluster.Explain(err)
	}
	content, err := json.Marshal(change)
	if err != nil {
		return err
	}
	_, err = r.cluster.Metadata().Resource(mapping.Resource).Namespace(set.Namespace).
		Patch(ctx, set.Name, types.MergePatchType, content, metav1.PatchOptions{FieldManager: fieldManager})
	return r.failed("change Sync "+set.SyncName(), err)
}

// AwaitAnswer waits until a Sync's status answers a Request and nothing moves any more, and returns the Sync.
func (r *Reader) AwaitAnswer(ctx context.Context, set Set, value string) (*v1alpha1.Sync, error) {
	var answered v1alpha1.Sync
	id := manifests.ID{Group: syncKind.Group, Kind: syncKind.Kind, Namespace: set.Namespace, Name: set.Name}
	err := r.await(ctx, id, func(u *unstructured.Unstructured) (bool, error) {
		answered = v1alpha1.Sync{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &answered); err != nil {
			return false, err
		}
		conditions := answered.Status.Conditions
		moving := meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionReconciling)
		return answered.Status.LastHandledReconcileAt == value && !moving, nil
	})
	return &answered, err
}
