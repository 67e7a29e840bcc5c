package hook_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"kilter.dev/kilter/hook"
)

// receiver is a Receiver under test, with what it says.
type receiver struct {
	*testing.T
	*hook.Receiver
	registry *prometheus.Registry
	log      *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{T: t, registry: prometheus.NewRegistry(), log: &lockedBuffer{}}
	r.Receiver = hook.NewReceiver(r.registry, slog.New(slog.NewJSONHandler(r.log, nil)))
	t.Cleanup(func() {
		if text := r.log.String(); strings.Contains(text, secret) || strings.Contains(text, signing) {
			t.Errorf("the log holds the secret: %s", text)
		}
	})
	return r
}

// subject is a Target under test.
type subject struct {
	fetches atomic.Int32
	reads   atomic.Int32
	secret  atomic.Pointer[string]
	err     error
	remove  func()
}

func (s *subject) fetched() int { return int(s.fetches.Load()) }

func (r *receiver) add(name, secret string) *subject {
	s := &subject{}
	s.secret.Store(&secret)
	r.addSubject(name, s)
	return s
}

func (r *receiver) addSubject(name string, s *subject) {
	s.remove = r.Add(r.Context(), hook.Target{
		Name: hook.Name{Namespace: "team", Name: name},
		Secret: func(context.Context) ([]byte, error) {
			s.reads.Add(1)
			if s.err != nil {
				return nil, s.err
			}
			return []byte(*s.secret.Load()), nil
		},
		Fetch: func() { s.fetches.Add(1) },
	})
	r.Cleanup(s.remove)
}

// post sends a request to the Receiver and returns the status of its answer, which holds no secret.
func (r *receiver) post(name, body string, header http.Header) int {
	r.Helper()
	return r.send(name, strings.NewReader(body), header)
}

func (r *receiver) send(name string, body io.Reader, header http.Header) int {
	r.Helper()
	request := httptest.NewRequest(http.MethodPost, "/hook", body)
	request.SetPathValue("namespace", "team")
	request.SetPathValue("name", name)
	request.Header = header
	answer := httptest.NewRecorder()
	r.ServeHTTP(answer, request)
	if text := answer.Body.String(); strings.Contains(text, secret) || strings.Contains(text, signing) {
		r.Errorf("the answer holds the secret: %s", text)
	}
	return answer.Code
}

// counted returns the value of the metric.
func (r *receiver) counted(outcome hook.Outcome) int {
	r.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		r.Fatal(err)
	}
	for _, metric := range families[0].GetMetric() {
		if metric.GetLabel()[0].GetValue() == string(outcome) {
			return int(metric.GetCounter().GetValue())
		}
	}
	r.Fatalf("no series for %s", outcome)
	return 0
}

func signed() http.Header { return signedAs(secret, body) }

func signedAs(key, text string) http.Header {
	return http.Header{"X-Hub-Signature-256": {"sha256=" + mac(key, text)}}
}

func TestAnswersAndOutcomes(t *testing.T) {
	r := newReceiver(t)
	app := r.add("app", secret)
	r.add("weak", "fifteen letters")
	r.add("empty", "\n")
	r.addSubject("gone", &subject{err: errors.New(`secrets "hook" not found`)})
	for _, c := range []struct {
		sync    string
		header  http.Header
		body    io.Reader
		status  int
		outcome hook.Outcome
	}{
		{"app", signed(), strings.NewReader(body), 202, hook.Accepted},
		{"app", http.Header{}, strings.NewReader(body), 401, hook.Unsigned},
		{"app", signed(), strings.NewReader(body + " "), 401, hook.WrongSignature},
		{"none", signed(), strings.NewReader(body), 401, hook.UnknownSync},
		{"weak", signedAs("fifteen letters", body), strings.NewReader(body), 503, hook.UnusableSecret},
		{"empty", signedAs("", body), strings.NewReader(body), 503, hook.UnusableSecret},
		{"gone", signed(), strings.NewReader(body), 503, hook.UnusableSecret},
		{"app", signed(), strings.NewReader(strings.Repeat("x", 1<<20+1)), 413, hook.TooLarge},
		{"app", signed(), endless{}, 413, hook.TooLarge},
		{"app", signed(), io.MultiReader(strings.NewReader(body[:5]), broken{}), 400, hook.Broken},
	} {
		before := r.counted(c.outcome)
		if got := r.send(c.sync, c.body, c.header); got != c.status {
			t.Errorf("%s was answered %d; want %d", c.outcome, got, c.status)
		}
		if r.counted(c.outcome) != before+1 {
			t.Errorf("%s was not counted", c.outcome)
		}
	}
	if app.fetched() != 1 {
		t.Errorf("%d fetches; want that of the one signed request", app.fetched())
	}
	for _, text := range []string{`"sync":"team/weak"`, "shorter than 16 bytes", "openssl rand", `"sync":"team/gone"`, `secrets \"hook\" not found`} {
		if !strings.Contains(r.log.String(), text) {
			t.Errorf("the log lacks %q:\n%s", text, r.log)
		}
	}
	if problems, err := testutil.GatherAndLint(r.registry); len(problems) > 0 || err != nil {
		t.Error(problems, err)
	}
}

// endless is a body of any number of gigabytes.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// A body of one MiB is read in constant memory: nothing of it is kept.
func TestBodyIsNotKept(t *testing.T) {
	r := newReceiver(t)
	r.add("app", secret)
	long := strings.Repeat("x", 1<<20)
	header := signedAs(secret, long)
	result := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			if got := r.post("app", long, header); got != 202 && got != 429 {
				b.Fatalf("answered %d", got)
			}
		}
	})
	if bytes := result.AllocedBytesPerOp(); bytes > 256<<10 {
		t.Errorf("a request of 1 MiB allocates %d bytes", bytes)
	}
}

func TestBurstIsTwoFetches(t *testing.T) {
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

func TestRotatedSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReceiver(t)
		target := r.add("app", secret)
		for range 50 {
			r.post("app", "forged", signed())
		}
		if reads := target.reads.Load(); reads != 1 {
			t.Errorf("50 forged requests had the secret read %d times; want once", reads)
		}
		next := "another secret, just as long"
		target.secret.Store(&next)
		time.Sleep(5 * time.Second)
		if got := r.post("app", body, signedAs(next, body)); got != 202 {
			t.Errorf("the new secret was answered %d", got)
		}
		if got := r.post("app", body, signed()); got != 401 {
			t.Errorf("the old secret was answered %d", got)
		}
	})
}

func TestRateLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReceiver(t)
		target := r.add("app", secret)
		other := r.add("other", secret)
		for range 1100 {
			r.post("app", "forged", signed())
		}
		if got := r.counted(hook.RateLimited); got != 100 {
			t.Errorf("%d of 1,100 were limited; want 100", got)
		}
		if got := r.post("other", body, signed()); got != 202 || other.fetched() != 1 {
			t.Errorf("another Sync's webhook was answered %d", got)
		}
		for range 2000 {
			r.post("none", body, signed())
		}
		if got := r.post("other", body, signed()); got != 429 {
			t.Errorf("the limit on all was answered %d", got)
		}
		time.Sleep(10 * time.Second)
		if got := r.post("app", body, signed()); got != 202 || target.fetched() != 1 {
			t.Errorf("answered %d when all was quiet again", got)
		}
		if lines := strings.Count(r.log.String(), "\n"); lines > 6 {
			t.Errorf("strangers caused %d lines of the log", lines)
		}
	})
}

// served is a Receiver on a real listener.
func (r *receiver) served() (address string, stop func() error) {
	r.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.Fatal(err)
	}
	ctx, cancel := context.WithCancel(r.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Serve(ctx, listener) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	r.Cleanup(func() {
		if err := stop(); err != nil {
			r.Error(err)
		}
	})
	return listener.Addr().String(), stop
}

func TestServe(t *testing.T) {
	r := newReceiver(t)
	target := r.add("app", secret)
	address, stop := r.served()
	do := func(method, path string) int {
		request, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header = signed()
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	for path, want := range map[string]int{
		"/hook/team/app": 202, "/hook/team/app/": 404, "/hook/app": 404, "/": 404, "/hook/team/..%2Fapp": 401, "/hook//app": 404,
	} {
		if got := do(http.MethodPost, path); got != want && !(want == 404 && got == 405) {
			t.Errorf("POST %s was answered %d; want %d", path, got, want)
		}
	}
	if got := do(http.MethodGet, "/hook/team/app"); got != http.StatusMethodNotAllowed {
		t.Errorf("GET was answered %d", got)
	}
	if target.fetched() != 1 {
		t.Errorf("%d fetches", target.fetched())
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if conn, err := net.Dial("tcp", address); err == nil {
		conn.Close()
		t.Error("it still listens")
	}
}

// 64 senders that never finish their headers and 64 that never finish their body take no place from one who does, and are gone after the
// timeouts.
func TestW1SlowLoris(t *testing.T) {
	r := newReceiver(t)
	r.add("app", secret)
	address, _ := r.served()
	var slow []net.Conn
	for i := range 128 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		slow = append(slow, conn)
		fmt.Fprint(conn, "POST /hook/team/app HTTP/1.1\r\nHost: x\r\n")
		if i%2 == 0 {
			fmt.Fprintf(conn, "X-Hub-Signature-256: sha256=%s\r\nContent-Length: 1000\r\n\r\n{", mac(secret, body))
		}
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+"/hook/team/app", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = signed()
	answer, err := http.DefaultClient.Do(request)
	if err != nil || answer.StatusCode != 202 {
		t.Fatalf("got %v, %v", answer, err)
	}
	answer.Body.Close()
	for _, conn := range slow {
		if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(conn); err != nil { // ends when the server hangs up
			t.Fatalf("a slow sender was not left: %v", err)
		}
	}
}

// A body of 10 GB is refused by its length, or after 1 MiB of it.
func TestW1HugeBody(t *testing.T) {
	r := newReceiver(t)
	r.add("app", secret)
	address, _ := r.served()
	for name, length := range map[string]int64{"announced": 10 << 30, "in pieces": -1} {
		sent := &counting{limit: 10 << 30}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+"/hook/team/app", sent)
		if err != nil {
			t.Fatal(err)
		}
		request.ContentLength = length
		request.Header = signed()
		answer, err := http.DefaultClient.Do(request)
		if err == nil { // the connection may break before the answer is read
			answer.Body.Close()
			if answer.StatusCode != http.StatusRequestEntityTooLarge {
				t.Errorf("%s: answered %d", name, answer.StatusCode)
			}
		}
		if n := sent.sent.Load(); n > 64<<20 {
			t.Errorf("%s: %d bytes were taken", name, n)
		}
	}
	if got := r.counted(hook.TooLarge); got != 2 {
		t.Errorf("%d were counted as too large", got)
	}
}

type counting struct {
	sent  atomic.Int64
	limit int64
}

func (c *counting) Read(p []byte) (int, error) {
	if c.sent.Add(int64(len(p))) > c.limit {
		return 0, io.EOF
	}
	return len(p), nil
}
