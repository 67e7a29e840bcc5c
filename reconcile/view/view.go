// Package view reads the cluster for people who ask: which Syncs there are, what belongs to one and how it is, what its controllers have made, what
// waits for what, how its Jobs have run, and what was said of it all in Events. It changes nothing, save what somebody asks for: a Rerun, a Request,
// a Trigger, a Suspend.
//
// A Reader finds a Set by its name and looks at it: one list for each kind and namespace of its inventory, never one request for each object. What it
// saw is a Sight. From there on everything is pure: Sight.Tree joins the objects, and Tree.Text draws them.
//
// What the reader may not see is left out and named in Gaps; a view that is short of something always says so. Secrets and ConfigMaps are read
// without their data.
package view

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/pager"

	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile"
)

// Reader reads one cluster. It is safe for concurrent use.
type Reader struct {
	cluster *reconcile.Cluster
	kinds   meta.RESTMapper
}

// New returns a Reader of a cluster. It sends no request.
func New(cluster *reconcile.Cluster) *Reader {
	return &Reader{cluster: cluster, kinds: cluster.Kinds()}
}

// NotFoundError says that what was asked for does not exist.
type NotFoundError struct{ text string }

// Error returns what is not there, and the way to find out what is.
func (e *NotFoundError) Error() string { return e.text }

func notFound(format string, args ...any) error { return &NotFoundError{fmt.Sprintf(format, args...)} }

// isNotFound reports whether an error is a NotFoundError.
func isNotFound(err error) bool {
	_, ok := errors.AsType[*NotFoundError](err)
	return ok
}

// Gap is a place that could not be read.
type Gap struct {
	Place string `json:"place"` // "Secret in shop"
	Why   string `json:"why"`
}

// String returns the gap as one sentence.
func (g Gap) String() string { return "not shown: " + g.Place + ": " + g.Why }

// place is one kind in one namespace; an empty namespace is the cluster scope, or, for a kind that has namespaces, all of them.
type place struct {
	kind      schema.GroupKind
	namespace string
}

func (p place) String() string {
	if p.namespace == "" {
		return p.kind.Kind
	}
	return p.kind.Kind + " in " + p.namespace
}

// bare are the kinds that are read without their content: it is large, or secret, and their health does not depend on it.
var bare = map[schema.GroupKind]bool{{Kind: "Secret"}: true, {Kind: "ConfigMap"}: true}

// list reads all objects of a kind in a namespace that match a label selector.
func (r *Reader) list(ctx context.Context, p place, selector string) ([]*unstructured.Unstructured, error) {
	mapping, err := r.kinds.RESTMapping(p.kind)
	if err != nil {
		return nil, err
	}
	if mapping.Scope.Name() == meta.RESTScopeNameRoot {
		p.namespace = ""
	}
	page := func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
		if bare[p.kind] {
			return r.cluster.Metadata().Resource(mapping.Resource).Namespace(p.namespace).List(ctx, o)
		}
		return r.cluster.Dynamic().Resource(mapping.Resource).Namespace(p.namespace).List(ctx, o)
	}
	var all []*unstructured.Unstructured
	err = pager.New(page).EachListItem(ctx, metav1.ListOptions{LabelSelector: selector}, func(item runtime.Object) error {
		object, err := whole(item, mapping.GroupVersionKind)
		all = append(all, object)
		return err
	})
	return all, err
}

// whole returns a list's item with its kind, which the items of a list of metadata lack.
func whole(item runtime.Object, gvk schema.GroupVersionKind) (*unstructured.Unstructured, error) {
	if object, ok := item.(*unstructured.Unstructured); ok {
		return object, nil
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(item)
	if err != nil {
		return nil, err
	}
	object := &unstructured.Unstructured{Object: content}
	object.SetGroupVersionKind(gvk)
	return object, nil
}

// Find returns the ID of what people name as kind/name: "job/migrate", "deploy/web", "sealedsecrets.bitnami.com/token". The namespace is left
// out for kinds that have none. It does not ask whether there is such an object; its error names an unknown kind.
func (r *Reader) Find(namespace, text string) (manifests.ID, error) {
	kind, name, ok := strings.Cut(text, "/")
	if !ok || kind == "" || name == "" || strings.Contains(name, "/") {
		return manifests.ID{}, fmt.Errorf("%q is not of the form kind/name, such as job/migrate", text)
	}
	resource, group := schema.ParseResourceArg(strings.ToLower(kind))
	var gvk schema.GroupVersionKind
	err := error(&meta.NoResourceMatchError{})
	if resource != nil {
		gvk, err = r.kinds.KindFor(*resource)
	}
	if err != nil {
		gvk, err = r.kinds.KindFor(group.WithVersion(""))
	}
	switch {
	case meta.IsNoMatchError(err):
		return manifests.ID{}, notFound("the server knows no kind %q; kubectl api-resources lists those it knows", kind)
	case err != nil:
		return manifests.ID{}, r.cluster.Explain(err)
	}
	mapping, err := r.kinds.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return manifests.ID{}, r.cluster.Explain(err)
	}
	id := manifests.ID{Group: gvk.Group, Kind: gvk.Kind, Name: name}
	if mapping.Scope.Name() != meta.RESTScopeNameRoot {
		id.Namespace = namespace
	}
	return id, nil
}

// get reads one object; NotFoundError where there is none. Those of bare kinds come without their content.
func (r *Reader) get(ctx context.Context, id manifests.ID) (*unstructured.Unstructured, error) {
	mapping, err := r.kinds.RESTMapping(id.GroupKind())
	if err != nil {
		return nil, r.cluster.Explain(err)
	}
	if mapping.Scope.Name() == meta.RESTScopeNameRoot {
		id.Namespace = ""
	}
	var found runtime.Object
	if bare[id.GroupKind()] {
		found, err = r.cluster.Metadata().Resource(mapping.Resource).Namespace(id.Namespace).Get(ctx, id.Name, metav1.GetOptions{})
	} else {
		found, err = r.cluster.Dynamic().Resource(mapping.Resource).Namespace(id.Namespace).Get(ctx, id.Name, metav1.GetOptions{})
	}
	switch {
	case apierrors.IsNotFound(err):
		return nil, notFound("there is no %s", id)
	case err != nil:
		return nil, fmt.Errorf("cannot read %s: %w", id, r.cluster.Explain(err))
	}
	return whole(found, mapping.GroupVersionKind)
}

// idOf returns the ID of a live object.
func idOf(u *unstructured.Unstructured) manifests.ID {
	return manifests.ID{Group: u.GroupVersionKind().Group, Kind: u.GetKind(), Namespace: u.GetNamespace(), Name: u.GetName()}
}

// ownerOf returns the object that made another one: its controller or, where it has none, its first owner; nil when nothing owns it.
func ownerOf(u *unstructured.Unstructured) *metav1.OwnerReference {
	if controller := metav1.GetControllerOf(u); controller != nil {
		return controller
	}
	if owners := u.GetOwnerReferences(); len(owners) > 0 {
		return &owners[0]
	}
	return nil
}

func sortByID(objects []*unstructured.Unstructured) {
	slices.SortFunc(objects, func(a, b *unstructured.Unstructured) int { return idOf(a).Compare(idOf(b)) })
}
