package verdict

import (
	"context"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/kubernetes/pkg/capabilities"
)

// linked is one kind whose rules are part of this program.
type linked struct {
	scheme   *runtime.Scheme // types, defaults, conversions and declarative validation
	strategy rest.RESTCreateUpdateStrategy
	outdated string // the warning on a deprecated API version, in the server's words

	// What happens to an object on every server before the strategy sees it; nil for most kinds.
	beginCreate func(ctx context.Context, obj runtime.Object) error
	beginUpdate func(ctx context.Context, obj, old runtime.Object) error
}

// kinds holds the linked kinds, in every version that the rules' release (see Emulate) serves.
var kinds = sync.OnceValue(func() map[schema.GroupVersionKind]linked {
	// As every installer sets --allow-privileged=true; without it, a server refuses the DaemonSets of every network plugin.
	capabilities.Setup(true, 0)
	all := map[schema.GroupVersionKind]linked{}
	for group, rows := range table() {
		for name, kind := range rows {
			gk := schema.GroupKind{Group: group, Kind: name}
			for _, gv := range kind.scheme.VersionsForGroupKind(gk) {
				if gvk := gv.WithKind(name); served(kind.scheme, gvk) {
					kind.outdated = deprecated(kind.scheme, gvk)
					all[gvk] = kind
				}
			}
		}
	}
	return all
})

// Linked returns the kinds that Create and Update judge by the server's rules, sorted.
func Linked() []schema.GroupVersionKind {
	var all []schema.GroupVersionKind
	for gvk := range kinds() {
		all = append(all, gvk)
	}
	slices.SortFunc(all, func(a, b schema.GroupVersionKind) int { return strings.Compare(a.String(), b.String()) })
	return all
}
