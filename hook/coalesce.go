package hook

import (
	"sync"
	"time"
)

// When a fetch follows another one. The first webhook after a pause is a fetch at once; of all that follow, one fetch is made:
//
//	webhooks  |  ||||||| | ||
//	fetches   F               F
//	             >= apart
//	                       -->|quiet
const (
	apart   = time.Second            // the least time between two fetches of one Sync
	quiet   = 100 * time.Millisecond // a burst is over when nothing came for so long
	longest = 10 * time.Second       // it is waited for no longer
)

// coalesced makes few fetches of many webhooks. After each webhook there is a fetch that begins later than it came.
type coalesced struct {
	fetch func()

	mu      sync.Mutex
	last    time.Time   // when a fetch was made
	next    *time.Timer // the fetch that is due; nil when none is
	stopped bool
}

// ask asks for a fetch.
func (c *coalesced) ask() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	since := now.Sub(c.last)
	switch {
	case c.stopped:
	case c.next == nil && since >= apart:
		c.now(now)
	case c.next == nil:
		c.next = time.AfterFunc(max(apart-since, quiet), c.due)
	default:
		c.next.Reset(max(0, min(max(apart-since, quiet), longest-since)))
	}
}

// due is called when the time of next has come.
func (c *coalesced) due() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped || c.next == nil { // a Reset came too late to hold back a call that had begun
		return
	}
	c.next = nil
	c.now(time.Now())
}

func (c *coalesced) now(now time.Time) {
	c.last = now
	c.fetch()
}

// stop ends it: once it returns fetch is not called any more.
func (c *coalesced) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	if c.next != nil {
		c.next.Stop()
	}
}
