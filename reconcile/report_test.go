package reconcile

import (
	"bytes"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"kilter.dev/kilter/internal/golden"
	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/reconcile/health"
	"kilter.dev/kilter/reconcile/inventory"
)

// What is told, and when, in the life of a Sync: what is new is told once, in the log and in Events, and nothing while nothing changes.
func TestNews(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	newCommit := func(r *Result) { r.NewCommit = true }
	again := func(r *Result) {
		for i := range r.Changes {
			r.Changes[i].Again = true
		}
	}
	changed := func(op diff.Op, why string) func(*Result) {
		return func(r *Result) {
			action := applyOf(strings.TrimSuffix(string(op), "e")+"ed", "v1")
			action.Op, action.Reason = op, why
			if op == diff.Delete {
				action.Object = nil
			}
			r.Changes = append(r.Changes, Change{Action: action, Tried: true, Took: time.Millisecond})
		}
	}
	drifted := func(r *Result) { r.Changes[0].Drifted = true }
	furtherOn := func(r *Result) { r.Health = map[health.Word]int{health.Current: 2, health.InProgress: 1} }

	var state told
	for _, pass := range []struct {
		what   string
		result *Result
	}{
		{"first commit", succeeded(newCommit, changed(diff.Create, "not in the cluster"), waits)},
		{"the same wait", succeeded(waits)},
		{"the wait is over", succeeded(progressing)},
		{"further on", succeeded(furtherOn)},
		{"done", succeeded()},
		{"nothing", succeeded()},
		{"drift", succeeded(changed(diff.Update, "changed by kubectl-edit at 2026-11-23T14:03:11Z: .spec.replicas"), drifted)},
		{"drift in the way of others", succeeded(changed(diff.Update, "changed by kubectl-edit: .a"), drifted, func(r *Result) {
			r.Changes[0].Drift = []inventory.Change{{Manager: "kubectl-edit"}}
			r.Changes[0].Taken = []Taken{{"kubectl-edit", []string{".a"}}, {"autoscaler", []string{".b"}}}
		})},
		{"adoption", succeeded(changed(diff.Adopt, diff.NotThere), func(r *Result) { r.Changes[0].From = "Helm release shop/web" })},
		{"adoption of what was nobody's", succeeded(changed(diff.Adopt, diff.NotThere))},
		{"replacement", succeeded(changed(diff.Replace, "changed in Git"))},
		{"fields of others", succeeded(changed(diff.Update, "changed in Git"), func(r *Result) {
			r.Changes[0].Taken = []Taken{{"autoscaler", []string{".spec.replicas"}}, {"kubectl-edit", []string{".a", ".b", ".c", ".d"}}}
		})},
		{"a commit that changes nothing", succeeded(newCommit)},
		{"a push by force", succeeded(newCommit, func(r *Result) { r.Rewritten = "0123456789abcdef0123456789abcdef01234567" })},
		{"a commit that is rejected", succeeded(newCommit, rejected)},
		{"it is still rejected", succeeded(rejected)},
		{"the server refuses one", succeeded(failing(diff.Update, Terminal))},
		{"it does again", succeeded(failing(diff.Update, Terminal), again)},
		{"and a deletion", succeeded(failing(diff.Update, Terminal), again, failing(diff.Delete, Slow))},
		{"a deletion succeeds", succeeded(changed(diff.Delete, "left Git"))},
		{"the repository is away", succeeded(unfetched)},
		{"it is still away", succeeded(unfetched)},
		{"the cluster is away", succeeded(noCluster)},
		{"a rollout fails", succeeded(unwell)},
		{"two rollouts fail", succeeded(unwell, unwell)},
		{"suspended", succeeded(suspended)},
		{"resumed", succeeded()},
	} {
		fmt.Fprintf(&out, "# %s\n", pass.what)
		var all []news
		state, all = state.news(pass.result)
		for _, n := range all {
			n.log(log)
		}
		for _, e := range events(all, corev1.ObjectReference{Kind: "Sync", Namespace: "shop", Name: "app"}) {
			fmt.Fprintf(&out, "  event %s %s on %s %s/%s: %s\n",
				e.Type, e.Reason, e.InvolvedObject.Kind, e.InvolvedObject.Namespace, e.InvolvedObject.Name, e.Message)
		}
	}
	golden.Check(t, filepath.Join("testdata", "report.txt"), out.String())
}
