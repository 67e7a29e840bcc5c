// Package hook receives webhooks of Git forges. A request that is signed with the secret of a Sync means that its repository is looked at
// now, and nothing else: no word of the payload is read, so whoever can sign can at most hurry Kilter.
//
//	POST /hook/<namespace>/<name> -> limits -> signature (streamed, 1 MiB at most) -> coalesce -> Target.Fetch
//
// A Receiver knows Targets by the name of their Sync; a payload never says whom it is for. Bursts become two fetches: one at once, and one
// when the burst is over. What is not signed is answered without a look at the Target, and whether a Sync of that name exists is not told.
//
// The package knows neither Git nor Kubernetes; it is given what it calls.
package hook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/netutil"
	"golang.org/x/time/rate"
)

// What a Receiver bears.
const (
	maxBody        = 1 << 20 // bytes; forges send a few KiB, and the largest pushes are found by polling
	maxHeader      = 16 << 10
	maxConnections = 512

	perSecond, burst         = 500, 2000 // requests to all Targets
	targetPerSecond, atOnce  = 100, 1000 // and signed ones to each
	headerTimeout            = 5 * time.Second
	readTimeout, idleTimeout = 10 * time.Second, 30 * time.Second
)

// Outcome is what became of a request: a closed set, the values of the metric's label.
type Outcome string

// The outcomes.
const (
	Accepted       Outcome = "accepted"        // signed: the repository is looked at
	Unsigned       Outcome = "unsigned"        // no header holds a signature
	WrongSignature Outcome = "wrong_signature" // it is signed with something else than the Sync's secret
	UnknownSync    Outcome = "unknown_sync"    // no Sync of that name takes webhooks
	UnusableSecret Outcome = "unusable_secret" // the Sync's secret cannot be read, or is too weak
	TooLarge       Outcome = "too_large"       // the body is longer than 1 MiB
	RateLimited    Outcome = "rate_limited"    // too many requests
	Broken         Outcome = "broken"          // the body ended early, or came too slowly
	Forwarded      Outcome = "forwarded"       // passed on to the process that leads, which counts it again
)

// Outcomes returns all of them.
func Outcomes() []Outcome {
	return []Outcome{Accepted, Unsigned, WrongSignature, UnknownSync, UnusableSecret, TooLarge, RateLimited, Broken, Forwarded}
}

// Name is the namespace and the name of a Sync.
type Name struct{ Namespace, Name string }

// Target is one Sync that takes webhooks.
type Target struct {
	Name
	// Secret reads the Sync's secret. It is asked once a few seconds at most. Its error is logged, never sent.
	Secret func(context.Context) ([]byte, error)
	// Fetch makes the Sync's loop look at its repository now. It has to return at once.
	Fetch func()
}

// Receiver answers webhooks. It is safe for concurrent use.
type Receiver struct {
	log      *slog.Logger
	requests *prometheus.CounterVec
	limit    *rate.Limiter
	leader   func() string          // see Forward
	proxy    *httputil.ReverseProxy // nil: this process always works

	mu      sync.RWMutex
	targets map[Name]*target
}

// NewReceiver registers its metric and returns a Receiver without Targets.
func NewReceiver(registerer prometheus.Registerer, log *slog.Logger) *Receiver {
	r := &Receiver{
		log: log, limit: rate.NewLimiter(perSecond, burst), targets: map[Name]*target{},
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kilter_webhook_requests_total", Help: "Webhooks that were answered, by result.",
		}, []string{"result"}),
	}
	registerer.MustRegister(r.requests)
	for _, outcome := range Outcomes() {
		r.requests.WithLabelValues(string(outcome))
	}
	return r
}

// target is a Target with all that is remembered of it.
type target struct {
	secret  secret
	limit   *rate.Limiter
	told    *rate.Limiter // lines about refusals, of which anybody may cause any number
	fetches coalesced
}

// Add takes webhooks for a Target until remove is called, or ctx ends. Its secret is read once right away, so that a weak one is told before
// the first push. Of two Targets of the same name the newer counts.
func (r *Receiver) Add(ctx context.Context, t Target) (remove func()) {
	ctx, cancel := context.WithCancel(ctx)
	added := &target{
		secret:  secret{read: t.Secret},
		limit:   rate.NewLimiter(targetPerSecond, atOnce),
		told:    rate.NewLimiter(rate.Every(time.Minute), 3),
		fetches: coalesced{fetch: t.Fetch},
	}
	r.mu.Lock()
	r.targets[t.Name] = added
	r.mu.Unlock()
	var checking sync.WaitGroup
	checking.Go(func() {
		if _, err := added.secret.get(ctx); err != nil && ctx.Err() == nil {
			r.log.Warn("webhooks are refused", "sync", t.Namespace+"/"+t.Name.Name, "why", err.Error())
		}
	})
	return func() {
		cancel()
		r.mu.Lock()
		if r.targets[t.Name] == added {
			delete(r.targets, t.Name)
		}
		r.mu.Unlock()
		added.fetches.stop()
		checking.Wait()
	}
}

// Serve answers until ctx is done, then within two seconds more. It closes the listener.
func (r *Receiver) Serve(ctx context.Context, listener net.Listener) error {
	mux := http.NewServeMux()
	mux.Handle("POST /hook/{namespace}/{name}", r)
	server := &http.Server{
		Handler: mux, MaxHeaderBytes: maxHeader,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: readTimeout, IdleTimeout: idleTimeout,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // it quotes what strangers send
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(netutil.LimitListener(listener, maxConnections)) }()
	select {
	case err := <-failed:
		return fmt.Errorf("cannot receive webhooks: %w", err)
	case <-ctx.Done():
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := server.Shutdown(closing); err != nil { // somebody is still sending
		_ = server.Close()
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("cannot receive webhooks: %w", err)
	}
	return nil
}

// ServeHTTP answers one webhook. The path's values namespace and name say for which Sync.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	if r.forward(w, request) {
		r.requests.WithLabelValues(string(Forwarded)).Inc()
		return
	}
	name := Name{request.PathValue("namespace"), request.PathValue("name")}
	outcome := r.judge(w, request, name)
	r.requests.WithLabelValues(string(outcome)).Inc()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if outcome == RateLimited {
		w.Header().Set("Retry-After", "1")
	}
	answer := answers[outcome]
	w.WriteHeader(answer.status)
	fmt.Fprintln(w, answer.text)
}

// answers are what senders are told, and no more. A Sync that does not exist and a wrong signature look the same.
var answers = map[Outcome]struct {
	status int
	text   string
}{
	Accepted:       {http.StatusAccepted, "the repository is looked at"},
	Unsigned:       {http.StatusUnauthorized, "not signed: give the webhook a secret"},
	WrongSignature: {http.StatusUnauthorized, unknownOrWrong},
	UnknownSync:    {http.StatusUnauthorized, unknownOrWrong},
	UnusableSecret: {http.StatusServiceUnavailable, "the secret of this Sync cannot be used; Kilter's log says why"},
	TooLarge:       {http.StatusRequestEntityTooLarge, "the body is longer than 1 MiB"},
	RateLimited:    {http.StatusTooManyRequests, "too many webhooks"},
	Broken:         {http.StatusBadRequest, "the body is incomplete"},
}

const unknownOrWrong = "no such Sync, or not signed with its secret"

// judge decides what becomes of a request, and asks for the fetch if it is accepted. What costs least comes first.
func (r *Receiver) judge(w http.ResponseWriter, request *http.Request, name Name) Outcome {
	if !r.limit.Allow() {
		return RateLimited
	}
	if request.ContentLength > maxBody {
		w.Header().Set("Connection", "close") // the rest is not worth reading
		return TooLarge
	}
	signatures := signaturesOf(request.Header)
	if signatures.none() {
		return Unsigned
	}
	r.mu.RLock()
	t := r.targets[name]
	r.mu.RUnlock()
	if t == nil {
		return UnknownSync
	}
	if !t.limit.Allow() {
		return RateLimited
	}
	secret, err := t.secret.get(context.WithoutCancel(request.Context())) // whoever hangs up has not stopped the others from knowing it
	if err != nil {
		if t.told.Allow() {
			r.log.Warn("a webhook is refused", "sync", name.Namespace+"/"+name.Name, "why", err.Error())
		}
		return UnusableSecret
	}
	valid, err := signatures.valid(secret, http.MaxBytesReader(w, request.Body, maxBody))
	if _, long := errors.AsType[*http.MaxBytesError](err); long {
		return TooLarge
	}
	switch {
	case err != nil:
		return Broken
	case !valid:
		if t.told.Allow() {
			r.log.Warn("a webhook is refused", "sync", name.Namespace+"/"+name.Name, "why", "it is not signed with the Sync's secret")
		}
		return WrongSignature
	}
	t.fetches.ask()
	return Accepted
}
