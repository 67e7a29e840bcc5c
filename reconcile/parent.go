package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/inventory"
)

// syncParent is the set's parent when the Sync is an object in the cluster: the Sync itself.
func syncParent(namespace, name string) (inventory.Parent, resource) {
	return inventory.Parent{GroupVersion: v1alpha1.GroupVersion, Kind: v1alpha1.SyncKind, Namespace: namespace, Name: name},
		resource{gvr: v1alpha1.GroupVersion.WithResource(v1alpha1.SyncResource), namespaced: true}
}

// fileParentPrefix stands before the name of a Sync in a file in that of its parent.
const fileParentPrefix = "kilter-"

// fileParent is the set's parent when the Sync is a file: a ConfigMap in the Sync's namespace.
func fileParent(namespace, name string) (inventory.Parent, resource) {
	v1 := schema.GroupVersion{Version: "v1"}
	return inventory.Parent{GroupVersion: v1, Kind: "ConfigMap", Namespace: namespace, Name: fileParentPrefix + name},
		resource{gvr: v1.WithResource("configmaps"), namespaced: true}
}

// parentStore reads and writes the inventory on the set's parent.
type parentStore struct {
	inventory.Parent
	cluster *Cluster
	tenant  *Cluster // whose rights what comes from Git is applied with
	target  resource
	loaded  bool
	uid     types.UID          // of the live parent; empty until it was read or written
	stored  inventory.Contents // what the parent lists, once loaded
	lost    atomic.Bool        // somebody deleted the parent, or what it lists
}

// watch notices until ctx is done that somebody deletes the parent or empties it, and signals changed. A Sync needs none of it:
// the controller ends the loop when the Sync goes.
func (p *parentStore) watch(ctx context.Context, changed chan struct{}) {
	check := func(annotations map[string]string) {
		if _, whole := p.Read(annotations); whole {
			return
		}
		p.lost.Store(true)
		signal(changed)
	}
	var quiet klog.Logger // what goes wrong ends in the next write of the inventory, if it matters
	_, informer := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: One(p.cluster.object(p.target, p.Namespace), p.Name),
		ObjectType:    &metav1.PartialObjectMetadata{},
		Handler: cache.ResourceEventHandlerFuncs{
			UpdateFunc: func(_, object any) {
				if parent, ok := object.(*metav1.PartialObjectMetadata); ok {
					check(parent.Annotations)
				}
			},
			DeleteFunc: func(any) { check(nil) },
		},
	})
	informer.RunWithContext(klog.NewContext(ctx, quiet))
}

// load reads what the parent lists; a parent that does not exist lists nothing. One that was deleted meanwhile is read again, and written anew
// by the next widen: what the watches know is still in it.
func (p *parentStore) load(ctx context.Context) error {
	if p.lost.Swap(false) {
		p.loaded, p.stored = false, inventory.Contents{}
	}
	if p.loaded {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	live, err := p.cluster.object(p.target, p.Namespace).Get(ctx, p.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
	case err != nil:
		return fmt.Errorf("cannot read the inventory in %s: %w", p.Parent, newFailure(err, p.cluster.host))
	default:
		p.uid = live.UID
		p.stored, _ = p.Read(live.Annotations)
	}
	p.loaded = true
	return nil
}

// widen makes the parent list everything that contents cover, and creates it when needed. The parent's own namespace may come from the
// repository: then it is applied first, since nothing can be recorded before it exists.
func (p *parentStore) widen(ctx context.Context, contents inventory.Contents, set *manifests.Set) error {
	union := p.stored.Union(contents)
	if p.loaded && union.Equal(p.stored) {
		return nil
	}
	err := p.write(ctx, union)
	if status := apierrors.APIStatus(nil); errors.As(err, &status) && namespaceMissing(status.Status()) {
		if err = p.applyNamespace(ctx, set); err == nil {
			err = p.write(ctx, union)
		}
	}
	if err != nil {
		return fmt.Errorf("cannot write the inventory to %s: %w", p.Parent, newFailure(err, p.cluster.host))
	}
	return nil
}

// narrow makes the parent list no more than contents, which has to cover everything that is still there.
func (p *parentStore) narrow(ctx context.Context, contents inventory.Contents) error {
	if err := p.write(ctx, contents); err != nil {
		return fmt.Errorf("cannot write the inventory to %s: %w", p.Parent, newFailure(err, p.cluster.host))
	}
	return nil
}

func (p *parentStore) write(ctx context.Context, contents inventory.Contents) error {
	body, err := json.Marshal(map[string]any{
		"apiVersion": p.GroupVersion.String(),
		"kind":       p.Kind,
		"metadata": map[string]any{
			"name": p.Name, "namespace": p.Namespace, "labels": p.Labels(), "annotations": p.Annotations(contents),
		},
	})
	if err != nil {
		return err
	}
	live, err := p.cluster.apply(ctx, applyRequest{
		target: p.target, namespace: p.Namespace, name: p.Name, body: body, manager: inventory.ParentFieldManager,
	})
	if err != nil {
		return err
	}
	p.uid, p.stored = live.UID, contents
	return nil
}

// reference names the parent in Events.
func (p *parentStore) reference() corev1.ObjectReference {
	return corev1.ObjectReference{
		APIVersion: p.GroupVersion.String(), Kind: p.Kind, Namespace: p.Namespace, Name: p.Name, UID: p.uid,
	}
}

func (p *parentStore) applyNamespace(ctx context.Context, set *manifests.Set) error {
	for _, object := range set.Objects {
		if object.ID == (manifests.ID{Kind: "Namespace", Name: p.Namespace}) {
			content, err := body(object, marks{setID: p.ID()}, precondition{})
			if err != nil {
				return err
			}
			namespaces := resource{gvr: schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}}
			_, err = p.tenant.apply(ctx, applyRequest{target: namespaces, name: object.ID.Name, body: content})
			return err
		}
	}
	return &Failure{Class: Slow, Reason: "NotFound", Text: fmt.Sprintf(
		"namespace %s does not exist: create it (kubectl create namespace %[1]s), or add its manifest to the repository", p.Namespace)}
}

// covering returns contents that cover places, and kinds besides.
func (p *parentStore) covering(places map[place]bool, kinds ...schema.GroupKind) inventory.Contents {
	namespaces := []string{p.Namespace} // which the annotations imply
	for covered := range places {
		kinds = append(kinds, covered.kind)
		namespaces = append(namespaces, covered.namespace)
	}
	return inventory.ContentsOf(kinds, namespaces)
}
