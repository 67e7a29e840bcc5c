package diff

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/health"
	"kilter.dev/kilter/reconcile/inventory"
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
	// Ceded holds the desired objects of which somebody else decides a field, or did until now.
	Ceded map[manifests.ID]Ceded
	// Runs is what is known of the runs of each desired Job.
	Runs map[manifests.ID]Runs
	// Refused says of desired objects that are not in Live why they were not adopted when that was tried last: they are somebody else's.
	// Compute plans another try for those that have no entry.
	Refused map[manifests.ID]string
	// ReportDrift leaves drift alone and tells of it.
	ReportDrift bool
	// Prune says what may be deleted.
	Prune Prune
}

// Ceded says why a desired object is applied without one of its fields, or again with it.
type Ceded struct {
	Before string // the Hash of the same manifest as it was applied until then: with the field, or without it; or ""
	Reason string
	Over   bool // an exception on the live object is over, and has to go
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
	plan.Actions = make([]Action, 0, len(in.Desired))
	there := make([]Live, 0, len(in.Desired)) // what the actions point into: one allocation for all of them
	for _, object := range in.Desired {
		var live *Live
		if found, exists := in.Live[object.ID]; exists {
			there = append(there, found)
			live = &there[len(there)-1]
		}
		plan.Actions = append(plan.Actions, in.want(object, live, desired))
	}

	var leaving []leaver
	for id, live := range in.Live {
		if live.Member && desired[id] == nil {
			leaving = append(leaving, leaver{Live: live})
		}
	}
	if len(leaving) > 0 {
		tenants := in.tenants(desired)
		for i := range leaving {
			leaving[i].stays = tenants.keep(leaving[i].Live)
		}
	}
	slices.SortFunc(leaving, func(a, b leaver) int { return a.ID.Compare(b.ID) })
	hold(leaving)
	plan.PruneBlocked = in.Prune.blocked(leaving, len(in.Desired))
	for _, l := range leaving {
		plan.Actions = append(plan.Actions, in.Prune.leave(l, plan.PruneBlocked))
	}

	slices.SortFunc(plan.Actions, func(a, b Action) int { return a.ID.Compare(b.ID) })
	dependencies := manifests.Dependencies(in.Desired)
	for i := range plan.Actions {
		plan.Actions[i].After = dependencies[plan.Actions[i].ID]
	}
	return plan
}

// want decides on an object that Git wants.
func (in Input) want(object *manifests.Object, live *Live, desired map[manifests.ID]*manifests.Object) Action {
	action := in.compare(object, live)
	if runs, ok := in.Runs[object.ID]; ok && object.Run != nil {
		action = in.job(object, runs, action)
	}
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

// unnamed is the reason when a field of ours is no longer as it was applied, and nothing tells who has changed which.
const unnamed = "changed by somebody else in the cluster"

// lost is the reason when an object that was applied is no longer a member of the set.
const lost = "deleted, or taken out of the set, by somebody else"

// created is the reason when a manifest that asks for nothing but the creation of its object has changed since.
const created = "not as Git says, and left alone: its manifest has mutation: ignore"

// compare decides on an object that Git wants by what the cluster holds under its ID.
func (in Input) compare(object *manifests.Object, live *Live) Action {
	action := Action{ID: object.ID, Object: object, Live: live}
	exists := live != nil
	expected, known := in.Expected[object.ID]
	ceded := in.Ceded[object.ID]
	switch {
	case !exists && in.Refused[object.ID] != "":
		action.Op, action.Reason = Conflict, in.Refused[object.ID]
	case !exists && known && in.ReportDrift:
		action.Op, action.Reason = Drift, lost
	case !exists && known:
		action.Op, action.Reason = Create, lost
	case !exists:
		action.Op, action.Reason = Create, NotThere
	case live.Health.Word == health.Terminating:
		// Applying now would change an object that is going away; its successor is created once it is gone.
		action.Op, action.Reason = Wait, "is being deleted; it is created again when it is gone"
	case live.Refused != "":
		action.Op, action.Reason = Conflict, live.Refused
	case live.Member && object.CreateOnly && live.Applied != object.Hash:
		action.Op, action.Reason = Skip, created
	case live.Member && object.CreateOnly:
		action.Op = None
	case live.Applied != object.Hash:
		action.Op, action.Reason = Update, "changed in Git"
		switch live.Applied {
		case "":
			action.Reason = "not yet applied by Kilter"
		case ceded.Before:
			action.Reason = ceded.Reason
		}
	case ceded.Over:
		action.Op, action.Reason = Update, ceded.Reason
	case !known:
		// Nothing tells whether somebody changed it meanwhile; applying what is already there changes nothing.
		action.Op, action.Reason = Update, "applied once more to learn which fields are ours"
	case live.Fields != expected:
		action.Op, action.Drifted, action.Drift = Update, true, changes(object, live.Owners)
		action.Reason = drifted(action.Drift)
		if in.ReportDrift {
			action.Op = Drift
		}
	default:
		action.Op = None
	}
	action.Ends = ceded.Over && action.Op == Update
	return action
}

// changes returns who changed what of an object.
func changes(object *manifests.Object, owners []metav1.ManagedFieldsEntry) []inventory.Change {
	manifest := new(unstructured.Unstructured)
	if len(owners) == 0 || manifest.UnmarshalJSON(object.JSON) != nil {
		return nil
	}
	return inventory.Changes(manifest, owners)
}

// drifted says in words that somebody changed fields of ours.
func drifted(drift []inventory.Change) string {
	if len(drift) == 0 {
		return unnamed
	}
	texts := make([]string, len(drift))
	for i, change := range drift {
		texts[i] = change.String()
	}
	return strings.Join(texts, "; ")
}
