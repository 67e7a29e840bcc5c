package reconcile

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"kilter.dev/kilter/reconcile/diff"
)

// syncKey names a Sync.
type syncKey struct{ namespace, name string }

// objectMetrics are the series of single objects, labelled as kube-state-metrics labels them. They are made when somebody scrapes, from what
// is known of each Sync then: nothing of an object that is gone is left.
type objectMetrics struct {
	registry *prometheus.Registry // of nothing else
	families []family

	mu    sync.Mutex
	syncs map[syncKey]*syncObjects
	room  []int // how long each family's text was the last time, and some more

	cronState, cronSuccess, cronNext, cronMissed, cronFailures *prometheus.Desc
	jobOutcome, jobStart, jobEnd, jobDuration                  *prometheus.Desc
	daemonOutdated, statefulOutdated                           *prometheus.Desc
}

// syncObjects is what is known of one Sync's objects. Its slices are never changed, only replaced.
type syncObjects struct {
	schedules func() []Schedule // nil while none are followed
	runs      []LastRun
	rollouts  []Rollout
}

func newObjectMetrics(c *catalog) *objectMetrics {
	of := func(labels ...string) []string {
		return append([]string{"sync_namespace", "sync", "namespace"}, labels...)
	}
	m := &objectMetrics{
		syncs: map[syncKey]*syncObjects{}, registry: prometheus.NewRegistry(),
		cronState: c.described("kilter_cronjob_state", "The state of a CronJob's schedule: 1 for the current one, the others are absent.",
			of("cronjob", "state")...),
		cronSuccess: c.described("kilter_cronjob_last_success_timestamp_seconds", "When a run of the CronJob last ended with success. Absent before the first.",
			of("cronjob")...),
		cronNext: c.described("kilter_cronjob_next_run_timestamp_seconds", "When the next run of the CronJob is due. Absent when none is.",
			of("cronjob")...),
		cronMissed: c.described("kilter_cronjob_missed_runs", "Runs that were due since the last one that started, and will never start; 100 stands for more.",
			of("cronjob")...),
		cronFailures: c.described("kilter_cronjob_consecutive_failures", "Runs of the CronJob in a row that ended without success, as far as its Jobs are kept.",
			of("cronjob")...),
		jobOutcome: c.described("kilter_job_last_run_outcome", "The outcome of the last run of a Job: 1 for that one, the others are absent. Running while it goes on.",
			of("job_name", "outcome")...),
		jobStart: c.described("kilter_job_last_run_start_timestamp_seconds", "When the last run of a Job started. Absent before that.", of("job_name")...),
		jobEnd:   c.described("kilter_job_last_run_completion_timestamp_seconds", "When the last run of a Job ended. Absent before that.", of("job_name")...),
		jobDuration: c.described("kilter_job_last_run_duration_seconds", "How long the last run of a Job took. Absent before its end.",
			of("job_name")...),
		daemonOutdated: c.described("kilter_daemonset_outdated_pods", "Pods of a DaemonSet that do not run its newest template. Absent when the rollout is simply done.",
			of("daemonset")...),
		statefulOutdated: c.described("kilter_statefulset_outdated_pods", "Pods of a StatefulSet that do not run its newest template. Absent when the rollout is simply done.",
			of("statefulset")...),
	}
	m.families = c.made
	m.registry.MustRegister(m)
	return m
}

// of returns what is known of a Sync; the caller holds the mutex.
func (m *objectMetrics) of(sync syncKey) *syncObjects {
	if m.syncs[sync] == nil {
		m.syncs[sync] = &syncObjects{}
	}
	return m.syncs[sync]
}

func (m *objectMetrics) follow(sync syncKey, schedules func() []Schedule) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.of(sync).schedules = schedules
}

func (m *objectMetrics) observe(sync syncKey, r *Result) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.of(sync)
	known.runs, known.rollouts = r.Measures.LastRuns, r.Rollouts
}

func (m *objectMetrics) forget(sync syncKey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.syncs, sync)
}

// Describe tells which series there may be.
func (m *objectMetrics) Describe(descs chan<- *prometheus.Desc) {
	for _, f := range m.families {
		descs <- f.desc
	}
}

// Collect makes the series of now.
func (m *objectMetrics) Collect(series chan<- prometheus.Metric) {
	m.each(func(desc *prometheus.Desc, value float64, labels ...string) {
		series <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	})
}

// each gives every series of now to add.
func (m *objectMetrics) each(add adder) {
	m.mu.Lock()
	syncs := make(map[syncKey]syncObjects, len(m.syncs))
	for sync, known := range m.syncs {
		syncs[sync] = *known
	}
	m.mu.Unlock()
	for sync, known := range syncs {
		of := seriesOf{objectMetrics: m, sync: sync, add: add}
		if known.schedules != nil {
			for _, schedule := range known.schedules() {
				of.schedule(&schedule)
			}
		}
		for _, run := range known.runs {
			of.run(run)
		}
		for _, rollout := range known.rollouts {
			of.rollout(rollout)
		}
	}
}

// adder makes one series.
type adder func(desc *prometheus.Desc, value float64, labels ...string)

// seriesOf makes the series of one Sync's objects.
type seriesOf struct {
	*objectMetrics
	sync syncKey
	add  adder
}

func (m seriesOf) schedule(s *Schedule) {
	namespace, name := s.ID.Namespace, s.ID.Name
	if s.RunsKnown { // without its runs, one that has failed cannot be told from one that has not begun
		m.add(m.cronState, 1, m.sync.namespace, m.sync.name, namespace, name, string(s.State))
		m.add(m.cronFailures, float64(s.Failures), m.sync.namespace, m.sync.name, namespace, name)
	}
	m.add(m.cronMissed, float64(s.Missed), m.sync.namespace, m.sync.name, namespace, name)
	if !s.LastSuccess.IsZero() {
		m.add(m.cronSuccess, seconds(s.LastSuccess), m.sync.namespace, m.sync.name, namespace, name)
	}
	if len(s.Next) > 0 {
		m.add(m.cronNext, seconds(s.Next[0]), m.sync.namespace, m.sync.name, namespace, name)
	}
}

func (m seriesOf) run(r LastRun) {
	namespace, name := r.Job.Namespace, r.Job.Name
	outcome := r.Outcome
	if outcome == "" {
		outcome = goesOn
	}
	m.add(m.jobOutcome, 1, m.sync.namespace, m.sync.name, namespace, name, string(outcome))
	if !r.Start.IsZero() {
		m.add(m.jobStart, seconds(r.Start), m.sync.namespace, m.sync.name, namespace, name)
	}
	if !r.End.IsZero() {
		m.add(m.jobEnd, seconds(r.End), m.sync.namespace, m.sync.name, namespace, name)
	}
	if !r.Start.IsZero() && !r.End.IsZero() {
		m.add(m.jobDuration, r.End.Sub(r.Start).Seconds(), m.sync.namespace, m.sync.name, namespace, name)
	}
}

// goesOn is the outcome of a run that has none yet.
const goesOn diff.Outcome = "Running"

func (m seriesOf) rollout(r Rollout) {
	switch r.Object.GroupKind() {
	case daemonSetKind:
		m.add(m.daemonOutdated, float64(r.OutdatedPods), m.sync.namespace, m.sync.name, r.Object.Namespace, r.Object.Name)
	case statefulSetKind:
		m.add(m.statefulOutdated, float64(r.OutdatedPods), m.sync.namespace, m.sync.name, r.Object.Namespace, r.Object.Name)
	}
}
