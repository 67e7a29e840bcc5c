package reconcile

import (
	"context"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/metrics"
	"k8s.io/client-go/util/workqueue"
)

// ClientMetrics are client-go's own, of requests, queues and leader election, under the names and labels that every Kubernetes component has
// for them.
type ClientMetrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	retries  *prometheus.CounterVec

	leading  *prometheus.GaugeVec
	slowpath *prometheus.CounterVec

	depth      *prometheus.GaugeVec
	adds       *prometheus.CounterVec
	queued     *prometheus.HistogramVec
	worked     *prometheus.HistogramVec
	unfinished *prometheus.GaugeVec
	longest    *prometheus.GaugeVec
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

		leading: c.gauge("leader_election_master_status",
			"Whether this process holds the Lease of the name: 1 or 0. Absent without --leader-elect.", "name"),
		slowpath: c.counter("leader_election_slowpath_total", "Renewals of the Lease that had to read it first.", "name"),

		depth:      c.gauge("workqueue_depth", "What waits in the queue. That of the name syncs holds the Syncs that changed and are not followed as they are now.", "name"),
		adds:       c.counter("workqueue_adds_total", "What was put into the queue.", "name"),
		queued:     c.histogram("workqueue_queue_duration_seconds", "Time that it stayed in the queue.", 1e-6, 10, 9, "name"),
		worked:     c.histogram("workqueue_work_duration_seconds", "Time that it took to work on it; for a changed Sync, to end its loop and start another.", 1e-6, 10, 9, "name"),
		unfinished: c.gauge("workqueue_unfinished_work_seconds", "Time that everything now worked on has taken so far; one that grows and grows is stuck.", "name"),
		longest:    c.gauge("workqueue_longest_running_processor_seconds", "Time that the longest of them has taken so far.", "name"),
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
	leaderelection.SetProvider(leadership{m})
}

// Queues makes the metrics of queues that are given it.
func (m *ClientMetrics) Queues() workqueue.MetricsProvider { return queues{m} }

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

type leadership struct{ *ClientMetrics }

// NewLeaderMetric returns the metrics of an election: itself.
func (m leadership) NewLeaderMetric() leaderelection.LeaderMetric { return m }

// On notes that this process holds the Lease.
func (m leadership) On(name string) { m.leading.WithLabelValues(name).Set(1) }

// Off notes that it does not.
func (m leadership) Off(name string) { m.leading.WithLabelValues(name).Set(0) }

// SlowpathExercised counts a renewal that did not succeed at once.
func (m leadership) SlowpathExercised(name string) { m.slowpath.WithLabelValues(name).Inc() }

type queues struct{ *ClientMetrics }

// NewDepthMetric returns workqueue_depth of one queue, and so on.
func (m queues) NewDepthMetric(name string) workqueue.GaugeMetric {
	return m.depth.WithLabelValues(name)
}

func (m queues) NewAddsMetric(name string) workqueue.CounterMetric {
	return m.adds.WithLabelValues(name)
}

func (m queues) NewLatencyMetric(name string) workqueue.HistogramMetric {
	return m.queued.WithLabelValues(name)
}

func (m queues) NewWorkDurationMetric(name string) workqueue.HistogramMetric {
	return m.worked.WithLabelValues(name)
}

func (m queues) NewUnfinishedWorkSecondsMetric(name string) workqueue.SettableGaugeMetric {
	return m.unfinished.WithLabelValues(name)
}

func (m queues) NewLongestRunningProcessorSecondsMetric(name string) workqueue.SettableGaugeMetric {
	return m.longest.WithLabelValues(name)
}

// NewRetriesMetric returns a counter that nobody sees: only queues with delays retry, and there is none.
func (m queues) NewRetriesMetric(string) workqueue.CounterMetric {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: "workqueue_retries_total", Help: "What was put back."})
}
