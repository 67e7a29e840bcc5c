package manifests

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Before returns a function that tells which of the objects have to be done before one of them, sorted: the Namespace that it is in, the CRD that
// defines its kind, what it Uses, and what it DependsOn. The objects are sorted by ID, as those of a Set; what is not among them is left out.
func Before(objects []*Object) func(*Object) []ID {
	set := &Set{Objects: objects}
	e := edges{definedBy: map[schema.GroupKind]ID{}, given: func(id ID) bool { _, found := set.Find(id); return found }}
	for _, o := range objects {
		if o.Defines != nil {
			e.definedBy[*o.Defines] = o.ID
		}
	}
	return func(o *Object) []ID {
		var ids []ID
		for _, hop := range e.from(o) {
			ids = append(ids, hop.id)
		}
		return ids
	}
}

// edges says what has to be done before an object.
type edges struct {
	given     func(ID) bool
	definedBy map[schema.GroupKind]ID // the CRDs
}

// because is why one object waits for another. The strongest reason counts.
type because string

const (
	asAsked   because = "" // config.kubernetes.io/depends-on
	asUsed    because = "which it uses"
	asPlace   because = "which it is in"
	asDefined because = "which defines it"
)

// from returns what the object waits for, and why, sorted: each once, with the strongest reason.
func (e edges) from(o *Object) []hop {
	var before []hop
	add := func(id ID, why because) {
		if id != (ID{}) && e.given(id) {
			before = append(before, hop{id, why})
		}
	}
	for _, id := range o.DependsOn {
		add(id, asAsked)
	}
	for _, id := range o.Uses {
		add(id, asUsed)
	}
	if o.ID.Namespace != "" {
		add(ID{Kind: "Namespace", Name: o.ID.Namespace}, asPlace)
	}
	if len(e.definedBy) > 0 {
		add(e.definedBy[o.ID.GroupKind()], asDefined)
	}
	if len(before) > 1 {
		slices.SortStableFunc(before, func(a, b hop) int { return a.id.Compare(b.id) })
		before = slices.CompactFunc(before, func(a, b hop) bool { return a.id == b.id })
	}
	return before
}
