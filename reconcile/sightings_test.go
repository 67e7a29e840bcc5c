package reconcile

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/reconcile/health"
	"kilter.dev/kilter/source"
)

// The time from push to applied spans passes, begins with the look, and is told once. What was applied before we came is not told at all.
func TestPushToApplied(t *testing.T) {
	var s sightings
	end := noon()
	pass := func(commit string, applied string, changes ...Change) time.Duration {
		if commit != "" {
			s.see(&look{snapshot: source.Snapshot{Commit: source.Commit(commit)}, took: time.Second}, end)
		}
		end = end.Add(10 * time.Second)
		r := succeeded(func(r *Result) {
			r.Attempted, r.Applied, r.Finished, r.Changes = string(s.commit), applied, end, changes
		})
		s.measure(r)
		return r.Measures.AppliedAfter
	}
	wrote := Change{Action: applyOf("a", "v1"), Tried: true}
	for i, c := range []struct {
		why  string
		got  time.Duration
		want time.Duration
	}{
		{"applied before we came", pass("one", "one"), 0},
		{"some of it", pass("two", "one", wrote), 0},
		{"the same commit, looked at again", pass("two", "one"), 0},
		{"the last of it", pass("", "two"), 31 * time.Second},
		{"nothing new", pass("two", "two"), 0},
		{"a commit that changes nothing", pass("three", "three"), 11 * time.Second},
		{"a commit that another overtakes", pass("four", "three", wrote), 0},
		{"the other", pass("five", "five"), 11 * time.Second},
	} {
		if c.got != c.want {
			t.Errorf("%d, %s: %s, want %s", i, c.why, c.got, c.want)
		}
	}
	s = sightings{}
	if got := pass("one", "one", wrote); got != 11*time.Second {
		t.Errorf("the first commit ever: %s, want 11s", got)
	}
}

// A drift is found once, and repaired when a write has succeeded, however many passes that takes.
func TestRepairs(t *testing.T) {
	var s sightings
	drifted := applyOf("a", "v1")
	drifted.Drifted = true
	pass := func(after time.Duration, change ...Change) Measures {
		r := succeeded(func(r *Result) {
			r.Started = noon().Add(after)
			r.Plan.Actions, r.Changes = []diff.Action{drifted, {Op: diff.None, ID: configMap("b")}}, change
		})
		s.measure(r)
		return Measures{DriftFound: r.Measures.DriftFound, Drifted: r.Measures.Drifted, Repairs: r.Measures.Repairs}
	}
	failed := Change{Action: drifted, Tried: true, Failure: &Failure{Class: Transient}, Done: noon().Add(time.Second)}
	repaired := Change{Action: drifted, Tried: true, Done: noon().Add(12 * time.Second)}
	for i, c := range []struct{ got, want Measures }{
		{pass(0, failed), Measures{DriftFound: []manifests.ID{configMap("a")}, Drifted: 1}},
		{pass(10*time.Second, repaired), Measures{Repairs: []time.Duration{12 * time.Second}}},
		{pass(time.Minute), Measures{DriftFound: []manifests.ID{configMap("a")}, Drifted: 1}},
	} {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Errorf("pass %d: -want +got:\n%s", i+1, diff)
		}
	}
	r := succeeded(noCluster) // a pass that planned nothing knows nothing
	if s.measure(r); r.Measures.Drifted != 1 {
		t.Errorf("%d drifted after a pass that did not look, want 1", r.Measures.Drifted)
	}
}

// A run is counted when its outcome comes on record; what had ended before we came is not.
func TestRunsEnded(t *testing.T) {
	job := jobID("shop", "migrate")
	set := &manifests.Set{Objects: []*manifests.Object{{ID: job, Run: &manifests.Run{}}}}
	var s sightings
	seen := newSight()
	seen.follow(set)
	pass := func(outcomes ...diff.Outcome) Measures {
		for i, outcome := range outcomes {
			run := &diff.Run{Record: "migrate-" + string(rune('1'+i)), Job: "migrate", Number: i + 1, Outcome: outcome, Started: noon()}
			seen.putRecord(jobRunID("shop", run.Record), &diff.Live{Run: run}, "")
		}
		r := succeeded()
		s.runs(r, seen)
		return r.Measures
	}
	for i, c := range []struct{ got, want Measures }{
		{pass(diff.Failed), Measures{LastRuns: []LastRun{{Job: job, Outcome: diff.Failed, Start: noon()}}}},
		{pass(diff.Failed, ""), Measures{LastRuns: []LastRun{{Job: job, Start: noon()}}}},
		{pass(diff.Failed, diff.Complete), Measures{
			RunsEnded: map[diff.Outcome]int{diff.Complete: 1}, LastRuns: []LastRun{{Job: job, Outcome: diff.Complete, Start: noon()}},
		}},
		{pass(diff.Failed, diff.Complete), Measures{LastRuns: []LastRun{{Job: job, Outcome: diff.Complete, Start: noon()}}}},
	} {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Errorf("pass %d: -want +got:\n%s", i+1, diff)
		}
	}
}

// What a CronJob's schedule is judged by decides nothing, so its event starts no pass.
func TestSchedulesWakeNobody(t *testing.T) {
	a, b := &diff.Live{Cron: &health.Cron{LastSchedule: noon()}}, &diff.Live{Cron: &health.Cron{LastSchedule: noon().Add(time.Hour)}}
	if diff := cmp.Diff(decides(a), decides(b)); diff != "" {
		t.Error(diff)
	}
}
