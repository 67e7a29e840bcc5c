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
	mu    sync.Mutex
	syncs map[syncKey]*syncObjects

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
		syncs: map[syncKey]*syncObjects{},
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
	c.registerer.MustRegister(m)
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
	for _, desc := range []*prometheus.Desc{
		m.cronState, m.cronSuccess, m.cronNext, m.cronMissed, m.cronFailures, m.jobOutcome, m.jobStart, m.jobEnd, m.jobDuration,
		m.daemonOutdated, m.statefulOutdated,
	} {
		descs <- desc
	}
}

// Collect makes the series of now.
func (m *objectMetrics) Collect(series chan<- prometheus.Metric) {
	m.mu.Lock()
	syncs := make(map[syncKey]syncObjects, len(m.syncs))
	for sync, known := range m.syncs {
		syncs[sync] = *known
	}
	m.mu.Unlock()
	for sync, known := range syncs {
		add := func(desc *prometheus.Desc, value float64, labels ...string) {
			all := append([]string{sync.namespace, sync.name}, labels...)
			series <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, all...)
		}
		if known.schedules != nil {
			for _, schedule := range known.schedules() {
				m.schedule(schedule, add)
			}
		}
		for _, run := range known.runs {
			m.run(run, add)
		}
		for _, rollout := range known.rollouts {
			m.rollout(rollout, add)
		}
	}
}

// adder makes one series.
type adder func(desc *prometheus.Desc, value float64, labels ...string)

func (m *objectMetrics) schedule(s Schedule, add adder) {
	namespace, name := s.ID.Namespace, s.ID.Name
	if s.RunsKnown { // without its runs, one that has failed cannot be told from one that has not begun
		add(m.cronState, 1, namespace, name, string(s.State))
		add(m.cronFailures, float64(s.Failures), namespace, name)
	}
	add(m.cronMissed, float64(s.Missed), namespace, name)
	if !s.LastSuccess.IsZero() {
		add(m.cronSuccess, seconds(s.LastSuccess), namespace, name)
	}
	if len(s.Next) > 0 {
		add(m.cronNext, seconds(s.Next[0]), namespace, name)
	}
}

func (m *objectMetrics) run(r LastRun, add adder) {
	namespace, name := r.Job.Namespace, r.Job.Name
	outcome := r.Outcome
	if outcome == "" {
		outcome = goesOn
	}
	add(m.jobOutcome, 1, namespace, name, string(outcome))
	if !r.Start.IsZero() {
		add(m.jobStart, seconds(r.Start), namespace, name)
	}
	if !r.End.IsZero() {
		add(m.jobEnd, seconds(r.End), namespace, name)
	}
	if !r.Start.IsZero() && !r.End.IsZero() {
		add(m.jobDuration, r.End.Sub(r.Start).Seconds(), namespace, name)
	}
}

// goesOn is the outcome of a run that has none yet.
const goesOn diff.Outcome = "Running"

func (m *objectMetrics) rollout(r Rollout, add adder) {
	switch r.Object.GroupKind() {
	case daemonSetKind:
		add(m.daemonOutdated, float64(r.OutdatedPods), r.Object.Namespace, r.Object.Name)
	case statefulSetKind:
		add(m.statefulOutdated, float64(r.OutdatedPods), r.Object.Namespace, r.Object.Name)
	}
}
