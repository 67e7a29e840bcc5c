package reconcile

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// What the pace makes of the server's answers. Each step is a number of windows of answers with one latency, or a 429.
func TestPace(t *testing.T) {
	type step struct {
		windows  int
		latency  time.Duration
		pushBack bool
	}
	for _, c := range []struct {
		name  string
		steps []step
		want  int
	}{
		{"at first", nil, firstLimit},
		{"a healthy server", []step{{windows: 3, latency: 5 * time.Millisecond}}, firstLimit + 3},
		{"for ever", []step{{windows: 200, latency: 5 * time.Millisecond}}, mostLimit},
		{"a 429", []step{{pushBack: true}}, firstLimit / 2},
		{"many of them in one window are one", []step{{pushBack: true}, {pushBack: true}, {pushBack: true}}, firstLimit / 2},
		{"one in each window", []step{
			{pushBack: true}, {windows: 1, latency: time.Second}, {pushBack: true}, {windows: 1, latency: time.Second}, {pushBack: true},
		}, firstLimit / 8},
		{"recovery", []step{{pushBack: true}, {windows: 11, latency: 5 * time.Millisecond}}, firstLimit/2 + 10},
		{"never none", []step{
			{windows: 1, latency: time.Millisecond}, {windows: 200, latency: 10 * time.Second},
		}, 1},
		{"slower, and still quick", []step{{windows: 1, latency: time.Millisecond}, {windows: 1, latency: 100 * time.Millisecond}}, firstLimit + 2},
		{"much slower", []step{{windows: 1, latency: 10 * time.Millisecond}, {windows: 1, latency: time.Second}}, (firstLimit + 1) * 3 / 4},
		{"slow from the beginning", []step{{windows: 2, latency: 2 * time.Second}}, firstLimit + 2},
		{"well again", []step{
			{windows: 1, latency: 10 * time.Millisecond}, {windows: 1, latency: time.Second}, {windows: 2, latency: 20 * time.Millisecond},
		}, (firstLimit+1)*3/4 + 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := pace{limit: firstLimit}
			for _, step := range c.steps {
				if step.pushBack {
					p = p.pushedBack()
				}
				for range step.windows {
					for range p.limit {
						p = p.answered(step.latency)
					}
				}
			}
			if p.limit != c.want {
				t.Errorf("the limit is %d, want %d", p.limit, c.want)
			}
		})
	}
}

// Slots are lent up to the limit, in order, and one that nobody waits for any more is not lost.
func TestThrottle(t *testing.T) {
	throttle := newThrottle()
	throttle.pace.limit = 1
	if err := throttle.take(t.Context()); err != nil {
		t.Fatal(err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := throttle.take(cancelled); !errors.Is(err, context.Canceled) {
		t.Errorf("a second slot of one: %v", err)
	}
	throttle.give(0)
	if err := throttle.take(t.Context()); err != nil || throttle.lent != 1 || len(throttle.waiting) != 0 {
		t.Errorf("after it was given back: %v, %d lent, %d waiting", err, throttle.lent, len(throttle.waiting))
	}

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }))
	defer server.Close()
	throttle.pace.limit = 8
	response, err := (&http.Client{Transport: throttle.watching(http.DefaultTransport)}).Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil || throttle.pace.limit != 4 {
		t.Errorf("a 429 leaves a limit of %d: %v", throttle.pace.limit, err)
	}
}
