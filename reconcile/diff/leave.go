package diff

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"kilter.dev/kilter/internal/phrase"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/health"
)

// leaver is an object of the set that Git no longer wants.
type leaver struct {
	*Live
	stays string        // why it is not deleted, whatever may be pruned; or ""
	after *manifests.ID // what has to be gone before; nil when nothing has
}

// leave decides on an object of the set that Git no longer wants.
func (p Prune) leave(l leaver, blocked string) Action {
	action := Action{Op: Keep, ID: l.ID, Live: l.Live}
	switch {
	case l.Kept != "":
		action.Reason = "left Git; " + l.stays
	case l.Health.Word == health.Terminating:
		action.Op, action.Reason = Wait, "left Git; it is being deleted"
	case l.stays != "":
		action.Reason = "left Git; " + l.stays
	case !p.Enabled:
		action.Reason = "left Git; kept since the Sync has prune: false"
	case blocked != "":
		action.Reason = "left Git; prune is blocked"
	case l.after != nil:
		action.Op, action.Reason = Wait, fmt.Sprintf("left Git; it goes after %s", l.after)
	default:
		action.Op, action.Reason = Delete, "left Git"
	}
	return action
}

// blocked returns why nothing may be deleted, or "". The limit is a share of everything that is there once the plan is applied.
func (p Prune) blocked(leaving []leaver, desired int) string {
	total := desired + len(leaving)
	deletions := 0
	for _, l := range leaving {
		if l.stays == "" && l.Health.Word != health.Terminating {
			deletions++
		}
	}
	switch {
	case deletions == 0 || !p.Enabled:
		return ""
	case p.Withheld != "":
		return p.Withheld
	case p.Limit == nil:
		return ""
	case desired == 0:
		return fmt.Sprintf("the commit deletes everything, %s", phrase.Count(deletions, "object"))
	}
	if limit := p.Limit(total); deletions > limit {
		return fmt.Sprintf("the commit deletes %d of %s; spec.maxPrune allows %d", deletions, phrase.Count(total, "object"), limit)
	}
	return ""
}

// tenants names what the deletion of a Namespace or a CRD would take along against Git's or somebody's will: by namespace and by API
// group, the first object that is to stay.
type tenants struct{ namespaces, groups map[string]manifests.ID }

// tenants gathers what stays: what Git wants, what an annotation keeps, and what carries the set's label without being ours. Which kind
// a CRD defines is known of those in Git; so an object holds every other CRD of its group.
func (in Input) tenants() tenants {
	t := tenants{namespaces: map[string]manifests.ID{}, groups: map[string]manifests.ID{}}
	defined := map[schema.GroupKind]bool{}
	for _, object := range in.Set {
		if object.Defines != nil {
			defined[*object.Defines] = true
		}
	}
	first := func(in map[string]manifests.ID, key string, id manifests.ID) {
		if known, ok := in[key]; !ok || id.Compare(known) < 0 {
			in[key] = id
		}
	}
	add := func(id manifests.ID) {
		first(t.namespaces, id.Namespace, id)
		if !defined[id.GroupKind()] {
			first(t.groups, id.Group, id)
		}
	}
	for _, object := range in.Set {
		add(object.ID)
	}
	for _, live := range in.Others {
		if !live.Member || live.Kept != "" {
			add(live.ID)
		}
	}
	return t
}

// keep returns why an object that left Git is not deleted, or "".
func (t tenants) keep(live *Live) string {
	if live.Kept != "" {
		return "kept by its annotation " + live.Kept
	}
	var tenant manifests.ID
	var found bool
	switch {
	case isNamespace(live.ID):
		tenant, found = t.namespaces[live.ID.Name]
	case isCRD(live.ID):
		_, group, _ := strings.Cut(live.ID.Name, ".") // a CRD is called <plural>.<group>
		tenant, found = t.groups[group]
	}
	switch {
	case found:
		return fmt.Sprintf("kept since %s would go with it", tenant)
	case holds(live.ID) && !live.Cascade:
		return "kept since what others put there would go with it; to allow that, annotate it kilter.dev/prune: cascade"
	}
	return ""
}

// holds reports whether other objects live and die with an object of this kind.
func holds(id manifests.ID) bool { return isNamespace(id) || isCRD(id) }

func isNamespace(id manifests.ID) bool { return id.Group == "" && id.Kind == "Namespace" }

func isCRD(id manifests.ID) bool {
	return id.Group == "apiextensions.k8s.io" && id.Kind == "CustomResourceDefinition"
}
