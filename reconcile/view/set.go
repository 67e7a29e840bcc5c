package view

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/internal/phrase"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/inventory"
)

// Set is what one Sync keeps, as its inventory names it.
type Set struct {
	inventory.Parent
	Contents inventory.Contents
	UID      types.UID      // of the parent
	Sync     *v1alpha1.Sync // the object; nil when the Sync is a file, and its parent a ConfigMap
	Created  metav1.Time
}

// SyncName returns the Sync's name, "namespace/name".
func (s Set) SyncName() string { return s.Namespace + "/" + s.baseName() }

// baseName returns the Sync's name without its namespace.
func (s Set) baseName() string {
	if s.Sync != nil {
		return s.Name
	}
	return strings.TrimPrefix(s.Name, filePrefix)
}

// filePrefix begins the name of the ConfigMap that is the parent when a Sync is a file.
const filePrefix = "kilter-"

// The kinds of parents.
var (
	syncKind      = schema.GroupKind{Group: v1alpha1.GroupVersion.Group, Kind: v1alpha1.SyncKind}
	jobRunKind    = schema.GroupKind{Group: v1alpha1.GroupVersion.Group, Kind: v1alpha1.JobRunKind}
	configMapKind = schema.GroupKind{Kind: "ConfigMap"}
)

// newSet reads a parent; ok is false for an object that is none.
func newSet(u *unstructured.Unstructured) (set Set, ok bool) {
	gv := u.GroupVersionKind().GroupVersion()
	set = Set{
		Parent:  inventory.Parent{GroupVersion: gv, Kind: u.GetKind(), Namespace: u.GetNamespace(), Name: u.GetName()},
		UID:     u.GetUID(),
		Created: u.GetCreationTimestamp(),
	}
	listed := false
	set.Contents, listed = set.Read(u.GetAnnotations())
	if u.GetKind() != v1alpha1.SyncKind {
		return set, listed && strings.HasPrefix(u.GetName(), filePrefix) && u.GetLabels()[inventory.IDLabel] == set.ID()
	}
	set.Sync = &v1alpha1.Sync{}
	err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, set.Sync)
	return set, err == nil // a Sync that has applied nothing yet lists nothing
}

// Sets returns the sets whose parents are in a namespace, or anywhere when it is empty, sorted by the names of their Syncs.
func (r *Reader) Sets(ctx context.Context, namespace string) ([]Set, error) {
	return r.sets(ctx, namespace, "")
}

// sets finds parents by a label selector.
func (r *Reader) sets(ctx context.Context, namespace, selector string) ([]Set, error) {
	var all []Set
	for _, kind := range []schema.GroupKind{syncKind, configMapKind} {
		only := selector
		if kind == configMapKind {
			only = cmp.Or(selector, inventory.IDLabel)
		}
		parents, err := r.list(ctx, place{kind, namespace}, only)
		switch {
		case meta.IsNoMatchError(err): // Kilter runs from files alone
		case err != nil:
			return nil, fmt.Errorf("cannot list the Syncs%s: %w", in(namespace), r.cluster.Explain(err))
		}
		for _, parent := range parents {
			if set, ok := newSet(parent); ok {
				all = append(all, set)
			}
		}
	}
	slices.SortFunc(all, func(a, b Set) int {
		return cmp.Or(cmp.Compare(a.SyncName(), b.SyncName()), cmp.Compare(b.Kind, a.Kind))
	})
	return all, nil
}

// Set returns the set of the Sync of that name: of the Sync object or, where there is none, of the file's ConfigMap. When there is neither it
// returns a NotFoundError, with the names there are. One that may not be read is passed over if the other can be.
func (r *Reader) Set(ctx context.Context, namespace, name string) (Set, error) {
	var forbidden error
	for _, id := range []manifests.ID{
		{Group: syncKind.Group, Kind: syncKind.Kind, Namespace: namespace, Name: name},
		{Kind: configMapKind.Kind, Namespace: namespace, Name: filePrefix + name},
	} {
		if _, err := r.kinds.RESTMapping(id.GroupKind()); meta.IsNoMatchError(err) {
			continue
		}
		parent, err := r.get(ctx, id)
		switch {
		case isNotFound(err):
			continue
		case isForbidden(err):
			forbidden = cmp.Or(forbidden, err)
			continue
		case err != nil:
			return Set{}, err
		}
		if set, ok := newSet(parent); ok {
			return set, nil
		}
	}
	if forbidden != nil {
		return Set{}, forbidden
	}
	others, err := r.Sets(ctx, namespace)
	if err != nil || len(others) == 0 {
		return Set{}, notFound("there is no Sync %s/%s; kilter get syncs -A lists all", namespace, name)
	}
	names := make([]string, len(others))
	for i, o := range others {
		names[i] = o.baseName()
	}
	return Set{}, notFound("there is no Sync %s/%s; that namespace has %s", namespace, name, phrase.Few(names, 5))
}

// setOf returns the set of an ID, looking for its parent in a namespace first and then in all; a NotFoundError when it is gone.
func (r *Reader) setOf(ctx context.Context, id, namespace string) (Set, error) {
	for _, where := range []string{namespace, ""} {
		found, err := r.sets(ctx, where, inventory.IDLabel+"="+id)
		if err != nil && !isForbidden(err) {
			return Set{}, err
		}
		for _, set := range found {
			if set.ID() == id {
				return set, nil
			}
		}
	}
	return Set{}, notFound("the Sync of the set %s is gone, or in a namespace that you may not look into", id)
}

// in returns " in namespace x", or nothing for all of them.
func in(namespace string) string {
	if namespace == "" {
		return ""
	}
	return " in namespace " + namespace
}
