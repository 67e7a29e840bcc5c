package reconcile

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"kilter.dev/kilter/internal/phrase"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/reconcile/health"
	"kilter.dev/kilter/source"
)

// Reason is the one word for the state of a Sync, from a closed set: the reason of its Ready condition and a label of its metrics.
type Reason string

// The reasons, in the order in which they win.
const (
	Suspended               Reason = "Suspended"
	FetchFailed             Reason = "FetchFailed"
	CommitRejected          Reason = "CommitRejected"
	ClusterUnreachable      Reason = "ClusterUnreachable"
	AccessDenied            Reason = "AccessDenied"
	ApplyFailed             Reason = "ApplyFailed"
	OwnershipConflict       Reason = "OwnershipConflict"
	ProgressingWithRetry    Reason = "ProgressingWithRetry"
	PruneFailed             Reason = "PruneFailed"
	PruneBlocked            Reason = "PruneBlocked"
	HealthCheckFailed       Reason = "HealthCheckFailed"
	DependencyNotReady      Reason = "DependencyNotReady"
	Progressing             Reason = "Progressing"
	ReconciliationSucceeded Reason = "ReconciliationSucceeded"
)

// Reasons lists every Reason.
func Reasons() []Reason {
	return []Reason{
		Suspended, FetchFailed, CommitRejected, ClusterUnreachable, AccessDenied, ApplyFailed, OwnershipConflict, ProgressingWithRetry, PruneFailed,
		PruneBlocked, HealthCheckFailed, DependencyNotReady, Progressing, ReconciliationSucceeded,
	}
}

// Trouble is one thing that keeps a Sync from being as Git says: a problem in a manifest, a request that was refused, or an object that
// does not get well.
type Trouble struct {
	Origin  manifests.Origin
	Object  manifests.ID
	Reason  string // a CamelCase word from a closed set
	Message string
}

// String renders the trouble in the style of a compiler.
func (t Trouble) String() string {
	var parts []string
	if t.Origin.File != "" {
		parts = append(parts, t.Origin.String())
	}
	if t.Object != (manifests.ID{}) {
		parts = append(parts, t.Object.String())
	}
	return strings.Join(append(parts, t.Message), ": ")
}

// Result is all that one pass found and did. Status, metrics, log lines and the exit code are projections of it.
type Result struct {
	Started  time.Time
	Finished time.Time
	Phases   []Phase

	Generation int64  // of the spec that the pass followed
	Requested  string // the value of kilter.dev/requestedAt that the pass answers
	Suspended  bool

	Attempted string // the revision read last; empty before the first
	Enforced  string // the revision whose objects the pass looked after: Attempted, or the last good one before it
	Applied   string // the newest revision of which every object was applied
	Looked    bool   // the pass took over a look at the repository
	Fetched   bool   // it did so without an error
	NewCommit bool   // Attempted was read for the first time by this pass
	// Rewritten is the commit that the branch of Attempted has left, because somebody has pushed by force; empty otherwise.
	Rewritten source.Commit

	FetchError   error // the repository could not be read
	ClusterError error // the cluster could not be read, or the inventory not be written
	Rejected     []manifests.Problem
	Warnings     []manifests.Problem
	Skipped      []manifests.Skip
	Blind        []Trouble // places that Kilter may not look into: nothing there is applied or judged, and nothing is pruned
	Plan         diff.Plan
	Changes      []Change    // every action that writes, done or failed, sorted by ID
	Blocked      []Blocked   // what waits for another object, sorted by ID
	Unwell       []Trouble   // objects that failed or did not become Current in time
	Rollouts     []Rollout   // DaemonSets and StatefulSets that are not simply up to date, sorted by ID
	Exceptions   []Exception // where somebody's word counts for a time instead of Git's, the one that ends first foremost
	Health       map[health.Word]int
	Objects      int
	Leaving      int  // objects that left Git and are not gone yet
	Unblocked    bool // what a blocked object waits for has come true since, or is about to
	Unrecorded   bool // a Job has ended, and that is not on record yet
	Unseen       bool // an object was applied whose kind is not watched yet, or a Job adopted: the next pass knows more

	Measures Measures // what only metrics tell
}

// Phase is the time that one part of a pass took.
type Phase struct {
	Name  string    // fetch, load, observe, plan, apply, prune, record
	Began time.Time // of fetch: before the pass, which took over what was found
	Took  time.Duration
}

// Failures returns the changes that failed.
func (r *Result) Failures() []Change {
	return slices.DeleteFunc(slices.Clone(r.Changes), func(c Change) bool { return c.Failure == nil })
}

// Changed reports whether the pass changed anything in the cluster.
func (r *Result) Changed() bool {
	return slices.ContainsFunc(r.Changes, func(c Change) bool { return c.Failure == nil })
}

// Reason returns the one word for the state that the pass left.
func (r *Result) Reason() Reason {
	transient, terminal, owned, prune := false, false, false, false
	for _, c := range r.Failures() {
		switch {
		case c.Op == diff.Delete:
			prune = true
		case c.Failure.Reason == string(OwnershipConflict):
			owned = true
		case c.Failure.Class == Terminal || c.Failure.Class == Slow:
			terminal = true
		default:
			transient = true
		}
	}
	switch {
	case r.Suspended:
		return Suspended
	case r.FetchError != nil:
		return FetchFailed
	case len(r.Rejected) > 0:
		return CommitRejected
	case r.ClusterError != nil && denied(r.ClusterError):
		return AccessDenied
	case r.ClusterError != nil:
		return ClusterUnreachable
	case len(r.Blind) > 0:
		return AccessDenied
	case terminal:
		return ApplyFailed
	case owned:
		return OwnershipConflict
	case transient:
		return ProgressingWithRetry
	case prune:
		return PruneFailed
	case r.Plan.PruneBlocked != "":
		return PruneBlocked
	case len(r.Unwell) > 0:
		return HealthCheckFailed
	case len(r.Blocked) > 0:
		return DependencyNotReady
	case r.Health[health.Current] < r.Objects || r.Leaving > 0:
		return Progressing
	}
	return ReconciliationSucceeded
}

// denied reports whether the API server answered, and refused.
func denied(err error) bool {
	failure, ok := errors.AsType[*Failure](err)
	return ok && failure.Class == Slow
}

// Ready reports whether the cluster is as the newest commit says.
func (r *Result) Ready() bool { return r.Reason() == ReconciliationSucceeded }

// Settled reports whether nothing will change before somebody acts: everything is Current, or what is not has come to its end.
func (r *Result) Settled() bool { return r.settled(false) }

// Over reports whether it is no use to wait: nothing will change before somebody acts, or what might has failed for spec.timeout.
func (r *Result) Over() bool { return r.settled(true) }

func (r *Result) settled(impatient bool) bool {
	if r.Suspended || r.FetchError != nil || r.ClusterError != nil || len(r.Rejected) > 0 && r.Enforced == "" {
		return true
	}
	for _, c := range r.Failures() {
		if c.Failure.soon() && !(impatient && c.Late) {
			return false
		}
	}
	return r.Health[health.InProgress]+r.Health[health.Terminating]+r.Leaving == 0 && !r.Unblocked && !r.Unseen && !r.Unrecorded
}

// StillTried says what was tried again and again to no avail when a pass is Over; or "".
func (r *Result) StillTried() string {
	var tried []Trouble
	for _, c := range r.Failures() {
		if c.Failure.soon() {
			tried = append(tried, c.trouble())
		}
	}
	if len(tried) == 0 {
		return ""
	}
	return first(tried)
}

// Message says in one sentence how things stand, for `kubectl get syncs` and the log.
func (r *Result) Message() string {
	switch r.Reason() {
	case Suspended:
		return "nothing is read, applied or pruned until spec.suspend is false"
	case FetchFailed:
		return r.FetchError.Error() + r.stillEnforced()
	case CommitRejected:
		return first(r.Rejected) + r.stillEnforced()
	case ClusterUnreachable, AccessDenied:
		if r.ClusterError != nil {
			return r.ClusterError.Error()
		}
		return first(r.Blind)
	case ApplyFailed, OwnershipConflict, ProgressingWithRetry:
		return first(r.Troubles()) + r.unpruned()
	case PruneFailed:
		return first(r.Troubles())
	case PruneBlocked:
		return fmt.Sprintf("prune is blocked: %s; set the annotation kilter.dev/allow-prune to the commit to allow it", r.Plan.PruneBlocked)
	case HealthCheckFailed:
		return first(r.Unwell)
	case DependencyNotReady:
		b := r.Blocked[0]
		return fmt.Sprintf("%s waits for %s: %s%s", b.Object.ID, b.By, b.Reason, more(len(r.Blocked)))
	}
	return r.Counts()
}

// first renders the first of several things and how many more there are.
func first[T fmt.Stringer](all []T) string { return all[0].String() + more(len(all)) }

func more(n int) string {
	if n <= 1 {
		return ""
	}
	return fmt.Sprintf(" (and %d more)", n-1)
}

// unpruned says how much would be deleted if everything else were applied.
func (r *Result) unpruned() string {
	n := 0
	for _, action := range r.Plan.Actions {
		if action.Op == diff.Delete {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return "; until then nothing is deleted: " + phrase.Count(n, "object") + " left Git"
}

func (r *Result) stillEnforced() string {
	if r.Enforced == "" {
		return "; nothing was applied"
	}
	return "; still enforcing " + r.Enforced
}

// Counts renders the objects by health: "34 objects: 31 current, 3 in progress".
func (r *Result) Counts() string {
	var parts []string
	for _, w := range []struct {
		word health.Word
		text string
	}{
		{health.Current, "current"},
		{health.InProgress, "in progress"},
		{health.Failed, "failed"},
		{health.Terminating, "terminating"},
		{health.NotFound, "not there"},
		{health.Unknown, "unknown"},
	} {
		if n := r.Health[w.word]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, w.text))
		}
	}
	text := phrase.Count(r.Objects, "object")
	if r.Leaving > 0 {
		parts = append(parts, fmt.Sprintf("%d leaving", r.Leaving))
	}
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	if n := len(r.Exceptions); n > 0 {
		text += "; " + phrase.Count(n, "exception")
	}
	return text
}

// Troubles returns everything that is wrong: rejected manifests, refused requests, objects that are unwell; each group by file and line.
func (r *Result) Troubles() []Trouble {
	var all []Trouble
	for _, p := range r.Rejected {
		all = append(all, troubleIn(p))
	}
	all = append(all, r.Blind...)
	start := len(all)
	for _, c := range r.Failures() {
		all = append(all, c.trouble())
	}
	slices.SortStableFunc(all[start:], compareTroubles)
	return append(all, r.Unwell...)
}

// troubleIn is a problem of a manifest as trouble.
func troubleIn(p manifests.Problem) Trouble {
	message := p.Message
	if p.Field != "" {
		message = p.Field + ": " + message
	}
	if p.Rule != "" {
		message += " (" + p.Rule + ")"
	}
	return Trouble{Origin: p.Origin, Object: p.Object, Reason: p.Reason, Message: message + p.Origin.Built()}
}

// compareTroubles orders by file and line; what has none, because it left Git, comes last.
func compareTroubles(a, b Trouble) int {
	if (a.Origin.File == "") != (b.Origin.File == "") {
		return cmp.Compare(b.Origin.File, a.Origin.File)
	}
	return cmp.Or(cmp.Compare(a.Origin.File, b.Origin.File), cmp.Compare(a.Origin.Line, b.Origin.Line), a.Object.Compare(b.Object))
}

func (c Change) trouble() Trouble {
	do := c.Op
	if do == diff.Conflict {
		do = diff.Adopt
	}
	return Trouble{
		Origin: c.Failure.Where, Object: c.ID, Reason: c.Failure.Reason,
		Message: fmt.Sprintf("cannot %s it: %s", do, c.Failure.Text),
	}
}
