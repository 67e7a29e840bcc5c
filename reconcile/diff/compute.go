package diff

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"kilter.dev/kilter/internal/phrase"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/health"
)

// Input is all that a decision depends on.
type Input struct {
	// Desired is what one commit asks for, each ID once.
	Desired []*manifests.Object
	// Live holds every object of the set that the cluster has, and those with a desired ID as far as they were seen.
	Live map[manifests.ID]Live
	// Expected is the value of Live.Fields that proves that nobody changed anything since this very manifest was applied. No entry: it
	// is not known, or this manifest was not applied yet.
	Expected map[manifests.ID]string
	// ReportDrift leaves drift alone and tells of it.
	ReportDrift bool
	// Prune says what may be deleted.
	Prune Prune
}

// Prune bounds what a plan may delete.
type Prune struct {
	// Enabled is false when objects that left Git stay in the cluster.
	Enabled bool
	// Withheld says why this tree cannot justify a deletion; empty when it was read whole.
	Withheld string
	// Limit returns how many of total objects may be deleted; nil means all of them, even the last.
	Limit func(total int) int
}

// Compute decides what has to be done with every object that is desired or live.
func Compute(in Input) Plan {
	var plan Plan
	desired := make(map[manifests.ID]*manifests.Object, len(in.Desired))
	for _, object := range in.Desired {
		desired[object.ID] = object
	}
	for _, object := range in.Desired {
		plan.Actions = append(plan.Actions, in.want(object, desired))
	}

	tenants := in.tenants(desired)
	var leaving []leaver
	for id, live := range in.Live {
		if desired[id] == nil && live.Member {
			leaving = append(leaving, leaver{Live: live, stays: tenants.keep(live)})
		}
	}
	plan.PruneBlocked = in.Prune.blocked(leaving, len(in.Desired))
	for _, l := range leaving {
		plan.Actions = append(plan.Actions, in.Prune.leave(l, plan.PruneBlocked))
	}

	slices.SortFunc(plan.Actions, func(a, b Action) int { return a.ID.Compare(b.ID) })
	order(plan.Actions, manifests.Dependencies(in.Desired))
	return plan
}

// want decides on an object that Git wants.
func (in Input) want(object *manifests.Object, desired map[manifests.ID]*manifests.Object) Action {
	action := in.compare(object)
	for _, dependency := range object.DependsOn {
		if action.Writes() && desired[dependency] == nil {
			// The loader finds every dependency in the tree; one that is not among the desired was left out as invalid.
			action.Op, action.Reason = Wait, fmt.Sprintf("depends on %s, whose manifest is invalid", dependency)
		}
	}
	return action
}

// NotThere is the reason of a first creation.
const NotThere = "not in the cluster"

// Drifted is the reason when a field of ours is no longer as it was applied.
const Drifted = "changed by somebody else in the cluster"

// lost is the reason when an object that was applied is no longer a member of the set.
const lost = "deleted, or taken out of the set, by somebody else"

// compare decides on an object that Git wants by what the cluster holds under its ID.
func (in Input) compare(object *manifests.Object) Action {
	action := Action{ID: object.ID, Object: object}
	live, exists := in.Live[object.ID]
	expected, known := in.Expected[object.ID]
	if exists {
		action.Live = &live
	}
	switch {
	case !exists && known && in.ReportDrift:
		action.Op, action.Reason = Drift, lost
	case !exists && known:
		action.Op, action.Reason = Create, lost
	case !exists:
		action.Op, action.Reason = Create, NotThere
	case live.Health.Word == health.Terminating:
		// Applying now would change an object that is going away; its successor is created once it is gone.
		action.Op, action.Reason = Wait, "is being deleted; it is created again when it is gone"
	case live.Applied != object.Hash:
		action.Op, action.Reason = Update, "changed in Git"
		if live.Applied == "" {
			action.Reason = "not yet applied by Kilter"
		}
	case !known:
		// Nothing tells whether somebody changed it meanwhile; applying what is already there changes nothing.
		action.Op, action.Reason = Update, "applied once more to learn which fields are ours"
	case live.Fields != expected && in.ReportDrift:
		action.Op, action.Reason = Drift, Drifted
	case live.Fields != expected:
		action.Op, action.Reason = Update, Drifted
	default:
		action.Op = None
	}
	return action
}

// leaver is an object of the set that Git no longer wants.
type leaver struct {
	Live
	stays string // why it is not deleted, whatever may be pruned; or ""
}

// leave decides on an object of the set that Git no longer wants.
func (p Prune) leave(l leaver, blocked string) Action {
	action := Action{Op: Keep, ID: l.ID, Live: &l.Live}
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
func (in Input) tenants(desired map[manifests.ID]*manifests.Object) tenants {
	t := tenants{namespaces: map[string]manifests.ID{}, groups: map[string]manifests.ID{}}
	defined := map[schema.GroupKind]bool{}
	for _, object := range in.Desired {
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
	for id := range desired {
		add(id)
	}
	for id, live := range in.Live {
		if desired[id] == nil && (!live.Member || live.Kept != "") {
			add(id)
		}
	}
	return t
}

// keep returns why an object that left Git is not deleted, or "".
func (t tenants) keep(live Live) string {
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

// order fills in After: for what Git wants, its dependencies; for a Namespace or a CRD that is deleted, every other deletion, since it would
// take others along.
func order(actions []Action, dependencies map[manifests.ID][]manifests.ID) {
	for i := range actions {
		a := &actions[i]
		a.After = dependencies[a.ID]
		if a.Op != Delete || !holds(a.ID) {
			continue
		}
		for _, other := range actions {
			if other.Op == Delete && !holds(other.ID) {
				a.After = append(a.After, other.ID)
			}
		}
	}
}

// holds reports whether other objects live and die with an object of this kind.
func holds(id manifests.ID) bool { return isNamespace(id) || isCRD(id) }

func isNamespace(id manifests.ID) bool { return id.Group == "" && id.Kind == "Namespace" }

func isCRD(id manifests.ID) bool {
	return id.Group == "apiextensions.k8s.io" && id.Kind == "CustomResourceDefinition"
}
