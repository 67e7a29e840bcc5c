package reconcile

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"kilter.dev/kilter/source"
)

// A server that is down is asked less often, at no fixed rhythm, and yet so soon after it is up that two intervals are enough.
func TestG1LooksAreSpacedWhileTheyFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const interval = time.Minute
		down := true
		l := looks{interval: interval, clock: time.Now, found: make(chan look, 1), fetch: func(context.Context) (source.Snapshot, error) {
			if down {
				return source.Snapshot{}, errors.New("down")
			}
			return source.Snapshot{Commit: "1"}, nil
		}}
		wait := func() time.Duration {
			l.start(t.Context())
			found := <-l.found
			l.taken(&found)
			wait := time.Until(l.next)
			time.Sleep(wait)
			if !l.due() {
				t.Error("no look is due at its time")
			}
			return wait
		}
		if first := wait(); first < interval || first > interval*6/5 {
			t.Errorf("the first look that fails is followed by one after %s", first)
		}
		waits := map[time.Duration]bool{}
		for range 20 {
			again := wait()
			if again < interval*3/2 || again > interval*9/5 {
				t.Errorf("one of many that fail is followed by one after %s; want 1.5 to 1.8 intervals", again)
			}
			waits[again] = true
		}
		if len(waits) < 10 {
			t.Errorf("20 waits are of %d lengths: many Syncs would ask at once", len(waits))
		}
		down = false
		if good := wait(); good != interval {
			t.Errorf("a look that succeeds is followed by one after %s", good)
		}
	})
}
