package reconcile

import (
	"testing"
	"time"

	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/health"
)

// Patience with an object begins when it is first seen on its way, ends when it arrives or fails by itself, and begins anew when it is
// applied again.
func TestWaiting(t *testing.T) {
	const timeout = time.Minute
	w := waiting{}
	a := configMap("a")
	for _, step := range []struct {
		at      time.Duration
		word    health.Word
		restart bool
		late    bool
		next    time.Duration // when patience ends, if it has not; 0: nobody waits
	}{
		{at: 0, word: health.Current},
		{at: 10 * time.Second, word: health.InProgress, next: 70 * time.Second},
		{at: 69 * time.Second, word: health.InProgress, next: 70 * time.Second},
		{at: 70 * time.Second, word: health.InProgress, late: true},
		{at: 80 * time.Second, word: health.Terminating, late: true},
		{at: 90 * time.Second, word: health.InProgress, restart: true, next: 150 * time.Second},
		{at: 100 * time.Second, word: health.Failed},
		{at: 110 * time.Second, word: health.InProgress, next: 170 * time.Second},
		{at: 120 * time.Second, word: health.NotFound},
		{at: 130 * time.Second, word: health.Unknown},
		{at: 140 * time.Second, word: health.Terminating, next: 200 * time.Second},
	} {
		now := noon().Add(step.at)
		if step.restart {
			w.restart(a)
		}
		late := w.late(a, health.Health{Word: step.word}, timeout, now)
		if want := map[bool]time.Duration{true: timeout}[step.late]; late != want {
			t.Errorf("at %s %s: late = %s, want %s", step.at, step.word, late, want)
		}
		var want time.Time
		if step.next > 0 {
			want = noon().Add(step.next)
		}
		if next := w.next(timeout, now); !next.Equal(want) {
			t.Errorf("at %s %s: next = %s, want %s", step.at, step.word, next, want)
		}
	}
}

func TestWaitingNextIsTheFirst(t *testing.T) {
	w := waiting{configMap("a"): noon().Add(2 * time.Second), configMap("b"): noon().Add(time.Second), configMap("c"): noon()}
	for after, want := range map[time.Duration]time.Duration{0: 10, 10 * time.Second: 11, 11 * time.Second: 12} {
		if next := w.next(10*time.Second, noon().Add(after)); !next.Equal(noon().Add(want * time.Second)) {
			t.Errorf("next after %s = %s, want %s", after, next.Sub(noon()), want*time.Second)
		}
	}
	if next := w.next(10*time.Second, noon().Add(12*time.Second)); !next.IsZero() {
		t.Errorf("next = %s though all are late", next)
	}
}

// An object that left Git and comes back has all the time again.
func TestWaitingForgetsWhatLeftGit(t *testing.T) {
	w := waiting{configMap("a"): noon(), configMap("b"): noon()}
	w.keep(&manifests.Set{Objects: []*manifests.Object{{ID: configMap("b")}}}, nil)
	if _, known := w[configMap("a")]; known || len(w) != 1 {
		t.Errorf("waiting for %v, want b alone", w)
	}
}
