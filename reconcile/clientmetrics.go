package reconcile

import (
	"context"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/tools/metrics"
)

// ClientMetrics are those of client-go's own requests, under the names and labels that every Kubernetes component has for them.
type ClientMetrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	retries  *prometheus.CounterVec
}

// NewClientMetrics registers the metrics with registerer. They stay at nothing until Install.
func NewClientMetrics(registerer prometheus.Registerer) *ClientMetrics {
	return newClientMetrics(&catalog{registerer: registerer})
}

func newClientMetrics(c *catalog) *ClientMetrics {
	return &ClientMetrics{
		requests: c.counter("rest_client_requests_total", "Requests to the API server, by status code, method and host.", "code", "method", "host"),
		duration: c.histogram("rest_client_request_duration_seconds", "Time that the API server took to answer, by verb and host.", 0.001, 4, 9, "verb", "host"),
		retries:  c.counter("rest_client_request_retries_total", "Requests that were sent again, by status code, verb and host.", "code", "verb", "host"),
	}
}

// clientDefinitions say what the metrics of client-go are.
func clientDefinitions() []Definition {
	c := &catalog{registerer: prometheus.NewRegistry()}
	newClientMetrics(c)
	return c.definitions
}

// Install makes every client of this process count. client-go takes the first that is installed and no other: it is for main to call, before
// it connects.
func (m *ClientMetrics) Install() {
	metrics.Register(metrics.RegisterOpts{RequestLatency: latencies{m}, RequestResult: answers{m}, RequestRetry: answers{m}})
}

type latencies struct{ *ClientMetrics }

// Observe takes over how long a request took. Its URL names objects: only the host is kept.
func (m latencies) Observe(_ context.Context, verb string, u url.URL, took time.Duration) {
	m.duration.WithLabelValues(verb, u.Host).Observe(took.Seconds())
}

type answers struct{ *ClientMetrics }

// Increment counts an answer; the code "<error>" stands for none.
func (m answers) Increment(_ context.Context, code, method, host string) {
	m.requests.WithLabelValues(code, method, host).Inc()
}

// IncrementRetry counts a request that is sent again.
func (m answers) IncrementRetry(_ context.Context, code, method, host string) {
	m.retries.WithLabelValues(code, method, host).Inc()
}
