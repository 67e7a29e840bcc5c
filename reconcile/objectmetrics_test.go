package reconcile

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/reconcile/health"
)

// watched are schedules of CronJobs that were watched, one for each Cron, and the runs of their namespace.
func watched(clock func() time.Time, crons ...health.Cron) (*schedules, *runWatch) {
	w := &placeWatch{place: place{cronJobKind, "shop"}, live: map[manifests.ID]*diff.Live{}}
	for i, cron := range crons {
		id := manifests.ID{Group: "batch", Kind: "CronJob", Namespace: "shop", Name: fmt.Sprintf("report-%d", i)}
		w.live[id] = &diff.Live{ID: id, UID: types.UID(fmt.Sprint(i)), Member: true, Cron: &cron}
	}
	s := newSchedules(clock)
	runs := &runWatch{}
	runs.clear()
	s.crons, s.jobs = []*placeWatch{w}, map[string]*runWatch{"shop": runs}
	return s, runs
}

// runOfReport is a Job of the n-th CronJob that began at a time, and has ended in the way given.
func runOfReport(n int, began time.Time, ended batchv1.JobConditionType) *batchv1.Job {
	yes := true
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: fmt.Sprintf("report-%d-%d", n, began.Unix()), UID: types.UID(fmt.Sprintf("%d/%d", n, began.Unix())),
		CreationTimestamp: metav1.NewTime(began),
		OwnerReferences:   []metav1.OwnerReference{{Kind: "CronJob", Name: fmt.Sprintf("report-%d", n), UID: types.UID(fmt.Sprint(n)), Controller: &yes}},
	}}
	if ended != "" {
		job.Status.Conditions = []batchv1.JobCondition{
			{Type: ended, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(began.Add(10 * time.Second))},
		}
	}
	return job
}

// A judgement is kept until time, the CronJob or one of its runs may have changed it, and no longer.
func TestSchedulesAreJudgedWhenTheyMayHaveChanged(t *testing.T) {
	now := noon().Add(5 * time.Minute)
	cron := health.Cron{Created: noon().Add(-24 * time.Hour), Schedule: "0 * * * *", LastSchedule: noon(), LastSuccess: noon().Add(-time.Hour), FailedLimit: 1}
	s, runs := watched(func() time.Time { return now }, cron)
	step := func(name string, want health.ScheduleState, known bool) {
		t.Helper()
		all := s.now()
		if len(all) != 1 || all[0].RunsKnown != known || known && all[0].State != want {
			t.Errorf("%s: %+v, want %s", name, all, want)
		}
	}
	step("the Jobs were not listed", "", false)
	if err := runs.Replace([]any{runOfReport(0, noon(), "")}, ""); err != nil {
		t.Fatal(err)
	}
	step("its run goes on", health.ScheduleOnTime, true)
	if err := runs.Update(runOfReport(0, noon(), batchv1.JobFailed)); err != nil {
		t.Fatal(err)
	}
	step("its run failed", health.ScheduleFailing, true)
	if err := runs.Update(runOfReport(0, noon(), batchv1.JobComplete)); err != nil {
		t.Fatal(err)
	}
	step("its run succeeded", health.ScheduleOnTime, true)
	now = noon().Add(time.Hour + health.LateAfter)
	step("the next is due, and has its grace", health.ScheduleOnTime, true)
	now = now.Add(time.Second)
	step("the next is overdue", health.ScheduleLate, true)
	now = noon().Add(2*time.Hour + time.Minute)
	step("it was passed over", health.ScheduleMissed, true)
	cron.LastSchedule = noon().Add(2 * time.Hour)
	cron.LastSuccess = now
	for id, live := range s.crons[0].live {
		live.Cron = &cron
		s.crons[0].live[id] = live
	}
	step("it ran", health.ScheduleOnTime, true)
	if err := runs.Delete(runOfReport(0, noon(), batchv1.JobComplete)); err != nil {
		t.Fatal(err)
	}
	if len(runs.runs) != 0 || len(runs.stamp) != 0 {
		t.Errorf("something is left of Jobs that are gone: %v %v", runs.runs, runs.stamp)
	}
	s.crons = nil
	if all := s.now(); len(all) != 0 || len(s.judged) != 0 {
		t.Errorf("something is left of CronJobs that are gone: %v %v", all, s.judged)
	}
}

// Between two turns nothing may change: the time named by Until is early enough. Judged afresh at each second, and by what is kept.
func TestKeptJudgementsAreFreshOnes(t *testing.T) {
	now := noon()
	deadline := 70 * time.Second
	base := health.Cron{Created: noon().Add(-24 * time.Hour), LastSchedule: noon().Add(-time.Minute), LastSuccess: noon(), FailedLimit: 1}
	var crons []health.Cron
	for _, schedule := range []string{"*/2 * * * *", "1,2,7 * * * *", "@every 90s", "0 0 30 2 *", "0 13 * * *", "not a schedule"} {
		for _, limit := range []*time.Duration{nil, &deadline} {
			cron := base
			cron.Schedule, cron.Deadline = schedule, limit
			crons = append(crons, cron)
			cron.Suspended, cron.Suspension = true, health.Suspension{By: "ada", Until: noon().Add(4 * time.Minute)}
			crons = append(crons, cron)
		}
	}
	s, runs := watched(func() time.Time { return now }, crons...)
	if err := runs.Replace(nil, ""); err != nil {
		t.Fatal(err)
	}
	kept := 0
	for range 900 {
		before := s.judged
		for _, got := range s.now() {
			var n int
			if _, err := fmt.Sscanf(got.ID.Name, "report-%d", &n); err != nil {
				t.Fatal(err)
			}
			want := health.ComputeSchedule(health.ScheduleInput{Cron: crons[n], Now: now})
			if got.State != want.State || got.Missed != want.Missed || got.Failures != want.Failures || !slices.Equal(got.Next[:min(1, len(got.Next))], want.Next[:min(1, len(want.Next))]) {
				t.Fatalf("%s %+v: kept %s, %d missed, next %v; fresh %s, %d missed, next %v", now, crons[n],
					got.State, got.Missed, got.Next, want.State, want.Missed, want.Next)
			}
			if was, ok := before[types.UID(fmt.Sprint(n))]; ok && was.found.Until.Equal(got.Until) {
				kept++
			}
		}
		now = now.Add(time.Second)
	}
	if kept < 900*len(crons)/2 {
		t.Errorf("only %d of %d judgements were kept", kept, 900*len(crons))
	}
}

// What is written in haste says the same as what the registry writes.
func TestHandlerServesWhatIsGathered(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := NewMetrics(registry, "v1.2.3")
	r := succeeded(measured)
	m.Observe(batch(), r)
	m.Follow(batch(), func() []Schedule { return schedulesOf(30) })
	serve := m.Handler(registry) // its own counters are registered now
	answer := httptest.NewRecorder()
	serve.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if err := testutil.GatherAndCompare(m.Gatherer(registry), answer.Body); err != nil {
		t.Error(err)
	}
	request := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	request.Header.Set("Accept", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")
	answer = httptest.NewRecorder()
	if serve.ServeHTTP(answer, request); !bytes.Contains(answer.Body.Bytes(), []byte("kilter_cronjob_state")) {
		t.Error("protobuf lacks the series of objects")
	}
}

// atScale has what 10,000 objects export: 4,000 CronJobs, 1,000 Jobs and 5,000 that have no series of their own.
func atScale(now func() time.Time) (*prometheus.Registry, *Metrics) {
	crons := make([]health.Cron, 4000)
	for i := range crons {
		crons[i] = health.Cron{
			Created: noon().Add(-24 * time.Hour), Schedule: fmt.Sprintf("%d * * * *", i%60), LastSchedule: noon().Add(-time.Duration(60-i%60) * time.Minute),
			LastSuccess: noon(), FailedLimit: 1,
		}
	}
	s, runs := watched(now, crons...)
	jobs := make([]any, len(crons))
	for i := range jobs {
		jobs[i] = runOfReport(i, crons[i].LastSchedule, batchv1.JobComplete)
	}
	if err := runs.Replace(jobs, ""); err != nil {
		panic(err)
	}
	r := succeeded()
	for i := range 1000 {
		r.Measures.LastRuns = append(r.Measures.LastRuns, LastRun{
			Job: jobID("shop", fmt.Sprintf("job-%d", i)), Outcome: diff.Complete, Start: noon(), End: noon().Add(time.Minute),
		})
	}
	registry := prometheus.NewRegistry()
	m := NewMetrics(registry, "v1.2.3")
	m.Observe(batch(), r)
	m.Follow(batch(), s.now)
	return registry, m
}

// The metrics of 10,000 objects: 4,000 of them CronJobs, 1,000 Jobs.
func BenchmarkScrape(b *testing.B) {
	now := noon().Add(30 * time.Minute)
	registry, m := atScale(func() time.Time { return now })
	series, err := testutil.GatherAndCount(m.Gatherer(registry))
	if err != nil {
		b.Fatal(err)
	}
	serve := m.Handler(registry)
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(15 * time.Second)
		request := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		request.Header.Set("Accept-Encoding", "gzip")
		answer := discard{header: http.Header{}}
		serve.ServeHTTP(answer, request)
	}
	b.ReportMetric(float64(series), "series")
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/scrape")
	b.ReportMetric(20, "ms/scrape-limit")
}

type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) WriteHeader(int)             {}
func (d discard) Write(p []byte) (int, error) { return io.Discard.Write(p) }
