package reconcile

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"kilter.dev/kilter/internal/phrase"
	"kilter.dev/kilter/manifests"
)

// Tenancy is what whoever runs Kilter decides for every Sync, and no Sync can change. It limits what is applied, and what is pruned as well;
// the API server's own permissions hold besides. The zero value allows everything.
type Tenancy struct {
	// ServiceAccount, in the Sync's own namespace, is who requests for a Sync are made as that names none; empty means Kilter itself.
	ServiceAccount string
	// OwnNamespace confines each Sync to its own namespace, and to objects that are in one.
	OwnNamespace bool
	// Namespaces are where Syncs may have objects; empty means everywhere. It leaves no cluster-scoped object but Namespaces of these names,
	// and those of kinds that Kinds has by name.
	Namespaces []string
	// Kinds are what Syncs may have; empty means every kind.
	Kinds []KindPattern
}

var namespaceKind = schema.GroupKind{Kind: "Namespace"}

// KindPattern is a kind as people write it, "CronJob.batch" or, without a group, "ConfigMap"; or "*.example.com", every kind of a group.
type KindPattern schema.GroupKind

// ParseKindPattern reads a KindPattern.
func ParseKindPattern(text string) (KindPattern, error) {
	kind := schema.ParseGroupKind(text)
	if kind.Kind == "" || kind.Kind != "*" && strings.ToUpper(kind.Kind[:1]) != kind.Kind[:1] || kind.Kind == "*" && kind.Group == "" {
		return KindPattern{}, fmt.Errorf("%q is no kind: write it as in a manifest, with its group, such as CronJob.batch or ConfigMap, or *.example.com", text)
	}
	return KindPattern(kind), nil
}

func (p KindPattern) matches(kind schema.GroupKind) bool {
	return p.Group == kind.Group && (p.Kind == "*" || p.Kind == kind.Kind)
}

// barred is why an object may not be a Sync's: the field to mend, and words that follow the object's name.
type barred struct{ field, text string }

// refuses returns why Syncs of one namespace may not have an object, or nil if they may.
func (t Tenancy) refuses(namespace string, id manifests.ID) *barred {
	kind := id.GroupKind()
	listed := slices.ContainsFunc(t.Kinds, func(p KindPattern) bool { return p.matches(kind) })
	switch {
	case len(t.Kinds) > 0 && !listed:
		return &barred{"kind", "is of a kind that no Sync may have here; whoever runs Kilter allows kinds with --allowed-kinds"}
	case t.OwnNamespace && id.Namespace == "":
		return &barred{"kind", "is in no namespace, and a Sync may only have objects in its own; whoever runs Kilter decides that with --no-cross-namespace"}
	case t.OwnNamespace && id.Namespace != namespace:
		return &barred{"metadata.namespace", fmt.Sprintf("is not in the Sync's own namespace, %s; whoever runs Kilter decides with --no-cross-namespace "+
			"that it has to be", namespace)}
	case len(t.Namespaces) == 0:
	case id.Namespace != "" && !slices.Contains(t.Namespaces, id.Namespace):
		return &barred{"metadata.namespace", "is in a namespace where no Sync may have objects; whoever runs Kilter allows namespaces with --allowed-namespaces"}
	case id.Namespace == "" && kind == namespaceKind && !slices.Contains(t.Namespaces, id.Name):
		return &barred{"metadata.name", "is a namespace that no Sync may have; whoever runs Kilter allows namespaces with --allowed-namespaces"}
	case id.Namespace == "" && kind != namespaceKind && !listed:
		return &barred{"kind", "is in no namespace, and Syncs are limited to some; whoever runs Kilter allows its kind besides with --allowed-kinds"}
	}
	return nil
}

// bars reports whether no object at a place may be one of a Sync of the namespace.
func (t Tenancy) bars(namespace string, p place) bool {
	id := manifests.ID{Group: p.kind.Group, Kind: p.kind.Kind, Namespace: p.namespace}
	if id.GroupKind() == namespaceKind && len(t.Namespaces) > 0 {
		id.Name = t.Namespaces[0] // some are, by their name
	}
	return t.refuses(namespace, id) != nil
}

// confined returns the set without what the Sync may not have, each with a Problem.
func (l *Loop) confined(set *manifests.Set) *manifests.Set {
	if len(l.tenancy.Kinds)+len(l.tenancy.Namespaces) == 0 && !l.tenancy.OwnNamespace {
		return set
	}
	var problems []manifests.Problem
	for _, object := range set.Objects {
		refused := l.tenancy.refuses(l.sync.Namespace, object.ID)
		if refused == nil {
			continue
		}
		problems = append(problems, manifests.Problem{
			Origin: manifests.Locate(l.snapshot.Tree, object.Origin, refused.field), Object: object.ID, Version: object.Version,
			Field: refused.field, Reason: string(field.ErrorTypeForbidden), Severity: manifests.Error, Message: refused.text,
		})
	}
	return set.Refuse(problems)
}

// forbidden notes the places that the inventory lists and the Sync may not look into any more. What it has there stays, on record.
type forbidden []place

// trouble says so; nil when there is none.
func (f forbidden) trouble() *Trouble {
	if len(f) == 0 {
		return nil
	}
	names := make([]string, len(f))
	for i, p := range f {
		names[i] = p.String()
	}
	slices.Sort(names)
	return &Trouble{Reason: "Forbidden", Message: oneLine("the inventory lists " + phrase.Few(names, 3) + ", where this Sync may have nothing any more: " +
		"what it has left there stays, and nothing is pruned; allow it again for as long as it takes to prune, or delete by hand what is " +
		"left and take it out of the inventory in the Sync's annotations")}
}
