package view

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/inventory"
)

// maxHeight bounds how far Up climbs: owners that own each other must not keep anybody.
const maxHeight = 10

// Up climbs from an object to what made it, and on to the set that this belongs to. It returns the objects on the way, the topmost first, and the
// set: nil when no Sync keeps the topmost one. The error is a NotFoundError where there is no such object. One GET is sent for each object.
func (r *Reader) Up(ctx context.Context, id manifests.ID) (way []*unstructured.Unstructured, set *Set, err error) {
	for range maxHeight {
		object, err := r.get(ctx, id)
		if err != nil && (len(way) == 0 || !isNotFound(err)) {
			return nil, nil, err
		}
		if err != nil {
			break // its owner is gone, and so will it be
		}
		way = append(way, object)
		owner := ownerOf(object)
		if owner == nil {
			break
		}
		gv, err := schema.ParseGroupVersion(owner.APIVersion)
		if err != nil {
			break
		}
		id = manifests.ID{Group: gv.Group, Kind: owner.Kind, Namespace: object.GetNamespace(), Name: owner.Name}
	}
	slices.Reverse(way)
	top := way[0]
	label := top.GetLabels()[inventory.PartOfLabel]
	if label == "" || !inventory.Member(label, top) {
		return way, nil, nil
	}
	found, err := r.setOf(ctx, label, top.GetNamespace())
	if err != nil {
		return way, nil, err
	}
	return way, &found, nil
}

// Only leaves in the tree what leads to one object, and what is below it. It reports whether the object was found.
func (t *Tree) Only(id manifests.ID) bool {
	for _, n := range t.Objects {
		if way := n.wayTo(id); way != nil {
			t.Objects = []*Node{way}
			return true
		}
	}
	t.Objects = nil
	return false
}

// wayTo returns a copy of the node that holds nothing but the way to one object and what is below that; nil when there is no way.
func (n *Node) wayTo(id manifests.ID) *Node {
	if manifests.ID(n.Ref) == id {
		return n
	}
	for _, made := range n.Made {
		if way := made.wayTo(id); way != nil {
			only := *n
			only.Made = []*Node{way}
			return &only
		}
	}
	return nil
}

// Way returns a tree of the objects on a way alone, the topmost first. lost says why their Sync is not known; nil when none keeps them.
func Way(way []*unstructured.Unstructured, lost error) *Tree {
	t := &Tree{Objects: []*Node{}}
	if lost != nil {
		t.Notes = []Note{Note(lost.Error())}
	}
	var below *Node
	for _, u := range slices.Backward(way) {
		found := judge(u)
		n := &Node{Ref: Ref(idOf(u)), State: found.Word, Reason: found.Reason, Message: found.Message}
		if below != nil {
			n.Made = []*Node{below}
		}
		below = n
	}
	if below != nil {
		t.Objects = append(t.Objects, below)
	}
	return t
}
