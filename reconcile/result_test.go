package reconcile

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/reconcile/health"
)

const revision = "main@sha1:0123456789abcdef0123456789abcdef01234567"

// succeeded is a Result of three objects that are as Git says; change makes another one of it.
func succeeded(change ...func(*Result)) *Result {
	r := &Result{
		Started: noon(), Finished: noon().Add(312 * time.Millisecond), Generation: 3,
		Attempted: revision, Enforced: revision, Applied: revision, Fetched: true,
		Health: map[health.Word]int{health.Current: 3}, Objects: 3,
	}
	for _, c := range change {
		c(r)
	}
	return r
}

func suspended(r *Result) { r.Suspended = true }
func denyOne(r *Result) {
	r.Blind = append(r.Blind, Trouble{Reason: "Forbidden", Message: "cannot watch Job.batch in namespace shop: forbidden"})
}

func unfetched(r *Result) {
	r.FetchError = errors.New("cannot fetch https://git: no such branch")
	r.Fetched = false
}

func noCluster(r *Result) {
	r.ClusterError = errors.New("cannot reach the API server at https://h: connection refused")
}
func firstTime(r *Result)     { r.Enforced, r.Applied, r.Health, r.Objects = "", "", nil, 0 }
func nextUnblocked(r *Result) { r.Unblocked = true }
func leaving(r *Result)       { r.Leaving = 2 }
func pruneBlocked(r *Result)  { r.Plan.PruneBlocked = "the commit deletes everything, 3 objects" }

func rejected(r *Result) {
	r.Rejected = []manifests.Problem{
		{
			Origin: manifests.Origin{File: "jobs/migrate.yaml", Line: 7, Column: 3}, Object: manifests.ID{Group: "batch", Kind: "Job", Namespace: "shop", Name: "migrate"},
			Field: "spec.backoffLimit", Reason: "FieldValueInvalid", Severity: manifests.Error, Message: "must be greater than or equal to 0",
		},
		{Origin: manifests.Origin{File: "x.yaml"}, Reason: manifests.ReasonSyntax, Severity: manifests.Error, Message: "not YAML"},
	}
}

// failing adds a change that failed.
func failing(op diff.Op, class Class) func(*Result) {
	return func(r *Result) {
		name := strings.ToLower(string(op) + "-" + string(class))
		action := diff.Action{Op: op, ID: configMap(name)}
		failure := &Failure{Class: class, Reason: "Because", Text: "the server says no"}
		if op != diff.Delete {
			action = applyOf(name, "v1")
			action.Op, failure.Where = op, manifests.Origin{File: name + ".yaml", Line: 4, Column: 5}
		}
		r.Changes = append(r.Changes, Change{Action: action, Failure: failure, Tried: true, Took: time.Millisecond})
	}
}

func unwell(r *Result) {
	r.Unwell = append(r.Unwell, Trouble{
		Origin: manifests.Origin{File: "web.yaml", Line: 1, Column: 1}, Object: configMap("web"), Reason: "DeadlineExceeded", Message: "failed (DeadlineExceeded): 1 of 2 pods",
	})
	r.Health = map[health.Word]int{health.Current: 2, health.Failed: 1}
}

func suspendedAgainstGit(r *Result) {
	excepted := func(name string, e diff.Exception) Exception {
		return Exception{Exception: e, ID: manifests.ID{Group: "batch", Kind: "CronJob", Namespace: "shop", Name: name}}
	}
	r.Exceptions = []Exception{
		excepted("broken", diff.Exception{}),
		excepted("report", diff.Exception{Until: noon().Add(time.Hour), By: "alice", Reason: "the database moves"}),
	}
}

func waits(r *Result) {
	r.Blocked = append(r.Blocked, Blocked{Object: applyOf("load", "v1").Object, By: configMap("migrate"), Reason: "3 of 8 completions"})
	r.Health = map[health.Word]int{health.Current: 1, health.InProgress: 1, health.NotFound: 1}
}

func progressing(r *Result) {
	r.Health = map[health.Word]int{health.Current: 1, health.InProgress: 1, health.Terminating: 1}
}

// What one word and one sentence a pass comes to. Settled: nothing will change before somebody acts.
func TestReason(t *testing.T) {
	is := func(changes ...func(*Result)) []func(*Result) { return changes }
	for _, c := range []struct {
		name    string
		result  []func(*Result)
		reason  Reason
		settled bool
		message string
	}{
		{"everything as Git says", is(), ReconciliationSucceeded, true, "3 objects: 3 current"},
		{"suspended", is(suspended), Suspended, true, "nothing is read, applied or pruned until spec.suspend is false"},
		{"no repository, from the start", is(unfetched, firstTime), FetchFailed, true, "cannot fetch https://git: no such branch; nothing was applied"},
		{"no repository", is(unfetched), FetchFailed, true, "cannot fetch https://git: no such branch; still enforcing " + revision},
		{"first commit rejected", is(rejected, firstTime), CommitRejected, true, "jobs/migrate.yaml:7:3: Job shop/migrate: " +
			"spec.backoffLimit: must be greater than or equal to 0 (and 1 more); nothing was applied"},
		{"rejected", is(rejected), CommitRejected, true, "jobs/migrate.yaml:7:3: Job shop/migrate: " +
			"spec.backoffLimit: must be greater than or equal to 0 (and 1 more); still enforcing " + revision},
		{"rejected while the last good one rolls out", is(rejected, progressing), CommitRejected, false, "jobs/migrate.yaml:7:3: Job shop/migrate: " +
			"spec.backoffLimit: must be greater than or equal to 0 (and 1 more); still enforcing " + revision},
		{"no cluster", is(noCluster), ClusterUnreachable, true, "cannot reach the API server at https://h: connection refused"},
		{
			"a manifest that the server refuses", is(failing(diff.Create, Terminal)), ApplyFailed, true,
			"create-terminal.yaml:4:5: ConfigMap shop/create-terminal: cannot create it: the server says no",
		},
		{
			"no permission, or no quota", is(failing(diff.Update, Slow)), ApplyFailed, true,
			"update-slow.yaml:4:5: ConfigMap shop/update-slow: cannot update it: the server says no",
		},
		{
			"a server in trouble", is(failing(diff.Update, Transient)), ProgressingWithRetry, false,
			"update-transient.yaml:4:5: ConfigMap shop/update-transient: cannot update it: the server says no",
		},
		{
			"a conflict", is(failing(diff.Update, Conflict)), ProgressingWithRetry, false,
			"update-conflict.yaml:4:5: ConfigMap shop/update-conflict: cannot update it: the server says no",
		},
		{
			"a denied deletion", is(failing(diff.Delete, Slow), leaving), PruneFailed, false,
			"ConfigMap shop/delete-slow: cannot delete it: the server says no",
		},
		{
			"an object of another set", is(owned, failing(diff.Update, Transient)), OwnershipConflict, false,
			"adopt-slow.yaml:4:5: ConfigMap shop/adopt-slow: cannot adopt it: the server says no (and 1 more)",
		},
		{"deletions that are blocked", is(pruneBlocked), PruneBlocked, true, "prune is blocked: the commit deletes everything, 3 objects; " +
			"set the annotation kilter.dev/allow-prune to the commit to allow it"},
		{
			"an object that does not get well", is(unwell), HealthCheckFailed, true,
			"web.yaml:1:1: ConfigMap shop/web: failed (DeadlineExceeded): 1 of 2 pods",
		},
		{
			"several of them", is(unwell, unwell), HealthCheckFailed, true,
			"web.yaml:1:1: ConfigMap shop/web: failed (DeadlineExceeded): 1 of 2 pods (and 1 more)",
		},
		{"an object that waits", is(waits), DependencyNotReady, false, "ConfigMap shop/load waits for ConfigMap shop/migrate: 3 of 8 completions"},
		{"on its way", is(progressing), Progressing, false, "3 objects: 1 current, 1 in progress, 1 terminating"},
		{"deletions under way", is(leaving), Progressing, false, "3 objects: 3 current, 2 leaving"},
		{"unblocked by the pass itself", is(nextUnblocked), ReconciliationSucceeded, false, "3 objects: 3 current"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := succeeded(c.result...)
			if r.Reason() != c.reason || r.Ready() != (c.reason == ReconciliationSucceeded) {
				t.Errorf("Reason() = %s, ready %t; want %s", r.Reason(), r.Ready(), c.reason)
			}
			if r.Settled() != c.settled || r.Over() != c.settled {
				t.Errorf("Settled() = %t, Over() = %t, want %t", r.Settled(), r.Over(), c.settled)
			}
			if diff := cmp.Diff(c.message, r.Message()); diff != "" {
				t.Errorf("Message() (-want +got):\n%s", diff)
			}
		})
	}
}

// What has failed for too long is tried again, and yet nobody waits for it.
func TestOver(t *testing.T) {
	r := succeeded(failing(diff.Create, Terminal), failing(diff.Update, Transient))
	if r.Over() {
		t.Error("over before its time")
	}
	r.Changes[1].Late = true
	if r.Settled() || !r.Over() {
		t.Errorf("Settled() = %t, Over() = %t; want it over, not settled", r.Settled(), r.Over())
	}
	want := "update-transient.yaml:4:5: ConfigMap shop/update-transient: cannot update it: the server says no"
	if got := r.StillTried(); got != want {
		t.Errorf("StillTried() = %q, want %q", got, want)
	}
	if progressing(r); r.Over() {
		t.Error("over while a rollout goes on")
	}
}

// When several things are wrong, the reason that stands first in Reasons wins; and each can be reached.
func TestReasonsWinInTheirOrder(t *testing.T) {
	causes := map[Reason]func(*Result){
		Suspended: suspended, FetchFailed: unfetched, CommitRejected: rejected, ClusterUnreachable: noCluster, AccessDenied: denyOne,
		ApplyFailed: failing(diff.Create, Terminal), OwnershipConflict: owned, ProgressingWithRetry: failing(diff.Update, Transient),
		PruneFailed: failing(diff.Delete, Transient), PruneBlocked: pruneBlocked, HealthCheckFailed: unwell, DependencyNotReady: waits,
		Progressing: leaving, ReconciliationSucceeded: func(*Result) {},
	}
	reasons := Reasons()
	if len(causes) != len(reasons) {
		t.Fatalf("%d causes for %d reasons", len(causes), len(reasons))
	}
	r := succeeded()
	for _, reason := range slices.Backward(reasons) {
		causes[reason](r)
		if got := r.Reason(); got != reason {
			t.Errorf("with %s and all that come after it, Reason() = %s", reason, got)
		}
	}
}

// owned makes the pass meet an object that belongs to another set.
func owned(r *Result) {
	failing(diff.Adopt, Slow)(r)
	r.Changes[len(r.Changes)-1].Failure.Reason = string(OwnershipConflict)
}

// Problems of manifests come first, as they were found; then refused requests by file and line, deletions last; then health.
func TestTroubles(t *testing.T) {
	r := succeeded(unwell, failing(diff.Update, Transient), failing(diff.Create, Terminal), failing(diff.Delete, Slow), rejected)
	r.Changes = append(r.Changes, Change{Action: applyOf("fine", "v1")})
	var got []string
	for _, trouble := range r.Troubles() {
		got = append(got, fmt.Sprintf("[%s] %s", trouble.Reason, trouble))
	}
	want := []string{
		"[FieldValueInvalid] jobs/migrate.yaml:7:3: Job shop/migrate: spec.backoffLimit: must be greater than or equal to 0",
		"[SyntaxError] x.yaml: not YAML",
		"[Because] create-terminal.yaml:4:5: ConfigMap shop/create-terminal: cannot create it: the server says no",
		"[Because] update-transient.yaml:4:5: ConfigMap shop/update-transient: cannot update it: the server says no",
		"[Because] ConfigMap shop/delete-slow: cannot delete it: the server says no",
		"[DeadlineExceeded] web.yaml:1:1: ConfigMap shop/web: failed (DeadlineExceeded): 1 of 2 pods",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Troubles() (-want +got):\n%s", diff)
	}
	if len(r.Failures()) != 3 || !r.Changed() || succeeded(failing(diff.Update, Slow)).Changed() {
		t.Errorf("Failures() = %v, Changed() = %t: a failure changes nothing", r.Failures(), r.Changed())
	}
}

func TestCountsNameEveryWord(t *testing.T) {
	r := &Result{Objects: 1, Health: map[health.Word]int{
		health.Unknown: 6, health.NotFound: 5, health.Terminating: 4, health.Failed: 3, health.InProgress: 2, health.Current: 1,
	}}
	want := "1 object: 1 current, 2 in progress, 3 failed, 4 terminating, 5 not there, 6 unknown"
	if got := r.Counts(); got != want {
		t.Errorf("Counts() = %q, want %q", got, want)
	}
	if got := (&Result{}).Counts(); got != "0 objects" {
		t.Errorf("Counts() of nothing = %q", got)
	}
}

// docs/sync.md explains every reason that a Sync can have.
func TestReasonsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/sync.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, reason := range Reasons() {
		if !strings.Contains(string(page), "| `"+string(reason)+"` |") {
			t.Errorf("docs/sync.md does not explain %s", reason)
		}
	}
}
