package manifests

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Dependencies returns, for each object that has any, which of the objects have to be done before it, sorted: the Namespace that it is
// in, the CRD that defines its kind, what it Uses, and what it DependsOn. Objects that are not given are left out.
func Dependencies(objects []*Object) map[ID][]ID {
	given := make(map[ID]bool, len(objects))
	definedBy := map[schema.GroupKind]ID{}
	for _, o := range objects {
		given[o.ID] = true
		if o.Defines != nil {
			definedBy[*o.Defines] = o.ID
		}
	}
	dependencies := map[ID][]ID{}
	for _, o := range objects {
		before := map[ID]bool{}
		for _, id := range slices.Concat(o.DependsOn, o.Uses, []ID{
			{Kind: "Namespace", Name: o.ID.Namespace}, definedBy[o.ID.GroupKind()],
		}) {
			if given[id] {
				before[id] = true
			}
		}
		if len(before) > 0 {
			dependencies[o.ID] = slices.SortedFunc(maps.Keys(before), ID.Compare)
		}
	}
	return dependencies
}
