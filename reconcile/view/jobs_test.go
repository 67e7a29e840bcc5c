package view

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/manifests"
)

func TestNumber(t *testing.T) {
	for name, want := range map[string]int{
		"migrate-3": 3, "migrate-12": 12, "migrate-0": 0, "migrate-": 0, "migrate": 0, "migrate-x": 0, "migrate-3-4": 0, "other-3": 0, "migrate--3": 0,
	} {
		run := &v1alpha1.JobRun{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.JobRunSpec{Job: "migrate"}}
		if got := Number(run); got != want {
			t.Errorf("Number(%q) = %d; want %d", name, got, want)
		}
	}
}

func TestTook(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 1, 0, 0, time.UTC)
	begin, end := metav1.NewTime(now.Add(-time.Minute)), metav1.NewTime(now.Add(-50*time.Second))
	for name, each := range map[string]struct {
		run  Run
		want time.Duration
	}{
		"not begun":    {Run{}, 0},
		"goes on":      {Run{Start: &begin}, time.Minute},
		"ended":        {Run{Start: &begin, End: &end, Outcome: v1alpha1.RunComplete}, 10 * time.Second},
		"nobody knows": {Run{Start: &begin, Outcome: v1alpha1.RunUnknown}, 0},
	} {
		if got := each.run.Took(now); got != each.want {
			t.Errorf("%s: took %s; want %s", name, got, each.want)
		}
	}
}

// A rerun that waits is not the last run; the newest that began is, whatever the order of the names.
func TestJoinJobsTakesTheNewestRun(t *testing.T) {
	var runs []v1alpha1.JobRun
	for name, identity := range map[string]string{"migrate-9": "a", "migrate-10": "b", "migrate-11": ""} {
		runs = append(runs, v1alpha1.JobRun{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop"},
			Spec:       v1alpha1.JobRunSpec{Sync: "shop/app", Job: "migrate", Identity: identity},
		})
	}
	NewestFirst(runs)
	jobs := joinJobs(nil, runs, nil)
	if len(jobs) != 1 || jobs[0].Runs != 10 || !jobs[0].Asked || jobs[0].Sync != "shop/app" || jobs[0].Last.Record != "migrate-10" {
		t.Errorf("%+v; want run 10 of one Job, and one more asked for", jobs)
	}
}

// Programs write Events in two shapes, and Kilter leaves out the version of what left Git.
func TestNewEvent(t *testing.T) {
	at := func(second int) time.Time { return time.Date(2026, 1, 1, 0, 0, second, 0, time.UTC) }
	about := corev1.ObjectReference{APIVersion: "batch/v1", Kind: "Job", Namespace: "shop", Name: "migrate"}
	ref := Ref{Group: "batch", Kind: "Job", Namespace: "shop", Name: "migrate"}
	for name, each := range map[string]struct {
		event corev1.Event
		want  Event
	}{
		"counted": {
			corev1.Event{
				InvolvedObject: about, FirstTimestamp: metav1.NewTime(at(1)), LastTimestamp: metav1.NewTime(at(5)), Count: 3,
				Source: corev1.EventSource{Component: "job-controller"},
			},
			Event{First: at(1), Last: at(5), Count: 3, Object: ref, Source: "job-controller"},
		},
		"series": {
			corev1.Event{
				InvolvedObject: about, EventTime: metav1.NewMicroTime(at(1)), ReportingController: "default-scheduler",
				Series: &corev1.EventSeries{Count: 4, LastObservedTime: metav1.NewMicroTime(at(7))},
			},
			Event{First: at(1), Last: at(7), Count: 4, Object: ref, Source: "default-scheduler"},
		},
		"bare": {
			corev1.Event{InvolvedObject: about, ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(at(2))}},
			Event{First: at(2), Last: at(2), Count: 1, Object: ref},
		},
		"of what left Git": {
			corev1.Event{
				InvolvedObject: corev1.ObjectReference{APIVersion: "batch", Kind: "Job", Namespace: "shop", Name: "migrate"},
				FirstTimestamp: metav1.NewTime(at(1)), LastTimestamp: metav1.NewTime(at(1)), Count: 1,
			},
			Event{First: at(1), Last: at(1), Count: 1, Object: ref},
		},
	} {
		if diff := cmp.Diff(each.want, newEvent(&each.event)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
}

// Only keeps the way to one object, and what is below it.
func TestOnly(t *testing.T) {
	pod := func(name string) *Node { return &Node{Ref: Ref{Kind: "Pod", Namespace: "shop", Name: name}} }
	set := &Node{Ref: Ref{Group: "apps", Kind: "ReplicaSet", Namespace: "shop", Name: "web-1"}, Made: []*Node{pod("a"), pod("b")}}
	tree := func() *Tree {
		return &Tree{Objects: []*Node{
			pod("other"),
			{Ref: Ref{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "web"}, Made: []*Node{set, pod("c")}},
		}}
	}
	for name, want := range map[string]string{
		"b":    "Deployment shop/web > ReplicaSet shop/web-1 > Pod shop/b",
		"c":    "Deployment shop/web > Pod shop/c",
		"none": "",
	} {
		only := tree()
		found := only.Only(manifests.ID{Kind: "Pod", Namespace: "shop", Name: name})
		got := ""
		for level := only.Objects; len(level) == 1; level = level[0].Made {
			if got != "" {
				got += " > "
			}
			got += level[0].String()
		}
		if got != want || found != (want != "") {
			t.Errorf("Only(%s) leaves %q, %t; want %q", name, got, found, want)
		}
	}
	if len(set.Made) != 2 {
		t.Error("Only changed the nodes")
	}
}
