package fault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// errReset is what a client sees of a connection that ended.
var errReset = errors.New("the connection was reset, by a rule")

// Transport sends requests, save those that a rule befalls, and keeps a record of all. Its methods may be called from several goroutines.
type Transport struct {
	Next http.RoundTripper
	Exit func() // ends the program that sends; for rules that want it

	mu      sync.Mutex
	rules   []*counted
	mended  chan struct{} // closed, and replaced, when the rules go
	calls   []Call
	more    chan struct{} // closed, and replaced, when there is another call or answer
	streams map[*stream]Call
}

type counted struct {
	Rule
	calls int
}

// NewTransport returns a Transport without rules.
func NewTransport(next http.RoundTripper) *Transport {
	return &Transport{
		Next: next, mended: make(chan struct{}), more: make(chan struct{}), streams: map[*stream]Call{},
		Exit: func() { panic("a rule ends the program, and nobody said how") },
	}
}

// Inject adds a rule. Where several match, the first that befalls the call counts; each counts all calls that match.
func (t *Transport) Inject(r Rule) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rules = append(t.rules, &counted{Rule: r})
}

// Mend takes all rules away, and ends what hangs.
func (t *Transport) Mend() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rules = nil
	close(t.mended)
	t.mended = make(chan struct{})
}

// Cut ends the answers that are being read and match: watches are dropped.
func (t *Transport) Cut(verb, object string) (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for s, call := range t.streams {
		if call.Is(verb, object) {
			s.cut()
			n++
		}
	}
	return n
}

// Calls returns every call so far, in order.
func (t *Transport) Calls() []Call {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.calls)
}

// Until returns as soon as the calls so far are what is waited for, or with the context's error.
func (t *Transport) Until(ctx context.Context, is func([]Call) bool) error {
	for {
		t.mu.Lock()
		calls, more := slices.Clone(t.calls), t.more
		t.mu.Unlock()
		if is(calls) {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// begin records a call, and returns its place and the rule that befalls it; nil when none does.
func (t *Transport) begin(call Call) (n int, found *Rule, mended chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls = append(t.calls, call)
	t.tell()
	for _, rule := range t.rules {
		if !rule.matches(call) {
			continue
		}
		rule.calls++
		if found == nil && rule.befalls(rule.calls) {
			found = &rule.Rule
		}
	}
	return len(t.calls) - 1, found, t.mended
}

// answered records the server's answer; lost is one that nobody hears.
func (t *Transport) answered(n int, response *http.Response, lost bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls[n].Done = response.StatusCode < 300
	if !lost {
		t.calls[n].Status = response.StatusCode
	}
	t.tell()
}

// tell wakes whoever waits for calls; the mutex is held.
func (t *Transport) tell() {
	close(t.more)
	t.more = make(chan struct{})
}

// RoundTrip sends a request, or does with it what a rule says.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	call := callOf(r)
	n, rule, mended := t.begin(call)
	if rule == nil {
		return t.pass(r, call, n)
	}
	switch rule.Kind {
	case Answer:
		response := rule.answer(r)
		t.answered(n, response, false)
		return response, nil
	case Expire:
		return t.keep(call, expired(r)), nil
	case Delay:
		select {
		case <-time.After(rule.Delay):
		case <-r.Context().Done():
		}
		return t.pass(r, call, n)
	case Hang:
		select {
		case <-mended:
		case <-r.Context().Done():
		}
		return nil, errReset
	case Reset:
		return nil, errReset
	case Exit:
		t.Exit()
		return nil, errReset
	}
	response, err := t.Next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if rule.Kind == Truncate {
		t.answered(n, response, false)
		return half(response)
	}
	defer response.Body.Close()
	t.answered(n, response, true)
	if rule.Kind == ExitAfter {
		t.Exit()
	}
	return nil, errReset
}

func (t *Transport) pass(r *http.Request, call Call, n int) (*http.Response, error) {
	response, err := t.Next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	t.answered(n, response, false)
	return t.keep(call, response), nil
}

// keep makes the body of an answer one that Cut can end.
func (t *Transport) keep(call Call, response *http.Response) *http.Response {
	s := &stream{ReadCloser: response.Body, transport: t}
	response.Body = s
	t.mu.Lock()
	defer t.mu.Unlock()
	t.streams[s] = call
	return response
}

// stream is the body of an answer.
type stream struct {
	io.ReadCloser
	transport *Transport
	once      sync.Once
}

// Close ends the stream.
func (s *stream) Close() error {
	s.transport.mu.Lock()
	delete(s.transport.streams, s)
	s.transport.mu.Unlock()
	s.cut()
	return nil
}

func (s *stream) cut() { s.once.Do(func() { _ = s.ReadCloser.Close() }) }

// answer is an error as the API server writes it, or a page.
func (r *Rule) answer(request *http.Request) *http.Response {
	body, kind := []byte("<html><body>"+r.Message+"</body></html>"), "text/html"
	if !r.HTML {
		kind = "application/json"
		status := metav1.Status{
			TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure,
			Code: int32(r.Status), Reason: metav1.StatusReason(r.Reason), Message: r.Message, //nolint:gosec // an HTTP status
		}
		if r.RetryAfter > 0 {
			status.Details = &metav1.StatusDetails{RetryAfterSeconds: int32(r.RetryAfter.Seconds())}
		}
		body, _ = json.Marshal(status) // of strings and numbers
	}
	response := responseOf(request, r.Status, kind, body)
	if r.RetryAfter > 0 {
		response.Header.Set("Retry-After", strconv.Itoa(int(r.RetryAfter.Seconds())))
	}
	return response
}

// expired is a watch that was begun from a version that the server has forgotten.
func expired(request *http.Request) *http.Response {
	return responseOf(request, http.StatusOK, "application/json", []byte(`{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure",`+
		`"reason":"Expired","code":410,"message":"too old resource version"}}`+"\n"))
}

func responseOf(request *http.Request, status int, kind string, body []byte) *http.Response {
	return &http.Response{
		StatusCode: status, Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: request,
	}
}

// half returns an answer whose body breaks off in the middle.
func half(response *http.Response) (*http.Response, error) {
	defer response.Body.Close()
	whole, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(io.MultiReader(bytes.NewReader(whole[:len(whole)/2]), broken{}))
	return response, nil
}

type broken struct{}

// Read fails.
func (broken) Read([]byte) (int, error) { return 0, errReset }
