package verdict

import (
	"context"
	"errors"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/rest"
	kjson "sigs.k8s.io/json"
)

// Update returns the API server's verdict on replacing the object old by the object new in namespace. Both are JSON: old as the
// server has it, new as a PUT would send it. It returns false when no strategy is linked for the kind, or when old is not an
// object of that kind.
//
// A field that cannot change any more is a cause at its path, or at that of the struct around it where the server compares the
// whole; the message tells the rule and never a value. A new object without a resourceVersion is taken for the newest where the
// kind's strategy allows that. Without an old object (old is nil), the kinds that can be created by a PUT are judged as created.
func Update(gvk schema.GroupVersionKind, namespace string, old, new []byte) (Verdict, bool) {
	kind, ok := kinds()[gvk]
	if !ok {
		return Verdict{}, false
	}
	obj, causes := decode(kind.scheme, gvk, new)
	var existing runtime.Object
	if old != nil {
		var err error
		if existing, err = kind.stored(gvk, old); err != nil {
			return Verdict{}, false
		}
	}
	if len(causes) > 0 {
		return Verdict{Causes: causes}, true
	}
	ctx := kind.request(gvk, "update", namespace)
	switch {
	case old == nil && !kind.strategy.AllowCreateOnUpdate(ctx):
		return refusal("metadata.name", metav1.CauseTypeFieldValueNotFound, errors.New("there is no such object to update")), true
	case old == nil:
		return kind.post(gvk, namespace, obj), true
	}
	obj, err := kind.internal(obj)
	if err != nil {
		return unconvertible(), true
	}
	return kind.update(ctx, obj, existing), true
}

// stored reads an object that the server has. It may come from a newer server, so fields that are unknown here are passed over.
func (k linked) stored(gvk schema.GroupVersionKind, json []byte) (runtime.Object, error) {
	obj, err := k.scheme.New(gvk)
	if err != nil {
		return nil, err
	}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(json, obj); err != nil {
		return nil, err
	}
	return k.internal(obj)
}

// update follows Update in k8s.io/apiserver/pkg/registry/generic/registry/store.go and BeforeUpdate in
// k8s.io/apiserver/pkg/registry/rest/update.go, whose error would hold the causes as text only, with the values in it.
func (k linked) update(ctx context.Context, obj, old runtime.Object) (v Verdict) {
	defer recovered(&v)
	object, err := meta.Accessor(obj)
	if err != nil {
		return refusal("metadata", metav1.CauseTypeFieldValueInvalid, err)
	}
	before, err := meta.Accessor(old)
	if err != nil {
		return refusal("metadata", metav1.CauseTypeFieldValueInvalid, err)
	}
	if err := k.settleResourceVersion(ctx, object, before); err != nil {
		return refusal("metadata.resourceVersion", metav1.CauseTypeFieldValueInvalid, err)
	}
	if k.beginUpdate != nil {
		if err := k.beginUpdate(ctx, obj, old); err != nil {
			return refusedByStore(err)
		}
	}
	expected := rest.ExpectedNamespaceForScope(before.GetNamespace(), k.strategy.NamespaceScoped())
	if err := rest.EnsureObjectNamespaceMatchesRequestNamespace(expected, object); err != nil {
		return refusal("metadata.namespace", metav1.CauseTypeFieldValueInvalid, err)
	}
	object.SetGeneration(before.GetGeneration())
	ctx, heard := k.listen(ctx)
	dedupOwners(ctx, object)
	k.strategy.PrepareForUpdate(ctx, obj, old)
	keepSystemFields(object, before)
	if errs := rest.ValidateUpdate(ctx, obj, old, k.strategy); len(errs) > 0 {
		return Verdict{Causes: causes(errs)}
	}
	return heard.verdict(k.strategy.WarningsOnUpdate(ctx, obj, old))
}

// settleResourceVersion gives an object without a version that of the old one, where the kind allows to update whatever is there.
func (k linked) settleResourceVersion(ctx context.Context, object, before metav1.Object) error {
	switch version := object.GetResourceVersion(); {
	case version == before.GetResourceVersion():
		return nil
	case version != "" && version != "0":
		return errors.New("the object has been modified since: get the latest version and apply the change to that")
	case !k.strategy.AllowUnconditionalUpdate(ctx):
		return errors.New("must be specified for an update")
	}
	object.SetResourceVersion(before.GetResourceVersion())
	return nil
}

// keepSystemFields is the part of BeforeUpdate that undoes changes to what the server owns; managedFields are written before it.
func keepSystemFields(object, before metav1.Object) {
	object.SetManagedFields(before.GetManagedFields())
	if object.GetUID() == "" {
		object.SetUID(before.GetUID())
	}
	if created := before.GetCreationTimestamp(); !created.IsZero() {
		object.SetCreationTimestamp(created)
	}
	if !before.GetDeletionTimestamp().IsZero() {
		object.SetDeletionTimestamp(before.GetDeletionTimestamp())
	}
	if before.GetDeletionGracePeriodSeconds() != nil && object.GetDeletionGracePeriodSeconds() == nil {
		object.SetDeletionGracePeriodSeconds(before.GetDeletionGracePeriodSeconds())
	}
}
