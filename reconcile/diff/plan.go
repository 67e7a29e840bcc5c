// Package diff decides what has to be done: Compute compares what Git wants with what the cluster holds and returns a Plan. It is pure:
// no clock, no client, no log, and the same inputs give the same Plan, down to its text.
//
// Compute decides; package reconcile acts. The order of acting is part of the plan: every action names what it has to come after.
package diff

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/health"
	"kilter.dev/kilter/reconcile/inventory"
)

// Live is what the cluster holds under one ID, reduced to the facts that decide. It is never changed once it is shared: what is seen later is
// another one.
type Live struct {
	ID              manifests.ID
	UID             types.UID
	ResourceVersion string
	Member          bool   // ours by inventory.Member; anything else is never deleted
	Applied         string // hash of the manifest that was applied last; see v1alpha1.AppliedAnnotation
	Fields          string // hash of our field set in managedFields; it changes whenever anybody changes a field of ours
	// Owners says who owns which fields since Fields changed last; nil when that was not seen, or has been put right.
	Owners        []metav1.ManagedFieldsEntry
	DependsOn     []manifests.ID // what its annotation in the cluster names
	Kept          string         // the annotation that forbids pruning, or ""
	Cascade       bool           // an annotation allows to delete it with all that is in it, or of its kind
	ReplicasTaken bool           // somebody else owns spec.replicas
	SuspendTaken  bool           // it stands in a queue, and somebody else owns spec.suspend
	Job           *JobState      // of a Job; nil for every other kind
	Run           *Run           // of a JobRun; nil for every other kind
	Cron          *health.Cron   // of a CronJob, for its metrics; nil for every other kind. It decides nothing
	Refused       string         // why it is somebody else's although it carries the set's label, in words; or ""
	Exception     *Exception     // somebody's word against Git's; or nil
	Health        health.Health
}

// Exception is somebody's word against Git's, for a time.
type Exception struct {
	Until  time.Time // zero: it is over
	Reason string
	By     string
}

// Op is what an action does.
type Op string

// The operations. None, Skip, Keep, Drift and Conflict need no request. Compute plans no Adopt, and no Replace but that of a Job: only the server
// knows whether an object that is not of the set exists, and which field must not change. A Create turns out to be an Adopt, an Update to be a
// Replace.
const (
	Create  Op = "create"
	Update  Op = "update"
	Delete  Op = "delete"
	Adopt   Op = "adopt"   // exists, was not of the set, and becomes ours
	Replace Op = "replace" // is deleted, to be created anew when it is gone: a Job that runs again, or a field changes that must not
	None    Op = "none"    // as it should be
	Keep    Op = "keep"    // left Git, and stays for the reason given
	Drift   Op = "drift"   // differs from Git, and is only reported, as the Sync asks
	Wait    Op = "wait"    // cannot be acted on before something else has happened, in the cluster or in Git

	Skip     Op = "skip"     // differs from Git, and is left as it is for the reason given
	Conflict Op = "conflict" // is somebody else's, and is left alone
)

// Action is the decision on one object.
type Action struct {
	Op      Op
	ID      manifests.ID
	Object  *manifests.Object  // what Git wants; nil when the object left Git
	Live    *Live              // what the cluster holds; nil when it holds nothing
	Past    *health.Health     // of a Job that is gone, or going, by its record; nil when nothing is known
	Asked   string             // the record that asked for this run of a Job; empty when Git does
	Reason  string             // why, in words
	After   []manifests.ID     // what has to be done before it is applied, unless it is as it should be: sorted; only IDs of the set
	Drifted bool               // somebody has changed fields that Git sets
	Drift   []inventory.Change // who changed which of them, as far as that is known
	Ends    bool               // the exception on the live object is over: it goes, once the object is applied
}

// Strayed reports whether the object is not as it was applied, by somebody else's doing: a field of ours was changed, or the object is gone.
func (a Action) Strayed() bool { return a.Drifted || a.Reason == lost }

// Writes reports whether the action sends a request that changes the cluster.
func (a Action) Writes() bool {
	return a.Op == Create || a.Op == Update || a.Op == Replace || a.Op == Delete
}

// Health is where the object stands, as far as the cluster or its record tells.
func (a Action) Health() health.Health {
	switch {
	case a.Past != nil:
		return *a.Past
	case a.Live != nil:
		return a.Live.Health
	}
	return health.Absent()
}

// String renders the action as one line of a plan.
func (a Action) String() string {
	text := fmt.Sprintf("%-8s %s", a.Op, a.ID)
	if a.Object != nil {
		text += "  " + a.Object.Origin.String()
	}
	if a.Reason != "" {
		text += "  (" + a.Reason + ")"
	}
	return text
}

// Plan is the decision on every object that there was to decide on, sorted by ID.
type Plan struct {
	Actions []Action
	// PruneBlocked says, in words, why objects that left Git are not deleted; empty when nothing is held back.
	PruneBlocked string
}

// Find returns the action on an object, if the plan has one.
func (p Plan) Find(id manifests.ID) (Action, bool) {
	i, found := slices.BinarySearchFunc(p.Actions, id, func(a Action, id manifests.ID) int { return a.ID.Compare(id) })
	if !found {
		return Action{}, false
	}
	return p.Actions[i], true
}

// Changes returns the actions that write.
func (p Plan) Changes() []Action {
	var changes []Action
	for _, a := range p.Actions {
		if a.Writes() {
			changes = append(changes, a)
		}
	}
	return changes
}

// String renders the actions that are not None, a line each, and why pruning is blocked.
func (p Plan) String() string {
	var b strings.Builder
	for _, a := range p.Actions {
		if a.Op != None {
			b.WriteString(a.String())
			b.WriteByte('\n')
		}
	}
	if p.PruneBlocked != "" {
		fmt.Fprintf(&b, "prune blocked: %s\n", p.PruneBlocked)
	}
	return b.String()
}
