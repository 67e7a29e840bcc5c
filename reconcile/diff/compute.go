package diff

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/health"
	"kilter.dev/kilter/reconcile/inventory"
)

// Input is all that a decision depends on.
type Input struct {
	// Set is what one commit asks for, sorted by ID, each once.
	Set []*manifests.Object
	// Desired is what has to be decided on of that, in the same order, with all that is known of it. Left out is what is known to be as it
	// should be: to decide on it again would come to None.
	Desired []Wanted
	// Others is everything else that was seen in the cluster, each ID once: above all what is of the set and left Git.
	Others []*Live
	// ReportDrift leaves drift alone and tells of it.
	ReportDrift bool
	// Prune says what may be deleted.
	Prune Prune
}

// Wanted is an object that Git wants, and the facts that decide on it.
type Wanted struct {
	*manifests.Object
	// Live is what the cluster holds; nil when it holds nothing.
	Live *Live
	// Expected is the value of Live.Fields that proves that nobody changed anything since this very manifest was applied. Empty: it is not
	// known, or this manifest was not applied yet.
	Expected string
	// Ceded says that somebody else decides a field, or did until now; nil when nobody does.
	Ceded *Ceded
	// Runs is what is known of the runs of a Job; nil for every other kind.
	Runs *Runs
	// Refused says of an object that is not seen why it was not adopted when that was tried last: it is somebody else's. When it is empty
	// Compute plans another try.
	Refused string
}

// Ceded says why a wanted object is applied without one of its fields, or again with it.
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

// Compute decides what has to be done with every object that is Desired, and with everything of the set that left Git.
func Compute(in Input) Plan {
	var plan Plan
	plan.Actions = make([]Action, 0, len(in.Desired))
	for i := range in.Desired {
		plan.Actions = append(plan.Actions, in.compare(&in.Desired[i]))
	}

	var leaving []leaver
	for _, live := range in.Others {
		if live.Member {
			leaving = append(leaving, leaver{Live: live})
		}
	}
	if len(leaving) > 0 {
		tenants := in.tenants()
		for i := range leaving {
			leaving[i].stays = tenants.keep(leaving[i].Live)
		}
		slices.SortFunc(leaving, func(a, b leaver) int { return a.ID.Compare(b.ID) })
		hold(leaving)
		plan.PruneBlocked = in.Prune.blocked(leaving, len(in.Set))
	}
	for _, l := range leaving {
		plan.Actions = append(plan.Actions, in.Prune.leave(l, plan.PruneBlocked))
	}
	if len(leaving) > 0 {
		slices.SortFunc(plan.Actions, func(a, b Action) int { return a.ID.Compare(b.ID) })
	}
	in.order(&plan)
	return plan
}

// order fills in what comes before each object that is not as it should be. One that depends on what is not desired has to wait: the loader
// finds every dependency in the tree, and this one was left out as invalid.
func (in Input) order(plan *Plan) {
	before := sync.OnceValue(func() func(*manifests.Object) []manifests.ID { return manifests.Before(in.Set) })
	for i := range plan.Actions {
		action := &plan.Actions[i]
		if action.Op == None || action.Object == nil {
			continue
		}
		action.After = before()(action.Object)
		for _, dependency := range action.Object.DependsOn {
			if action.Writes() && !slices.Contains(action.After, dependency) {
				action.Op, action.Reason = Wait, fmt.Sprintf("depends on %s, whose manifest is invalid", dependency)
			}
		}
	}
}

// NotThere is the reason of a first creation.
const NotThere = "not in the cluster"

// unnamed is the reason when a field of ours is no longer as it was applied, and nothing tells who has changed which.
const unnamed = "changed by somebody else in the cluster"

// lost is the reason when an object that was applied is no longer a member of the set.
const lost = "deleted, or taken out of the set, by somebody else"

// created is the reason when a manifest that asks for nothing but the creation of its object has changed since.
const created = "not as Git says, and left alone: its manifest has mutation: ignore"

// compare decides on an object that Git wants by what the cluster holds under its ID, and of a Job by what is known of its runs.
func (in Input) compare(wanted *Wanted) Action {
	object, live := wanted.Object, wanted.Live
	action := Action{ID: object.ID, Object: object, Live: live}
	exists, known := live != nil, wanted.Expected != ""
	var ceded Ceded
	if wanted.Ceded != nil {
		ceded = *wanted.Ceded
	}
	switch {
	case !exists && wanted.Refused != "":
		action.Op, action.Reason = Conflict, wanted.Refused
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
	case live.Fields != wanted.Expected:
		action.Op, action.Drifted, action.Drift = Update, true, changes(object, live.Owners)
		action.Reason = drifted(action.Drift)
		if in.ReportDrift {
			action.Op = Drift
		}
	default:
		action.Op = None
	}
	action.Ends = ceded.Over && action.Op == Update
	if wanted.Runs != nil && object.Run != nil {
		in.job(&action, wanted.Runs)
	}
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
