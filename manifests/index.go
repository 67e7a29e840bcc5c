package manifests

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// index is the objects of a tree by their IDs. A Loader keeps it from one load to the next, so that what did not change costs next to
// nothing. Manifests in it are settled: their objects have their namespace.
type index struct {
	loads     int         // how often it was updated
	all       []*manifest // sorted, duplicates side by side in the order of files
	order     []*manifest // the first of each ID
	annotated []*manifest // those of them that depend on others
	byID      map[ID]*manifest
	edges     edges

	// What the last update found.
	duplicates map[*manifest]*manifest // each with the first of its ID
	fresh      []*manifest             // new, or with another object than before
	sameIDs    bool                    // no ID came or went
	replaced   []replacement           // when nothing else has changed: the new objects, each in the place of an old one of its ID
	steady     bool                    // replaced is all that has changed
}

// replacement is an object that stands in the place of another of its ID.
type replacement struct{ old, new *Object }

// update makes the index one of these manifests.
func (x *index) update(manifests []*manifest) {
	x.loads++
	x.fresh = nil
	for _, m := range manifests {
		m.load = x.loads
		if m.indexed != m.object {
			x.fresh = append(x.fresh, m)
		}
	}
	var stay []*manifest
	var gone []*manifest
	alive := false // some manifest stays, with another object
	for _, m := range x.all {
		switch {
		case m.load != x.loads:
			gone = append(gone, m)
		case m.indexed != m.object:
			gone, alive = append(gone, m), true
		}
	}
	if len(gone) > 0 || len(x.fresh) > 0 {
		slices.SortFunc(x.fresh, compareManifests)
	}
	x.sameIDs = slices.EqualFunc(gone, x.fresh, func(old, m *manifest) bool { return old.indexed.ID == m.object.ID })
	x.replaced = nil
	if x.steady = x.sameIDs && !alive && len(x.duplicates) == 0 && !slices.ContainsFunc(x.fresh, (*manifest).isDefinition) &&
		!slices.ContainsFunc(gone, (*manifest).isDefinition); x.steady {
		x.replace(gone)
		return
	}
	for _, m := range x.all {
		if m.load == x.loads && m.indexed == m.object {
			stay = append(stay, m)
		}
	}
	goneIDs := make([]ID, len(gone))
	for i, m := range gone {
		goneIDs[i] = m.indexed.ID
	}
	for _, m := range x.fresh {
		m.indexed = m.object
	}
	x.all = merge(stay, x.fresh)
	x.rebuild(goneIDs)
}

func (m *manifest) isDefinition() bool { return m.object.Defines != nil }

// replace puts each fresh manifest in the place of the one that is gone and had its ID. There are no duplicates: all and order are the same.
func (x *index) replace(gone []*manifest) {
	dependent := false
	for i, m := range x.fresh {
		id := m.object.ID
		dependent = dependent || len(m.object.DependsOn)+len(gone[i].indexed.DependsOn) > 0
		at, _ := slices.BinarySearchFunc(x.order, id, func(other *manifest, id ID) int { return other.indexed.ID.Compare(id) })
		x.replaced = append(x.replaced, replacement{gone[i].indexed, m.object})
		x.all[at], x.order[at], x.byID[id] = m, m, m
		m.indexed = m.object
	}
	if dependent {
		x.annotate()
	}
}

// annotate finds the objects that depend on others.
func (x *index) annotate() {
	x.annotated = slices.DeleteFunc(slices.Clone(x.order), func(m *manifest) bool { return len(m.object.DependsOn) == 0 })
}

// rebuild derives the rest from all. The map is changed in place where it can be: most loads change few objects.
func (x *index) rebuild(gone []ID) {
	had := len(x.duplicates) > 0
	x.duplicates, x.order = map[*manifest]*manifest{}, make([]*manifest, 0, len(x.all))
	x.edges = edges{definedBy: map[schema.GroupKind]ID{}, given: func(id ID) bool { return x.byID[id] != nil }}
	for _, m := range x.all {
		if n := len(x.order); n > 0 && x.order[n-1].object.ID == m.object.ID {
			x.duplicates[m] = x.order[n-1]
			continue
		}
		x.order = append(x.order, m)
		if m.object.Defines != nil {
			x.edges.definedBy[*m.object.Defines] = m.object.ID
		}
	}
	x.annotate()
	put := x.fresh
	if had || len(x.duplicates) > 0 || x.byID == nil {
		x.byID, gone, put = make(map[ID]*manifest, len(x.order)), nil, x.order
	}
	for _, id := range gone {
		delete(x.byID, id)
	}
	for _, m := range put {
		x.byID[m.object.ID] = m
	}
}

// merge joins two sorted lists.
func merge(a, b []*manifest) []*manifest {
	out := make([]*manifest, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if compareManifests(b[0], a[0]) < 0 {
			out, b = append(out, b[0]), b[1:]
		} else {
			out, a = append(out, a[0]), a[1:]
		}
	}
	return append(append(out, a...), b...)
}

// compareManifests orders by ID, and what has the same ID by its place.
func compareManifests(a, b *manifest) int {
	x, y := a.object, b.object
	return cmp.Or(x.ID.Compare(y.ID),
		cmp.Compare(x.Origin.File, y.Origin.File),
		cmp.Compare(x.Origin.Line, y.Origin.Line),
		cmp.Compare(x.Origin.Column, y.Origin.Column),
		cmp.Compare(x.Origin.BuiltBy, y.Origin.BuiltBy))
}
