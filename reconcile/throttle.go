package reconcile

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"
)

// How many writes are under way at once. On a server with two cores more than firstLimit make nothing faster; many have more.
const (
	firstLimit = 32
	mostLimit  = 64
)

// A window of writes is slow when its mean latency is more than slowFactor times the lowest mean of any window, and more than slowFloor:
// with that many under way a healthy server takes ten times as long for each as for one alone, and in all is the faster for it.
const (
	slowFactor = 10
	slowFloor  = 500 * time.Millisecond
)

// pace is the state of the controller that chooses how many writes may be under way at once: additive increase, multiplicative decrease.
//
//	refused   the server answers 429           half of the limit, at most once in a window
//	slow      a window's latency has risen     three quarters of the limit
//	fine      a window was neither             one more
//
// A window is as many answers as the limit was when it began, so that what it measures was sent under that limit. It is a value: deciding is
// pure.
type pace struct {
	limit   int
	lowest  time.Duration // lowest mean latency of a window; zero before the first
	answers int           // of this window
	sum     time.Duration // their latencies
	refused bool          // the limit was halved in this window
}

// answered returns the state after a write was answered.
func (p pace) answered(latency time.Duration) pace {
	p.answers++
	p.sum += latency
	if p.answers < p.limit {
		return p
	}
	mean := p.sum / time.Duration(p.answers)
	switch {
	case p.refused:
	case p.lowest > 0 && mean > slowFloor && mean > slowFactor*p.lowest:
		p.limit = max(1, p.limit*3/4)
	default:
		p.limit = min(mostLimit, p.limit+1)
	}
	if p.lowest == 0 || mean < p.lowest {
		p.lowest = mean
	}
	p.answers, p.sum, p.refused = 0, 0, false
	return p
}

// pushedBack returns the state after the server has answered 429.
func (p pace) pushedBack() pace {
	if p.refused {
		return p
	}
	return pace{limit: max(1, p.limit/2), lowest: p.lowest, refused: true}
}

// throttle lends slots for writes to one server, to all loops together. The time that a 429 asks for is waited out by client-go, which sends
// the request again by itself; it keeps its slot meanwhile.
type throttle struct {
	mu      sync.Mutex
	pace    pace
	lent    int
	waiting []chan struct{} // in order; closed when the slot is theirs
}

func newThrottle() *throttle { return &throttle{pace: pace{limit: firstLimit}} }

// take returns when a slot is free, or with the context's error.
func (t *throttle) take(ctx context.Context) error {
	mine := make(chan struct{})
	t.mu.Lock()
	t.waiting = append(t.waiting, mine)
	t.lend()
	t.mu.Unlock()
	select {
	case <-mine:
		return nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(t.waiting, mine); i >= 0 {
		t.waiting = slices.Delete(t.waiting, i, i+1)
	} else { // lent at this very moment
		t.lent--
		t.lend()
	}
	return ctx.Err()
}

// give returns a slot after what it was taken for took a time; zero when nothing was sent.
func (t *throttle) give(took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lent--
	if took > 0 {
		t.pace = t.pace.answered(took)
	}
	t.lend()
}

// lend gives free slots to those who have waited longest. The mutex is held.
func (t *throttle) lend() {
	for len(t.waiting) > 0 && t.lent < t.pace.limit {
		close(t.waiting[0])
		t.waiting = t.waiting[1:]
		t.lent++
	}
}

// watching returns a transport that tells the throttle of every 429.
func (t *throttle) watching(next http.RoundTripper) http.RoundTripper { return &pushBacks{next, t} }

type pushBacks struct {
	http.RoundTripper
	throttle *throttle
}

// RoundTrip sends a request.
func (p *pushBacks) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := p.RoundTripper.RoundTrip(request)
	if err == nil && response.StatusCode == http.StatusTooManyRequests {
		p.throttle.mu.Lock()
		defer p.throttle.mu.Unlock()
		p.throttle.pace = p.throttle.pace.pushedBack()
	}
	return response, err
}
