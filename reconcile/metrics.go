package reconcile

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/reconcile/health"
)

// Metrics are everything that is exported of Syncs: of each as a whole, set from its Results and nowhere else, and of its Jobs, CronJobs and
// rollouts, as they are when somebody looks. Label values come from closed sets, save the names of Syncs and of those objects, so the number
// of series is bounded by what Git holds and does not grow with commits.
type Metrics struct {
	registry catalog
	objects  *objectMetrics

	info        *prometheus.GaugeVec
	ready       *prometheus.GaugeVec
	reason      *prometheus.GaugeVec
	health      *prometheus.GaugeVec
	leaving     *prometheus.GaugeVec
	blocked     *prometheus.GaugeVec
	pending     *prometheus.GaugeVec
	prune       *prometheus.GaugeVec
	problems    *prometheus.GaugeVec
	warnings    *prometheus.GaugeVec
	drifted     *prometheus.GaugeVec
	fights      *prometheus.GaugeVec
	exceptions  *prometheus.GaugeVec
	expiry      *prometheus.GaugeVec
	lastSuccess *prometheus.GaugeVec
	lastFetch   *prometheus.GaugeVec
	lastPass    *prometheus.GaugeVec
	interval    *prometheus.GaugeVec

	passes       *prometheus.CounterVec
	duration     *prometheus.HistogramVec
	fetches      *prometheus.CounterVec
	applies      *prometheus.CounterVec
	driftFound   *prometheus.CounterVec
	repair       *prometheus.HistogramVec
	appliedAfter *prometheus.HistogramVec
	runs         *prometheus.CounterVec
}

// NewMetrics registers the metrics with registerer. The version is that of the program.
func NewMetrics(registerer prometheus.Registerer, version string) *Metrics {
	c := catalog{registerer: registerer}
	sync := func(labels ...string) []string { return append([]string{"namespace", "sync"}, labels...) }
	m := &Metrics{
		info: c.gauge("kilter_sync_info", "What each Sync follows, and the revision it has applied; always 1. The only metric that names a commit.",
			sync("path", "revision")...),
		ready:    c.gauge("kilter_sync_ready", "Whether the cluster is as the newest commit says: 1 or 0.", sync()...),
		reason:   c.gauge("kilter_sync_reason", "The reason of the Sync's Ready condition: 1 for the current one, 0 for all others.", sync("reason")...),
		health:   c.gauge("kilter_sync_objects", "Objects that the enforced revision asks for, by health.", sync("health")...),
		leaving:  c.gauge("kilter_sync_leaving_objects", "Objects that left Git and are not gone yet.", sync()...),
		blocked:  c.gauge("kilter_sync_blocked_objects", "Objects that wait for another one before they are applied.", sync()...),
		pending:  c.gauge("kilter_sync_commit_pending", "Whether the newest commit has not been applied as a whole yet: 1 or 0.", sync()...),
		prune:    c.gauge("kilter_sync_prune_blocked", "Whether objects that left Git are not deleted, because they are too many or not everything is known: 1 or 0.", sync()...),
		problems: c.gauge("kilter_sync_problems", "What is wrong now: rejected manifests, refused requests and objects that are unwell, by reason; a reason from outside Kubernetes is Other. Absent when there is none.", sync("reason")...),
		warnings: c.gauge("kilter_sync_warnings", "Warnings on the manifests of the newest commit.", sync()...),
		drifted:  c.gauge("kilter_sync_drifted_objects", "Objects that somebody else has changed or deleted in the cluster, and that are not repaired: not yet, or since spec.drift is Report.", sync()...),
		fights:   c.gauge("kilter_sync_fights", "Objects that are applied again and again, since somebody else keeps changing them.", sync()...),
		exceptions: c.gauge("kilter_sync_exceptions", "Objects of which somebody decides otherwise than Git for a time.",
			sync()...),
		expiry: c.gauge("kilter_sync_exception_expiry_timestamp_seconds",
			"When the first exception from Git ends; one that is past is overdue, and one that cannot be read is 0. Absent when there is none.", sync()...),
		lastSuccess: c.gauge("kilter_sync_last_success_timestamp_seconds", "When a pass last found everything as the newest commit says.", sync()...),
		lastFetch:   c.gauge("kilter_sync_last_fetch_timestamp_seconds", "When the repository was last read without an error.", sync()...),
		interval:    c.gauge("kilter_sync_interval_seconds", "How often the repository is looked at: spec.interval.", sync()...),
		lastPass:    c.gauge("kilter_sync_last_pass_timestamp_seconds", "When the last pass ended, whatever it found.", sync()...),

		passes:     c.counter("kilter_reconcile_total", "Passes, by the reason they ended with.", sync("reason")...),
		duration:   c.histogram("kilter_reconcile_duration_seconds", "Time that a pass took, by phase; the phase \"pass\" is the whole.", 0.001, 4, 9, sync("phase")...),
		fetches:    c.counter("kilter_fetch_total", "Looks at the repository, by result: done, or the class of what went wrong.", sync("result")...),
		applies:    c.counter("kilter_apply_total", "Requests that change an object, by kind, operation and result: done, or the class of the failure. A kind that is not Kubernetes' own is CustomResource.", sync("kind", "op", "result")...),
		driftFound: c.counter("kilter_drift_total", "Objects found changed or deleted in the cluster by somebody else, by kind.", sync("kind")...),
		repair:     c.histogram("kilter_drift_repair_duration_seconds", "Time from the pass that found a drift to the answer to the write that repaired it.", 0.001, 4, 9, sync()...),
		appliedAfter: c.histogram("kilter_commit_applied_duration_seconds",
			"Time from the beginning of the look that found a commit until all of it was applied, what had to wait for others included.", 0.01, 3, 11, sync()...),
		runs: c.counter("kilter_job_runs_total", "Runs of Jobs that have ended, by outcome.", sync("outcome")...),
	}
	build := c.gauge("kilter_build_info", "The version of Kilter; always 1.", "version")
	build.WithLabelValues(version).Set(1)
	m.objects = newObjectMetrics(&c)
	m.registry = c
	return m
}

// Definitions lists every metric, in the order of their names.
func (m *Metrics) Definitions() []Definition {
	all := append(slices.Clone(m.registry.definitions), clientDefinitions()...)
	slices.SortFunc(all, func(a, b Definition) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Follow makes the metrics tell of the schedules of a Sync's CronJobs from now on: schedules is asked at every scrape. It replaces what was
// followed of the Sync before, and ends with Forget.
func (m *Metrics) Follow(sync *v1alpha1.Sync, schedules func() []Schedule) {
	m.objects.follow(syncKey{sync.Namespace, sync.Name}, schedules)
}

// Observe takes over what one pass found and did.
func (m *Metrics) Observe(sync *v1alpha1.Sync, r *Result) {
	o := observation{Metrics: m, labels: prometheus.Labels{"namespace": sync.Namespace, "sync": sync.Name}}
	m.info.DeletePartialMatch(o.labels)
	o.set(m.info, 1, "path", sync.Spec.Git.Path, "revision", r.Applied)
	reason := r.Reason()
	o.set(m.ready, number(r.Ready()))
	for _, each := range Reasons() {
		o.set(m.reason, number(each == reason), "reason", string(each))
	}
	o.problems(r)
	o.set(m.warnings, float64(len(r.Warnings)))
	o.set(m.pending, number(r.Attempted != "" && r.Applied != r.Attempted))
	if r.Health != nil {
		o.outcome(r)
		m.objects.observe(syncKey{sync.Namespace, sync.Name}, r)
	}
	o.done(r)

	finished := seconds(r.Finished)
	o.set(m.lastPass, finished)
	o.set(m.interval, sync.Spec.Interval.Seconds())
	if r.Ready() {
		o.set(m.lastSuccess, finished)
	}
	if r.Fetched {
		o.set(m.lastFetch, finished)
	}
}

// observation is one pass on its way into the metrics.
type observation struct {
	*Metrics
	labels prometheus.Labels // of the Sync
}

// with returns the Sync's labels and more, given as names and values.
func (o observation) with(pairs []string) prometheus.Labels {
	if len(pairs) == 0 {
		return o.labels
	}
	all := maps.Clone(o.labels)
	for i := 0; i < len(pairs); i += 2 {
		all[pairs[i]] = pairs[i+1]
	}
	return all
}

func (o observation) set(gauge *prometheus.GaugeVec, value float64, pairs ...string) {
	gauge.With(o.with(pairs)).Set(value)
}

func (o observation) add(counter *prometheus.CounterVec, value int, pairs ...string) {
	counter.With(o.with(pairs)).Add(float64(value))
}

// problems counts what is wrong by reason.
func (o observation) problems(r *Result) {
	o.Metrics.problems.DeletePartialMatch(o.labels)
	count := map[string]int{}
	for _, trouble := range r.Troubles() {
		count[knownReason(trouble.Reason)]++
	}
	for reason, n := range count {
		o.set(o.Metrics.problems, float64(n), "reason", reason)
	}
}

// outcome takes over how a pass left the objects. One that did not get as far as to look leaves what is known: an overdue exception has to
// stay so.
func (o observation) outcome(r *Result) {
	for _, word := range []health.Word{
		health.Current, health.InProgress, health.Failed, health.Terminating, health.NotFound, health.Unknown,
	} {
		o.set(o.health, float64(r.Health[word]), "health", string(word))
	}
	o.set(o.leaving, float64(r.Leaving))
	o.set(o.blocked, float64(len(r.Blocked)))
	o.set(o.prune, number(r.Plan.PruneBlocked != ""))
	o.set(o.drifted, float64(r.Measures.Drifted))
	o.set(o.fights, float64(r.Measures.Fights))
	o.set(o.exceptions, float64(len(r.Exceptions)))
	switch {
	case len(r.Exceptions) == 0:
		o.expiry.Delete(o.labels)
	case r.Exceptions[0].Until.IsZero():
		o.set(o.expiry, 0)
	default:
		o.set(o.expiry, float64(r.Exceptions[0].Until.Unix()))
	}
}

// done counts what a pass did, and how long that took. What the first pass has not seen begins at 0, lest an increase from nothing go unseen.
func (o observation) done(r *Result) {
	o.add(o.passes, 1, "reason", string(r.Reason()))
	for _, phase := range append(slices.Clone(r.Phases), Phase{Name: "pass", Took: r.Finished.Sub(r.Started)}) {
		o.duration.With(o.with([]string{"phase", phase.Name})).Observe(phase.Took.Seconds())
	}
	o.add(o.fetches, int(number(r.Fetched)), "result", "done")
	if r.Looked && !r.Fetched {
		o.add(o.fetches, 1, "result", classOf(r.FetchError))
	}
	for _, change := range r.Changes {
		result := "done"
		switch {
		case !change.Tried:
			continue // not tried by this pass
		case change.Failure != nil:
			result = string(change.Failure.Class)
		}
		o.add(o.applies, 1, "kind", kindOf(change.ID), "op", string(change.Op), "result", result)
	}
	for _, id := range r.Measures.DriftFound {
		o.add(o.driftFound, 1, "kind", kindOf(id))
	}
	observe := func(histogram *prometheus.HistogramVec, took ...time.Duration) {
		begun := histogram.With(o.labels)
		for _, each := range took {
			begun.Observe(each.Seconds())
		}
	}
	observe(o.repair, r.Measures.Repairs...)
	observe(o.appliedAfter)
	if r.Measures.AppliedAfter > 0 {
		observe(o.appliedAfter, r.Measures.AppliedAfter)
	}
	for _, outcome := range []diff.Outcome{diff.Complete, diff.Failed, diff.Replaced, diff.Deleted, diff.Unknown} {
		o.add(o.runs, r.Measures.RunsEnded[outcome], "outcome", string(outcome))
	}
}

// Forget removes every series of a Sync that is gone.
func (m *Metrics) Forget(namespace, name string) {
	labels := prometheus.Labels{"namespace": namespace, "sync": name}
	for _, vec := range m.registry.ofSyncs {
		vec.DeletePartialMatch(labels)
	}
	m.objects.forget(syncKey{namespace, name})
}
