package reconcile

import (
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/reconcile/health"
)

// What was read holds for as long as the status that it explains, of the same object.
func TestRolloutSeenHolds(t *testing.T) {
	status := health.Health{Word: health.InProgress, Reason: health.ReasonUpdating, Message: "1 of 2 pods updated"}
	seen := rolloutSeen{uid: "one", status: status}
	for _, c := range []struct {
		name string
		live *diff.Live
		want bool
	}{
		{"the same", &diff.Live{UID: "one", Health: status, ResourceVersion: "8"}, true},
		{"another object of the same name", &diff.Live{UID: "two", Health: status}, false},
		{"another status", &diff.Live{UID: "one", Health: health.Health{Word: health.Current, Reason: health.ReasonAvailable}}, false},
	} {
		if got := seen.holds(c.live); got != c.want {
			t.Errorf("%s: holds = %t, want %t", c.name, got, c.want)
		}
	}
}

// Nothing is read of what its status explains, nor of other kinds.
func TestUnexplained(t *testing.T) {
	daemonSet := manifests.ID{Group: "apps", Kind: "DaemonSet", Namespace: "shop", Name: "agent"}
	for reason, want := range map[string]bool{
		health.ReasonAvailable: false, health.ReasonApplied: false, health.ReasonNotObserved: false, health.ReasonDeleting: false,
		health.ReasonUpdating: true, health.ReasonPodsUnavailable: true, health.ReasonOutdatedPods: true, health.ReasonMisscheduled: true,
	} {
		if got := unexplained(&diff.Live{ID: daemonSet, Health: health.Health{Reason: reason}}); got != want {
			t.Errorf("a DaemonSet that is %s: %t, want %t", reason, got, want)
		}
	}
	deployment := manifests.ID{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "web"}
	if unexplained(&diff.Live{ID: deployment, Health: health.Health{Reason: health.ReasonUpdating}}) {
		t.Error("a Deployment is judged by its status")
	}
}

// The loop wakes for the first look that is due later than the pass that has just ended.
func TestNextLook(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	id := func(name string) manifests.ID { return manifests.ID{Kind: "DaemonSet", Name: name} }
	k := rollouts{by: map[manifests.ID]rolloutSeen{
		id("never"): {}, id("past"): {next: start.Add(-time.Second)}, id("later"): {next: start.Add(time.Minute)}, id("soon"): {next: start.Add(8 * time.Second)},
	}}
	if got, want := k.next(start), start.Add(8*time.Second); !got.Equal(want) {
		t.Errorf("next look at %s, want %s", got, want)
	}
	if got := k.next(start.Add(time.Hour)); !got.IsZero() {
		t.Errorf("next look at %s, want none", got)
	}
}

// A look that fails leaves the judgement by status, and is tried again, later and later.
func TestLookFails(t *testing.T) {
	cluster, err := Connect(&rest.Config{Host: "http://127.0.0.1:1"}) // where nobody listens
	if err != nil {
		t.Fatal(err)
	}
	live := &diff.Live{
		ID:     manifests.ID{Group: "apps", Kind: "DaemonSet", Namespace: "shop", Name: "agent"},
		Health: health.Health{Word: health.InProgress, Reason: health.ReasonUpdating, Message: "1 of 2 pods updated"},
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var seen rolloutSeen
	for i, want := range []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second} {
		seen = seen.look(t.Context(), &rolloutReader{cluster: cluster, now: now}, live, i > 0)
		if seen.found.Health != live.Health || seen.next.Sub(now) != want {
			t.Errorf("look %d: %+v, again after %s, want %s", i, seen.found.Health, seen.next.Sub(now), want)
		}
	}
}
