package hook_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"kilter.dev/kilter/hook"
)

func TestW1BurstIsTwoFetches(t *testing.T) {
	for name, burst := range map[string]struct {
		hooks int
		every time.Duration
		want  int
	}{
		"1,000 at once":                {1000, 0, 2},
		"1,000 in five seconds":        {1000, 5 * time.Millisecond, 2},
		"two":                          {2, time.Millisecond, 2},
		"one":                          {1, 0, 1},
		"one now and then":             {5, time.Minute, 5},
		"one every second for a while": {60, time.Second, 60},
		"never a pause for 35 seconds": {700, 50 * time.Millisecond, 5}, // at 0, 10, 20, 30 and 35 seconds
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newReceiver(t)
				target := r.add("app", secret)
				var newest time.Time
				for range burst.hooks {
					if got := r.post("app", body, signed()); got != 202 {
						t.Fatalf("answered %d", got)
					}
					newest = time.Now()
					time.Sleep(burst.every)
				}
				time.Sleep(time.Until(newest.Add(time.Minute)))
				if target.fetched() != burst.want {
					t.Errorf("%d fetches; want %d", target.fetched(), burst.want)
				}
			})
		})
	}
}

// Each webhook is followed by a fetch: the push that it tells of is never missed, and is seen within a second and a little.
func TestEveryWebhookIsFollowedByAFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReceiver(t)
		var fetched []time.Time
		one := secret
		remove := r.Add(t.Context(), hook.Target{
			Name:   hook.Name{Namespace: "team", Name: "app"},
			Secret: func(context.Context) ([]byte, error) { return []byte(one), nil },
			Fetch:  func() { fetched = append(fetched, time.Now()) },
		})
		defer remove()
		for _, after := range []time.Duration{0, 1, 300, 950, 999, 60_000, 60_500, 61_000} {
			time.Sleep(after * time.Millisecond)
			at := time.Now()
			r.post("app", body, signed())
			time.Sleep(1100 * time.Millisecond)
			if !slices.ContainsFunc(fetched, func(f time.Time) bool { return !f.Before(at) }) {
				t.Errorf("the webhook at %s was followed by no fetch: %v", at, fetched)
			}
		}
	})
}

func TestNothingIsFetchedAfterRemove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReceiver(t)
		target := r.add("app", secret)
		r.post("app", body, signed())
		r.post("app", body, signed()) // one is due in a second
		target.remove()
		time.Sleep(time.Minute)
		if target.fetched() != 1 {
			t.Errorf("%d fetches; want only that from before", target.fetched())
		}
		if got := r.post("app", body, signed()); got != 401 {
			t.Errorf("answered %d after remove", got)
		}
	})
}

// A Sync whose spec changes is added again before the old one is removed.
func TestNewerTargetOfTheSameNameCounts(t *testing.T) {
	r := newReceiver(t)
	older := r.add("app", secret)
	newer := r.add("app", secret)
	older.remove()
	if got := r.post("app", body, signed()); got != 202 || newer.fetched() != 1 || older.fetched() != 0 {
		t.Errorf("answered %d, fetched %d and %d", got, older.fetched(), newer.fetched())
	}
}
