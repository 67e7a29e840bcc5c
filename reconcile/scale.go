package reconcile

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/reconcile/inventory"
)

// autoscalerKind is the kind whose objects decide how many replicas others have.
var autoscalerKind = schema.GroupKind{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"}

// autoscaled knows which objects are targets of a HorizontalPodAutoscaler, in Git or in the cluster. It belongs to the loop's goroutine;
// an apply only reads it.
//
// Whose spec.replicas is follows from two facts:
//
//	targeted   somebody else owns it   Kilter applies
//	no         either                  what Git says; a manual scale is drift
//	yes        no                      what Git says: left out, it would fall to the default of 1
//	yes        yes                     the manifest without it
//
// So an autoscaler takes over at its first scaling, and no number of replicas ever comes from a field that was dropped.
type autoscaled struct {
	set      *manifests.Set
	git      map[manifests.ID]bool // targets of autoscalers in set
	asked    string                // what the last look into the cluster depended on
	observed map[manifests.ID]bool // targets of autoscalers that it found
}

// scaled returns the objects whose replicas belong to an autoscaler.
func (l *Loop) scaled(ctx context.Context) (map[manifests.ID]bool, error) {
	a := &l.autoscaled
	if a.set != l.set {
		a.set, a.git = l.set, targetsIn(l.set)
	}
	taken := map[manifests.ID]bool{}
	var unexplained []manifests.ID
	for _, i := range l.sight.stirring() {
		object, live := l.set.Objects[i], l.sight.objects[i].live
		if contested(object, live) {
			taken[object.ID] = true
			if !a.git[object.ID] {
				unexplained = append(unexplained, object.ID)
			}
		}
	}
	if err := l.askAutoscalers(ctx, unexplained); err != nil {
		return nil, err
	}
	maps.DeleteFunc(taken, func(id manifests.ID, _ bool) bool { return !a.git[id] && !targeted(a.observed, id) })
	return taken, nil
}

// contested reports whether an autoscaler, of which only the cluster may know, decides who has a say in an object's replicas.
func contested(object *manifests.Object, live *diff.Live) bool {
	return live != nil && live.ReplicasTaken && !object.CreateOnly && names(object, inventory.Replicas)
}

// askAutoscalers looks into the cluster for autoscalers that explain why replicas are not what Git says: with each look at the repository, and
// when other objects have to be explained or an autoscaler of the set came or went. Where Git explains it all it asks nothing.
func (l *Loop) askAutoscalers(ctx context.Context, unexplained []manifests.ID) error {
	a := &l.autoscaled
	if len(unexplained) == 0 {
		a.asked, a.observed = "", nil
		return nil
	}
	var depends []string
	for live := range l.sight.all {
		if live.ID.GroupKind() == autoscalerKind {
			depends = append(depends, live.ID.String())
		}
	}
	namespaces := map[string]bool{}
	for _, id := range unexplained {
		depends = append(depends, id.String())
		namespaces[id.Namespace] = true
	}
	slices.Sort(depends)
	asked := strings.Join(depends, "\n")
	if asked == a.asked {
		return nil
	}
	observed := map[manifests.ID]bool{}
	for namespace := range namespaces {
		targets, err := l.cluster.autoscalerTargets(ctx, namespace)
		if err != nil {
			return err
		}
		maps.Copy(observed, targets)
	}
	a.asked, a.observed = asked, observed
	return nil
}

// scaledAnyway reports whether the replicas of an object that is about to be adopted belong to an autoscaler.
func (l *Loop) scaledAnyway(ctx context.Context, object *manifests.Object, live *diff.Live) (bool, error) {
	if !live.ReplicasTaken || !names(object, inventory.Replicas) {
		return false, nil
	}
	if l.autoscaled.git[object.ID] {
		return true, nil
	}
	targets, err := l.cluster.autoscalerTargets(ctx, object.ID.Namespace)
	return targeted(targets, object.ID), err
}

// everything is the target of autoscalers that Kilter may not list: their word is taken for granted rather than fought.
var everything = manifests.ID{}

func targeted(targets map[manifests.ID]bool, id manifests.ID) bool {
	return targets[id] || targets[everything]
}

// autoscalerTargets lists what the autoscalers of a namespace scale.
func (c *Cluster) autoscalerTargets(ctx context.Context, namespace string) (map[manifests.ID]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	target, err := c.resolve(autoscalerKind, "")
	if meta.IsNoMatchError(err) {
		return nil, nil
	}
	var list *unstructured.UnstructuredList
	if err == nil {
		list, err = c.dynamic.Resource(target.gvr).Namespace(namespace).List(ctx, metav1.ListOptions{})
	}
	if err != nil {
		failure := newFailure(err, c.host)
		if failure.Class == Slow {
			return map[manifests.ID]bool{everything: true}, nil
		}
		return nil, fmt.Errorf("cannot list HorizontalPodAutoscalers in namespace %s: %w", namespace, failure)
	}
	targets := map[manifests.ID]bool{}
	for i := range list.Items {
		if id, ok := scaleTarget(&list.Items[i]); ok && list.Items[i].GetDeletionTimestamp() == nil {
			targets[id] = true
		}
	}
	return targets, nil
}

// targetsIn returns what the autoscalers of a set scale.
func targetsIn(set *manifests.Set) map[manifests.ID]bool {
	targets := map[manifests.ID]bool{}
	for _, object := range set.Objects {
		if object.ID.GroupKind() != autoscalerKind {
			continue
		}
		var content unstructured.Unstructured
		if err := json.Unmarshal(object.JSON, &content.Object); err != nil {
			continue
		}
		if id, ok := scaleTarget(&content); ok {
			targets[id] = true
		}
	}
	return targets
}

// scaleTarget returns what an autoscaler scales.
func scaleTarget(autoscaler *unstructured.Unstructured) (manifests.ID, bool) {
	ref, _, _ := unstructured.NestedStringMap(autoscaler.Object, "spec", "scaleTargetRef")
	gv, err := schema.ParseGroupVersion(ref["apiVersion"])
	id := manifests.ID{Group: gv.Group, Kind: ref["kind"], Namespace: autoscaler.GetNamespace(), Name: ref["name"]}
	return id, err == nil && id.Kind != "" && id.Name != ""
}
