package reconcile

import (
	"maps"

	"github.com/prometheus/client_golang/prometheus"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/reconcile/health"
)

// Metrics are everything that is exported of Syncs, set from their Results and nowhere else. Label values come from closed sets, save
// the names of Syncs, so the number of series does not grow with objects or commits.
type Metrics struct {
	info        *prometheus.GaugeVec
	ready       *prometheus.GaugeVec
	reason      *prometheus.GaugeVec
	objects     *prometheus.GaugeVec
	passes      *prometheus.CounterVec
	duration    *prometheus.HistogramVec
	applies     *prometheus.CounterVec
	lastSuccess *prometheus.GaugeVec
	lastFetch   *prometheus.GaugeVec
	exceptions  *prometheus.GaugeVec
	expiry      *prometheus.GaugeVec
}

// NewMetrics registers the metrics with registerer.
func NewMetrics(registerer prometheus.Registerer) *Metrics {
	sync := []string{"namespace", "sync"}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, append(sync[:2:2], labels...))
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append(sync[:2:2], labels...))
	}
	m := &Metrics{
		info: gauge("kilter_sync_info", "What each Sync follows, and the revision it has applied; always 1.",
			"path", "revision"),
		ready:   gauge("kilter_sync_ready", "Whether the cluster is as the newest commit says: 1 or 0."),
		reason:  gauge("kilter_sync_reason", "The reason of the Sync's Ready condition: 1 for the current one, 0 for all others.", "reason"),
		objects: gauge("kilter_sync_objects", "Objects that the enforced revision asks for, by health.", "health"),
		passes:  counter("kilter_reconcile_total", "Passes, by the reason they ended with.", "reason"),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "kilter_reconcile_duration_seconds", Help: "Time that a pass took, by phase; the phase \"pass\" is the whole.",
			Buckets:                     prometheus.ExponentialBuckets(0.001, 4, 9),
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100,
		}, append(sync[:2:2], "phase")),
		applies:     counter("kilter_apply_total", "Requests that change an object, by operation and result.", "op", "result"),
		lastSuccess: gauge("kilter_sync_last_success_timestamp_seconds", "When a pass last found everything as the newest commit says."),
		lastFetch:   gauge("kilter_sync_last_fetch_timestamp_seconds", "When the repository was last read without an error."),
		exceptions:  gauge("kilter_sync_exceptions", "Objects of which somebody decides otherwise than Git for a time."),
		expiry: gauge("kilter_sync_exception_expiry_timestamp_seconds",
			"When the first exception from Git ends; one that is past is overdue, and one that cannot be read is 0. Absent when there is none."),
	}
	registerer.MustRegister(m.info, m.ready, m.reason, m.objects, m.passes, m.duration, m.applies, m.lastSuccess, m.lastFetch,
		m.exceptions, m.expiry)
	return m
}

// Observe takes over what one pass found and did.
func (m *Metrics) Observe(sync *v1alpha1.Sync, r *Result) {
	labels := prometheus.Labels{"namespace": sync.Namespace, "sync": sync.Name}
	with := func(more prometheus.Labels) prometheus.Labels {
		all := maps.Clone(labels)
		maps.Copy(all, more)
		return all
	}
	m.info.DeletePartialMatch(labels)
	m.info.With(with(prometheus.Labels{"path": sync.Spec.Git.Path, "revision": r.Applied})).Set(1)

	m.ready.With(labels).Set(number(r.Ready()))
	reason := r.Reason()
	for _, each := range Reasons() {
		m.reason.With(with(prometheus.Labels{"reason": string(each)})).Set(number(each == reason))
	}
	if r.Health != nil {
		for _, word := range []health.Word{
			health.Current, health.InProgress, health.Failed, health.Terminating, health.NotFound, health.Unknown,
		} {
			m.objects.With(with(prometheus.Labels{"health": string(word)})).Set(float64(r.Health[word]))
		}
	}
	m.observeExceptions(labels, r)
	m.passes.With(with(prometheus.Labels{"reason": string(reason)})).Inc()
	for _, phase := range append(r.Phases, Phase{Name: "pass", Took: r.Finished.Sub(r.Started)}) {
		m.duration.With(with(prometheus.Labels{"phase": phase.Name})).Observe(phase.Took.Seconds())
	}
	for _, change := range r.Changes {
		result := "done"
		switch {
		case !change.Tried:
			continue // not tried by this pass
		case change.Failure != nil:
			result = string(change.Failure.Class)
		}
		m.applies.With(with(prometheus.Labels{"op": string(change.Op), "result": result})).Inc()
	}
	finished := float64(r.Finished.UnixNano()) / 1e9
	if r.Ready() {
		m.lastSuccess.With(labels).Set(finished)
	}
	if r.Fetched {
		m.lastFetch.With(labels).Set(finished)
	}
}

// observeExceptions takes over what a pass found of exceptions. A pass that did not get as far as to look leaves them: overdue ones have to
// stay so.
func (m *Metrics) observeExceptions(labels prometheus.Labels, r *Result) {
	if r.Health == nil {
		return
	}
	m.exceptions.With(labels).Set(float64(len(r.Exceptions)))
	switch {
	case len(r.Exceptions) == 0:
		m.expiry.Delete(labels)
	case r.Exceptions[0].Until.IsZero():
		m.expiry.With(labels).Set(0)
	default:
		m.expiry.With(labels).Set(float64(r.Exceptions[0].Until.Unix()))
	}
}

// Forget removes every series of a Sync that is gone.
func (m *Metrics) Forget(namespace, name string) {
	labels := prometheus.Labels{"namespace": namespace, "sync": name}
	for _, vec := range []interface{ DeletePartialMatch(prometheus.Labels) int }{
		m.info, m.ready, m.reason, m.objects, m.passes, m.duration, m.applies, m.lastSuccess, m.lastFetch,
		m.exceptions, m.expiry,
	} {
		vec.DeletePartialMatch(labels)
	}
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
