package reconcile

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/reconcile/health"
)

// What a Job's events tell of a run that nobody saw end.
func TestTestimony(t *testing.T) {
	run := diff.Run{Record: "migrate-2", Created: noon()}
	event := func(uid, reason string, after time.Duration) corev1.Event {
		return corev1.Event{
			InvolvedObject: corev1.ObjectReference{UID: types.UID(uid)}, Reason: reason, Message: "said\nso",
			LastTimestamp: metav1.Time{Time: noon().Add(after)},
		}
	}
	unknown := v1alpha1.JobRunStatus{Outcome: v1alpha1.RunUnknown, Reason: "Gone", Message: "its Job is gone, and nothing tells how it ended"}
	with := func(s v1alpha1.JobRunStatus, uid string) v1alpha1.JobRunStatus { s.JobUID = types.UID(uid); return s }
	ended := func(outcome v1alpha1.JobRunOutcome, reason, message string, after time.Duration) v1alpha1.JobRunStatus {
		return v1alpha1.JobRunStatus{JobUID: "b", Outcome: outcome, Reason: reason, Message: message, CompletionTime: &metav1.Time{Time: noon().Add(after)}}
	}
	newer := event("b", "Completed", 0)
	newer.LastTimestamp, newer.EventTime = metav1.Time{}, metav1.NewMicroTime(noon().Add(time.Minute))
	known := run
	known.JobUID = "b"
	for _, c := range []struct {
		name   string
		run    diff.Run
		others []diff.Run
		events []corev1.Event
		want   account
	}{
		{"no trace", run, nil, nil, account{status: unknown}},
		{"no trace of a Job that was seen", known, nil, nil, account{status: with(unknown, "b")}},
		{"begun", run, nil, []corev1.Event{event("b", "SuccessfulCreate", 1e9)}, account{with(unknown, "b"), true}},
		{"begun, and more than is told", run, nil, slices.Repeat([]corev1.Event{event("b", "SuccessfulCreate", 1e9)}, spoken), account{status: with(unknown, "b")}},
		{"run by another controller", run, nil, []corev1.Event{event("b", "Queued", 1e9)}, account{status: with(unknown, "b")}},
		{
			"complete", run, nil,
			[]corev1.Event{event("b", "SuccessfulCreate", 1e9), event("b", "Completed", 3e9)},
			account{status: ended(v1alpha1.RunComplete, "", "completed, says its event", 3e9)},
		},
		{
			"failed", run, nil,
			[]corev1.Event{event("b", "BackoffLimitExceeded", 2e9)},
			account{status: ended(v1alpha1.RunFailed, "BackoffLimitExceeded", "said so", 2e9)},
		},
		{
			"told by the newer API", run, nil,
			[]corev1.Event{newer},
			account{status: ended(v1alpha1.RunComplete, "", "completed, says its event", time.Minute)},
		},
		{"of an earlier time", run, nil, []corev1.Event{event("b", "Completed", -2e9)}, account{status: unknown}},
		{"of another run", run, []diff.Run{{Record: "migrate-1", JobUID: "a"}}, []corev1.Event{event("a", "Completed", 1e9)}, account{status: unknown}},
		{"of somebody else's Job", run, []diff.Run{{JobUID: "a"}}, []corev1.Event{event("a", "Completed", 1e9)}, account{status: unknown}},
		{"of a Job that is not the one that was seen", known, nil, []corev1.Event{event("a", "Completed", 1e9)}, account{status: with(unknown, "b")}},
	} {
		if diff := cmp.Diff(c.want, testimony(c.run, c.others, c.events), cmp.AllowUnexported(account{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// A Job that can have been deleted by its TTL tells nothing of somebody who deleted it.
func TestExpired(t *testing.T) {
	for _, c := range []struct {
		spec string
		age  time.Duration
		want bool
	}{
		{`{}`, time.Hour, false},
		{`{"ttlSecondsAfterFinished":60}`, 59 * time.Second, false},
		{`{"ttlSecondsAfterFinished":60}`, 60 * time.Second, true},
		{`{"ttlSecondsAfterFinished":0}`, 0, true},
	} {
		if got := expired(&manifests.Object{JSON: []byte(`{"spec":` + c.spec + `}`)}, c.age); got != c.want {
			t.Errorf("%s after %s: %t", c.spec, c.age, got)
		}
	}
	if !expired(nil, 0) {
		t.Error("the TTL of a Job that Git does not have is known")
	}
}

// Runs come in the order in which they began; those that go on, or are only asked for, come last.
func TestRecordedRunsAreSorted(t *testing.T) {
	at := func(minutes int) time.Time { return noon().Add(time.Duration(minutes) * time.Minute) }
	s := newSight()
	s.putRecord(jobRunID("shop", "none"), &diff.Live{}, "")
	for _, run := range []diff.Run{
		{Record: "m-10", Number: 10, Created: at(3), Started: at(3), Outcome: diff.Complete},
		{Record: "m-9", Number: 9, Created: at(3), Started: at(3), Outcome: diff.Complete},
		{Record: "m-2", Number: 2, Created: at(2), Outcome: diff.Deleted},
		{Record: "please", Created: at(1), Started: at(4), Outcome: diff.Failed},
		{Record: "again", Created: at(1), Asked: true},
		{Record: "m-11", Number: 11, Created: at(5)},
	} {
		run.Job = "m"
		for range 2 { // the second time it is a change
			s.putRecord(jobRunID("shop", run.Record), &diff.Live{Run: &run}, "")
		}
	}
	s.putRecord(jobRunID("web", "m-1"), &diff.Live{Run: &diff.Run{Record: "m-1", Job: "m"}}, "")
	s.putRecord(jobRunID("web", "n-1"), &diff.Live{Run: &diff.Run{Record: "n-1", Job: "n"}}, "")
	s.putRecord(jobRunID("web", "n-1"), nil, "")
	sorted := s.recorded
	var names []string
	for _, run := range sorted[jobID("shop", "m")] {
		names = append(names, run.Record)
	}
	if got, want := strings.Join(names, " "), "m-2 m-9 m-10 please again m-11"; got != want || len(sorted) != 2 || len(sorted[jobID("web", "m")]) != 1 {
		t.Errorf("in order: %s, want %s; of %d Jobs", got, want, len(sorted))
	}
}

func TestSurplus(t *testing.T) {
	job := func(policy manifests.RunPolicy, history int) *manifests.Object {
		return &manifests.Object{Run: &manifests.Run{Policy: policy, History: history}}
	}
	for _, c := range []struct {
		name   string
		runs   string // C complete, F failed, - goes on; the oldest first
		object *manifests.Object
		gone   bool
		want   string // the places of those to remove
	}{
		{"fewer", "CF", job(manifests.RunOnChange, 5), false, ""},
		{"as many", "CFC", job(manifests.RunOnChange, 3), false, ""},
		{"more", "CFCF", job(manifests.RunOnChange, 2), false, "01"},
		{"what goes on does not count", "CF-", job(manifests.RunOnChange, 2), false, ""},
		{"once: the run that has completed stays", "CFFF", job(manifests.RunOnce, 2), false, "1"},
		{"once: one that has completed is enough", "CFCF", job(manifests.RunOnce, 2), false, "01"},
		{"left Git, and is still there", "CF", nil, false, ""},
		{"left Git, and is gone", "CF-", nil, true, "012"},
		{"not a Job any more", "C", &manifests.Object{}, true, "0"},
		{"gone, and wanted", "CF", job(manifests.RunOnChange, 5), true, ""},
	} {
		var runs []diff.Run
		for i, outcome := range c.runs {
			words := map[rune]diff.Outcome{'C': diff.Complete, 'F': diff.Failed, '-': ""}
			runs = append(runs, diff.Run{Record: string(rune('0' + i)), Outcome: words[outcome]})
		}
		got := ""
		for _, run := range surplus(runs, c.object, func() bool { return c.gone }) {
			got += run.Record
		}
		if got != c.want {
			t.Errorf("%s: %q is removed, want %q", c.name, got, c.want)
		}
	}
}

func TestEndOf(t *testing.T) {
	running := health.Health{Word: health.InProgress, Message: "0 of 1 completion, 1 running"}
	for _, c := range []struct {
		name    string
		last    *diff.Live
		outcome diff.Outcome
		message string
	}{
		{"complete", &diff.Live{Job: &diff.JobState{Outcome: diff.Complete, Message: "1 of 1 completion"}}, diff.Complete, "1 of 1 completion"},
		{"failed", &diff.Live{Job: &diff.JobState{Outcome: diff.Failed, Message: "1 failed"}}, diff.Failed, "1 failed"},
		{"running", &diff.Live{Job: &diff.JobState{}, Health: running}, diff.Deleted, "deleted before it had finished: 0 of 1 completion, 1 running"},
	} {
		if outcome, message := endOf(c.last); outcome != c.outcome || message != c.message {
			t.Errorf("%s: %s, %q", c.name, outcome, message)
		}
	}
}
