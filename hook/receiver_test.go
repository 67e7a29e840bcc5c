package hook_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
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

func TestW1AnswersAndOutcomes(t *testing.T) {
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
func TestW1BodyIsNotKept(t *testing.T) {
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

func TestW1RateLimits(t *testing.T) {
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
