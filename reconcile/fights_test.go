package reconcile

import (
	"strings"
	"testing"
	"time"

	"kilter.dev/kilter/manifests"
)

// TestFightsGrowSlower lets two loops answer each other at once, each time they may, for an hour.
func TestFightsGrowSlower(t *testing.T) {
	object := &manifests.Object{ID: manifests.ID{Kind: "ConfigMap", Namespace: "shop", Name: "a"}, Hash: "1"}
	f := fights{by: map[manifests.ID]fight{}}
	now := time.Unix(0, 0)
	end := now.Add(time.Hour)
	applies := 0
	for now.Before(end) {
		if f.slowed(object, now) != nil {
			now = now.Add(time.Second)
			continue
		}
		f.applied(object, nil, now)
		applies++
		now = now.Add(10 * time.Millisecond)
	}
	if most := freeApplies + 6 + int(time.Hour/slowest); applies > most {
		t.Errorf("applied %d times in an hour, want at most %d", applies, most)
	}

	failure := f.slowed(object, now.Add(-time.Minute))
	if failure == nil || failure.Class != Conflict || !strings.Contains(failure.Text, "in a row") {
		t.Errorf("a fight is told as %v", failure)
	}
	f.applied(object, []string{"changed by kubectl-edit at 1970-01-01T00:00:00Z: .data.key", "removed by somebody: .data.other"}, now)
	const who = " times in a row, and is applied more slowly now; last seen: " +
		"changed by kubectl-edit at 1970-01-01T00:00:00Z: .data.key; removed by somebody: .data.other"
	if failure := f.slowed(object, now); failure == nil || !strings.HasSuffix(failure.Text, who) {
		t.Errorf("a fight is told as %v, want %s", failure, who)
	}
	if f.slowed(&manifests.Object{ID: object.ID, Hash: "2"}, now) != nil {
		t.Error("another manifest has to wait")
	}
	if f.applied(object, nil, now.Add(2*calm)); f.slowed(object, now.Add(2*calm)) != nil {
		t.Error("an object that was left in peace has to wait")
	}
}
