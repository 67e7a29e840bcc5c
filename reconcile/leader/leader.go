// Package leader lets one of several processes work: the one that holds a Lease, elected by client-go. The others stand by.
//
//	        acquired                     asked to stop
//	wait ─────────────▶ lead ──────────────────────────▶ let requests end, release, return
//	 ▲                   │ not renewed in time, or held by somebody else
//	 └───────────────────┘ let requests end, wait again
//
// Two processes never mean to write at once. Time is counted from when a renewal was sent, so it runs out here before it does for those who
// wait for it to run out:
//
//	0                        3/5 of the duration                 the whole
//	renewal is sent          no write begins any more            somebody else may lead
//
// Each write is checked against that on its way out (Guard), because a process that was paused wakes with its loops as they were, and they
// may well write before anything tells them that time has passed. A write that has begun is not cut off, here as anywhere: cutting the
// connection would not take it back, and only hide what became of it. One that the server holds up for longer than the rest of the duration
// can therefore be stored when another process leads already. So it is the writes themselves that have to be harmless then; see
// docs/high-availability.md.
package leader

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/klog/v2"

	"kilter.dev/kilter/reconcile"
)

// NotLeading is the Reason of the Failure that a guarded connection answers every write with while this process may not write.
const NotLeading = "NotLeading"

// MinDuration is the shortest duration of a Lease.
const MinDuration = 5 * time.Second

// Options say what to stand for.
type Options struct {
	// Namespace and Name are those of the Lease. It is created when there is none.
	Namespace, Name string
	// Identity names this process for people, such as its pod. It need not be unique.
	Identity string
	// Address is where the others pass on what only the leader can answer, "host:port"; empty when nowhere.
	Address string
	// Duration is how long a Lease is valid after its last renewal, in whole seconds, MinDuration or more. Every process has to say the same.
	Duration time.Duration
	// Known is called, more than once perhaps, when it is known who leads: this process is as ready as it can be.
	Known func()
	Log   *slog.Logger
}

// Candidate is this process in the election.
type Candidate struct {
	Options
	leases v1.CoordinationV1Interface
	// deadline is for how long after a renewal was sent writes may begin, retry how often the Lease is renewed or looked at.
	deadline, retry time.Duration

	mu      sync.Mutex
	renewed time.Time // when the last renewal that succeeded was sent; zero when the Lease is not held
	known   string    // the identity of who leads, as far as is known
	stop    func()    // ends what leads; nil when nothing does
}

// New returns a Candidate that does nothing before Run. It reaches the cluster by config, which must not be guarded.
func New(config *rest.Config, o Options) (*Candidate, error) {
	if o.Duration < MinDuration || o.Duration%time.Second != 0 {
		return nil, fmt.Errorf("a Lease of %s cannot be held: the duration has to be in whole seconds, %s or more", o.Duration, MinDuration)
	}
	c := &Candidate{Options: o, deadline: o.Duration * 3 / 5, retry: o.Duration * 3 / 20}
	c.Identity += "_" + rand.Text()
	if c.Address != "" {
		c.Identity += "@" + c.Address
	}
	config = rest.CopyConfig(config)
	config.QPS = -1
	config.Timeout = c.deadline / 2 // a connection that hangs leaves time for another
	var err error
	if c.leases, err = v1.NewForConfig(config); err != nil {
		return nil, fmt.Errorf("cannot set up the connection for the Lease: %w", err)
	}
	return c, nil
}

// Run stands for election until ctx is done, and calls lead whenever this process is elected. The context of lead ends with ctx, or when the
// Lease is lost; lead has to return then, and may take the time of its requests. The Lease is released once it has. Nothing of lead runs
// when Run has returned, nor when lead is called again.
func (c *Candidate) Run(ctx context.Context, lead func(context.Context)) {
	for ctx.Err() == nil {
		c.stand(ctx, lead)
	}
}

// stand is one candidature: from waiting for the Lease to having lost or released it, or to trying anew because it became free.
func (c *Candidate) stand(ctx context.Context, lead func(context.Context)) {
	var quiet klog.Logger                                            // what matters of what client-go does is logged here
	electing, quit := context.WithCancel(context.WithoutCancel(ctx)) // the Lease is renewed while lead comes to its end
	electing = klog.NewContext(electing, quiet)
	defer quit()
	lock := newLock(c)
	quitWaiting := func() {
		if !lock.acquired() {
			quit()
		}
	}
	defer context.AfterFunc(ctx, quitWaiting)()

	ended := make(chan struct{})
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: lock, Name: c.Name, LeaseDuration: c.Duration, RenewDeadline: c.deadline, RetryPeriod: c.retry, ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(held context.Context) {
				defer close(ended)
				defer quit()
				c.lead(ctx, held, lead)
			},
			OnStoppedLeading: func() {},
			OnNewLeader: func(identity string) {
				c.mu.Lock()
				c.known = identity
				c.mu.Unlock()
				if identity != "" {
					c.Log.Info("elected", "leader", identity, "lease", lock.Describe(), "self", identity == c.Identity)
					c.Known()
				}
			},
		},
	})
	if err != nil { // the durations do not fit each other: MinDuration sees to it that they do
		panic(err)
	}
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		c.watch(electing, quitWaiting)
	}()
	elector.Run(electing)
	if lock.acquired() {
		<-ended
	}
	quit()
	<-watched
	c.lapse()
}

// lead calls lead until the Lease is lost, or ctx is done.
func (c *Candidate) lead(ctx, held context.Context, lead func(context.Context)) {
	leading, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(held, stop)()
	c.mu.Lock()
	c.stop = stop
	c.mu.Unlock()
	lead(leading)
	if ctx.Err() == nil {
		c.Log.Warn("lost the Lease: every loop has ended, and this process stands by", "lease", c.Namespace+"/"+c.Name)
	}
}

// Elsewhere returns the Address of whoever leads; empty when nobody is known to, or this process does.
func (c *Candidate) Elsewhere() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == c.Identity {
		return ""
	}
	_, address, _ := strings.Cut(c.known, "@")
	return address
}

// renewedAt takes over when a renewal that succeeded was sent.
func (c *Candidate) renewedAt(sent time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.renewed = sent
}

// lapse has no further write begin, and ends what leads.
func (c *Candidate) lapse() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.renewed = time.Time{}
	if c.stop != nil {
		c.stop()
		c.stop = nil
	}
}

// leads reports whether nobody else can be leading. Both clocks have to say so: the monotonic one, because somebody may set the other, and
// that of the wall, because the monotonic one stands still while a machine sleeps.
func (c *Candidate) leads(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.renewed.IsZero() && now.Sub(c.renewed) < c.deadline && now.Round(0).Sub(c.renewed.Round(0)) < c.deadline
}

// Guard wraps a connection to the API server: requests that write are sent only while this process leads. One that comes too late fails as
// NotLeading, and ends what leads.
func (c *Candidate) Guard(next http.RoundTripper) http.RoundTripper {
	return &guard{candidate: c, next: next}
}

type guard struct {
	candidate *Candidate
	next      http.RoundTripper
}

// RoundTrip sends the request if it reads, or this process leads.
func (g *guard) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Method == http.MethodGet || g.candidate.leads(time.Now()) {
		return g.next.RoundTrip(request)
	}
	g.candidate.lapse()
	if request.Body != nil {
		_ = request.Body.Close() // as a RoundTripper has to, whatever becomes of the request
	}
	return nil, &reconcile.Failure{
		Class: reconcile.Transient, Reason: NotLeading, Text: "this process does not lead, or not for sure any more: it writes nothing",
	}
}
