package reconcile

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/internal/golden"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/reconcile/health"
)

func TestStatus(t *testing.T) {
	for name, r := range map[string]*Result{
		"succeeded":          succeeded(func(r *Result) { r.Requested = "2026-01-02T11:59:59Z" }),
		"rejected-at-first":  succeeded(rejected, firstTime),
		"rejected":           succeeded(rejected),
		"progressing":        succeeded(progressing),
		"waits":              succeeded(waits),
		"apply-failed":       succeeded(failing(diff.Create, Terminal), failing(diff.Delete, Slow)),
		"fetch-failed":       succeeded(unfetched),
		"health-check-fails": succeeded(unwell),
		"suspended":          succeeded(suspended),
		"exceptions":         succeeded(suspendedAgainstGit),
		"rollouts":           succeeded(rollsOut),
	} {
		t.Run(name, func(t *testing.T) {
			text, err := yaml.Marshal(r.Status(v1alpha1.SyncStatus{}))
			if err != nil {
				t.Fatal(err)
			}
			golden.Check(t, filepath.Join("testdata", "status-"+name+".yaml"), string(text))
		})
	}
}

// rollsOut has one DaemonSet that waits for nothing but a dead node, and one whose pods are replaced by hand.
func rollsOut(r *Result) {
	for name, found := range map[string]health.Rollout{
		"agent": {Health: health.Health{
			Word: health.Current, Reason: health.ReasonNotWaitedFor, Message: "4 of 5 pods updated and available; not waited for: node-3 (NotReady for 12m)",
		}},
		"cache": {OutdatedPods: 2, Health: health.Health{
			Word: health.Current, Reason: health.ReasonOutdatedPods, Message: "2 of 5 pods outdated until deleted (OnDelete), 5 available; outdated on node-1, node-2",
		}},
	} {
		r.Rollouts = append(r.Rollouts, Rollout{Object: manifests.ID{Group: "apps", Kind: "DaemonSet", Namespace: "shop", Name: name}, Rollout: found})
	}
	slices.SortFunc(r.Rollouts, func(a, b Rollout) int { return a.Object.Compare(b.Object) })
}

// Ready, Reconciling and Stalled say what kstatus reads: at most one of them is True.
func TestConditions(t *testing.T) {
	for _, c := range []struct {
		name   string
		result *Result
		want   string // the condition that is True
	}{
		{"succeeded", succeeded(), "Ready"},
		{"progressing", succeeded(progressing), "Reconciling"},
		{"waits", succeeded(waits), "Reconciling"},
		{"tried again", succeeded(failing(diff.Update, Transient)), "Reconciling"},
		{"fetch failed: looked again at the next interval", succeeded(unfetched), "Reconciling"},
		{"no cluster: tried again", succeeded(noCluster), "Reconciling"},
		{"rejected: somebody has to mend it", succeeded(rejected), "Stalled"},
		{"refused: somebody has to mend it", succeeded(failing(diff.Update, Terminal)), "Stalled"},
		{"suspended: nothing is amiss", succeeded(suspended), "none"},
		{"prune blocked: somebody has to allow it", succeeded(pruneBlocked), "Stalled"},
		{"rollout failed", succeeded(unwell), "Stalled"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status := c.result.Status(v1alpha1.SyncStatus{})
			for _, kind := range []string{"Ready", "Reconciling", "Stalled"} {
				condition := meta.FindStatusCondition(status.Conditions, kind)
				if condition == nil || (condition.Status == metav1.ConditionTrue) != (kind == c.want) {
					t.Errorf("%s is %+v, want %s True and no other", kind, condition, c.want)
				}
			}
		})
	}
}

// A condition keeps its time while it stands, though message and reason change; what a pass does not know keeps its last value.
func TestStatusFollowsThePreviousOne(t *testing.T) {
	first := succeeded(func(r *Result) { r.Requested = "a" }).Status(v1alpha1.SyncStatus{})
	second := succeeded(unfetched, firstTime, func(r *Result) { r.Attempted = ""; r.Finished = noon().Add(time.Minute) }).Status(first)
	third := succeeded(progressing, func(r *Result) { r.Finished = noon().Add(time.Hour) }).Status(second)

	if second.LastAppliedRevision != revision || second.LastAttemptedRevision != revision || second.LastHandledReconcileAt != "a" ||
		second.Objects != first.Objects {
		t.Errorf("without an answer from the repository the status forgets: %+v", second)
	}
	ready := func(s v1alpha1.SyncStatus) metav1.Condition { return *meta.FindStatusCondition(s.Conditions, "Ready") }
	if at := ready(second).LastTransitionTime; !at.Equal(&metav1.Time{Time: noon().Add(time.Minute)}) {
		t.Errorf("Ready went False at %s", at)
	}
	if at := ready(third).LastTransitionTime; !at.Equal(&metav1.Time{Time: noon().Add(time.Minute)}) || ready(third).Reason != string(Progressing) {
		t.Errorf("Ready stays False with another reason, and changed at %s: %+v", at, ready(third))
	}
	if at := ready(first).LastTransitionTime; !at.Equal(&metav1.Time{Time: noon().Add(312 * time.Millisecond)}) {
		t.Errorf("Status changed the previous one: %s", at)
	}
}

// Whatever the number of objects and the length of what is wrong with them, a status stays small, and within the CRD's limits.
func TestStatusIsBounded(t *testing.T) {
	const n = 10_000
	long, longer := strings.Repeat("f", 5000), strings.Repeat("é", 40_000)
	r := succeeded(func(r *Result) {
		for i := range n {
			action := applyOf(fmt.Sprintf("object-%04d", i), "v1")
			object := action.Object
			r.Rejected = append(r.Rejected, manifests.Problem{
				Origin: object.Origin, Object: object.ID, Field: long, Reason: "FieldValueInvalid", Message: longer,
			})
			r.Changes = append(r.Changes, Change{Action: action, Tried: true, Failure: &Failure{Class: Terminal, Reason: "Invalid", Text: longer}})
			r.Unwell = append(r.Unwell, Trouble{Origin: object.Origin, Object: object.ID, Reason: "JobFailed", Message: longer})
			r.Exceptions = append(r.Exceptions, Exception{ID: object.ID, Exception: diff.Exception{By: long, Reason: longer}})
			r.Rollouts = append(r.Rollouts, Rollout{Object: object.ID, Rollout: health.Rollout{Health: health.Health{Message: longer}}})
			r.Blocked = append(r.Blocked, Blocked{Object: object, By: configMap("x"), Reason: longer})
		}
		r.Objects, r.Health = n, map[health.Word]int{health.NotFound: n}
	})
	status := r.Status(v1alpha1.SyncStatus{})
	if len(status.Problems) != 20 || len(status.Exceptions) != 20 || len(status.Blocked) != 20 || len(status.Rollouts) != 20 || status.Problems[0].Object != "ConfigMap shop/object-0000" {
		t.Errorf("%d problems, %d blocked, %d exceptions; want the first 20 of each", len(status.Problems), len(status.Blocked), len(status.Exceptions))
	}
	text, err := yaml.Marshal(status)
	if err != nil {
		t.Fatal(err)
	}
	if len(text) > 64<<10 {
		t.Errorf("the status has %d bytes", len(text))
	}
}
