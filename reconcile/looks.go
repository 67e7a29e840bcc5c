package reconcile

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"kilter.dev/kilter/source"
)

// looks looks at the repository now and then, one look at a time, in a goroutine of its own. Everything but that goroutine's answer
// belongs to the loop.
type looks struct {
	fetch    func(context.Context) (source.Snapshot, error)
	interval time.Duration
	clock    func() time.Time
	once     bool // no look is ever due after the first

	found    chan look // the answer; it holds one
	underWay bool
	running  sync.WaitGroup
	asked    string    // the newest request
	again    bool      // another look is to follow the one under way
	fails    int       // looks in a row that failed
	next     time.Time // when a look is due; zero while one is under way, or none will be
}

// look is what one look found.
type look struct {
	snapshot source.Snapshot
	err      error
	began    time.Time
	took     time.Duration
	answers  string // the request that stood when the look began
}

// start begins a look, unless one is under way.
func (l *looks) start(ctx context.Context) {
	if l.underWay {
		return
	}
	l.underWay, l.next = true, time.Time{}
	asked := l.asked
	l.running.Go(func() {
		start := l.clock()
		snapshot, err := l.fetch(ctx)
		l.found <- look{snapshot: snapshot, err: err, began: start, took: l.clock().Sub(start), answers: asked}
	})
}

// request asks for a look that begins now, or as soon as the one under way has ended.
func (l *looks) request(ctx context.Context, value string) {
	l.asked = value
	l.start(ctx)
}

// hurry asks for the same without a request that has to be answered.
func (l *looks) hurry(ctx context.Context) {
	l.again = l.underWay
	l.start(ctx)
}

// taken has to be called with every look found. It sets the time of the next: after the interval, or later when looks fail again and again, but
// always so soon that a commit is applied within two intervals once the repository can be read again. A little randomness keeps many Syncs from
// asking at the same moment. A server that wants to be left alone for longer says so, and package source heeds it.
func (l *looks) taken(found *look) {
	l.underWay = false
	if found.err == nil {
		l.fails = 0
	} else {
		l.fails++
	}
	switch {
	case l.asked != found.answers, l.again:
		l.next, l.again = l.clock(), false
	case l.once:
	case l.fails == 0:
		l.next = l.clock().Add(l.interval)
	default:
		wait := l.interval
		if l.fails > 1 {
			wait += l.interval / 2
		}
		l.next = l.clock().Add(wait + time.Duration(rand.Int64N(int64(wait)/5+1)))
	}
}

// due reports whether it is time for a look.
func (l *looks) due() bool { return !l.next.IsZero() && !l.clock().Before(l.next) }

// wait returns when no look is under way; its context has to be done.
func (l *looks) wait() { l.running.Wait() }
