package reconcile

import (
	"testing"
	"time"

	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
)

// noon is when everything happens in tests without a clock.
func noon() time.Time { return time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC) }

func configMap(name string) manifests.ID {
	return manifests.ID{Kind: "ConfigMap", Namespace: "shop", Name: name}
}

func applyOf(name, hash string) diff.Action {
	id := configMap(name)
	return diff.Action{Op: diff.Update, ID: id, Object: &manifests.Object{
		ID: id, Hash: hash, Origin: manifests.Origin{File: name + ".yaml", Line: 1, Column: 1},
	}}
}

func deletionOfA() diff.Action { return diff.Action{Op: diff.Delete, ID: configMap("a")} }

func TestBackoff(t *testing.T) {
	for failures, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		if got := backoff(time.Second, time.Minute, failures+1); got != want*time.Second {
			t.Errorf("after %d failures: %s, want %s", failures+1, got, want*time.Second)
		}
	}
	if got := backoff(time.Second, time.Minute, 1e6); got != time.Minute {
		t.Errorf("after a million failures: %s, want a minute", got)
	}
}

// When the same request is tried again, by the class of its failures.
func TestRetryTimes(t *testing.T) {
	const never = -1
	for _, c := range []struct {
		class  Class
		action diff.Action
		after  []time.Duration // how long after each failure in a row the next attempt is due
	}{
		{Terminal, applyOf("a", "v1"), []time.Duration{never, never}},
		{Transient, applyOf("a", "v1"), []time.Duration{200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond}},
		{Conflict, applyOf("a", "v1"), []time.Duration{200 * time.Millisecond, 400 * time.Millisecond}},
		{Slow, applyOf("a", "v1"), []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}},
		{Transient, deletionOfA(), []time.Duration{200 * time.Millisecond, 400 * time.Millisecond}},
		{Terminal, deletionOfA(), []time.Duration{time.Second, 2 * time.Second}}, // no commit could mend it
	} {
		t.Run(string(c.class)+" "+string(c.action.Op), func(t *testing.T) {
			a := attempts{by: map[manifests.ID]attempt{}}
			now := noon()
			for i, wait := range c.after {
				if again := a.failed(c.action, &Failure{Class: c.class}, now); again != (i > 0) {
					t.Errorf("failure %d: failed = %t", i+1, again)
				}
				failed, _ := a.of(c.action.ID)
				if wait == never {
					if failed.due(c.action.Object, now.AddDate(1, 0, 0)) || !a.next(now).IsZero() {
						t.Errorf("failure %d is tried again, at %s", i+1, a.next(now))
					}
					continue
				}
				due := now.Add(wait)
				if next := a.next(now); !next.Equal(due) {
					t.Errorf("failure %d: next attempt after %s, want %s", i+1, next.Sub(now), wait)
				}
				if failed.due(c.action.Object, due.Add(-1)) || !failed.due(c.action.Object, due) {
					t.Errorf("failure %d: due early, or not at %s", i+1, due)
				}
				now = due
			}
		})
	}
}

// Another manifest is another request: it is tried at once, and its failures are counted from the beginning. So is the deletion of an
// object whose manifest was refused, which no longer matters.
func TestAnotherRequestIsTriedAtOnce(t *testing.T) {
	refused := &Failure{Class: Terminal}
	for _, c := range []struct {
		name        string
		first, then diff.Action
	}{
		{"another manifest", applyOf("a", "v1"), applyOf("a", "v2")},
		{"deletion after an apply", applyOf("a", "v1"), deletionOfA()},
		{"apply after a deletion", deletionOfA(), applyOf("a", "v1")},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := attempts{by: map[manifests.ID]attempt{}}
			a.failed(c.first, refused, noon())
			failed, _ := a.of(c.then.ID)
			if !failed.due(c.then.Object, noon()) {
				t.Error("it is not due")
			}
			if a.failed(c.then, refused, noon()) {
				t.Error("its first failure counts as a second one")
			}
			if failed, _ = a.of(c.then.ID); failed.count != 1 {
				t.Errorf("its first failure counts as number %d", failed.count)
			}
		})
	}
}

func TestAttemptsForget(t *testing.T) {
	a := attempts{by: map[manifests.ID]attempt{}}
	for _, name := range []string{"a", "b", "c", "d"} {
		a.failed(applyOf(name, "v1"), &Failure{Class: Transient}, noon())
	}
	a.succeeded(configMap("a"))
	// b is to be applied still, c is as it should be, d left Git and was never there.
	a.keep(diff.Plan{Actions: []diff.Action{applyOf("b", "v1"), {Op: diff.None, ID: configMap("c")}}})
	for name, want := range map[string]bool{"a": false, "b": true, "c": false, "d": false} {
		if _, remembered := a.of(configMap(name)); remembered != want {
			t.Errorf("%s is remembered: %t, want %t", name, remembered, want)
		}
	}
}

// The loop asks for what comes due after its last pass began: what was due by then had its chance in that pass, and if it was held up
// by something else, asking for it again and again would spin.
func TestNextAttempt(t *testing.T) {
	a := attempts{by: map[manifests.ID]attempt{}}
	if next := a.next(noon()); !next.IsZero() {
		t.Errorf("nothing failed, and %s is due", next)
	}
	a.failed(applyOf("a", "v1"), &Failure{Class: Transient}, noon())        // due at .2
	a.failed(applyOf("b", "v1"), &Failure{Class: Slow}, noon())             // due at 1.0
	a.failed(applyOf("c", "v1"), &Failure{Class: Terminal}, noon().Add(-1)) // never due
	for after, want := range map[time.Duration]time.Duration{
		0:                      200 * time.Millisecond,
		199 * time.Millisecond: 200 * time.Millisecond,
		200 * time.Millisecond: time.Second,
	} {
		if next := a.next(noon().Add(after)); !next.Equal(noon().Add(want)) {
			t.Errorf("next after %s is %s, want %s", after, next.Sub(noon()), want)
		}
	}
	if next := a.next(noon().Add(time.Second)); !next.IsZero() {
		t.Errorf("after the last one %s is due", next)
	}
}
