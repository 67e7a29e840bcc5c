package reconcile

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/internal/golden"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/reconcile/health"
)

func batch() *v1alpha1.Sync {
	sync := &v1alpha1.Sync{}
	sync.Namespace, sync.Name, sync.Spec.Git.Path = "team-a", "batch", "prod"
	return sync
}

func looked(r *Result) { r.Looked = true }

// refusal is an error as Options.Fetch returns it.
type refusal struct{}

func (refusal) Error() string { return "cannot fetch https://git: who are you?" }
func (refusal) Class() string { return "AuthenticationFailed" }

// measured adds all that only metrics tell.
func measured(r *Result) {
	job := func(name string) manifests.ID { return jobID("shop", name) }
	r.Measures = Measures{
		AppliedAfter: 9 * time.Second,
		DriftFound:   []manifests.ID{configMap("a"), job("seed"), {Group: "example.com", Kind: "Widget", Namespace: "shop", Name: "w"}},
		Drifted:      1, Fights: 1,
		Repairs:   []time.Duration{20 * time.Millisecond, 30 * time.Millisecond},
		RunsEnded: map[diff.Outcome]int{diff.Complete: 2, diff.Failed: 1},
		LastRuns: []LastRun{
			{Job: job("migrate"), Outcome: diff.Failed, Start: noon(), End: noon().Add(90 * time.Second)},
			{Job: job("seed"), Start: noon()},
			{Job: job("waits")},
		},
	}
	r.Rollouts = []Rollout{
		{Object: manifests.ID{Group: "apps", Kind: "DaemonSet", Namespace: "shop", Name: "agent"}, Rollout: health.Rollout{OutdatedPods: 2}},
		{Object: manifests.ID{Group: "apps", Kind: "StatefulSet", Namespace: "shop", Name: "db"}, Rollout: health.Rollout{OutdatedPods: 1}},
	}
}

// schedulesOf are those of n CronJobs, in several states.
func schedulesOf(n int) []Schedule {
	all := make([]Schedule, n)
	for i := range all {
		s := &all[i]
		s.ID = manifests.ID{Group: "batch", Kind: "CronJob", Namespace: "shop", Name: fmt.Sprintf("report-%d", i)}
		s.State, s.RunsKnown = health.ScheduleOnTime, true
		s.LastSuccess, s.Next = noon(), []time.Time{noon().Add(time.Hour)}
		switch i % 3 {
		case 1:
			s.State, s.Failures, s.Missed = health.ScheduleMissed, 2, 4
		case 2:
			s.RunsKnown, s.Next = false, nil
		}
	}
	return all
}

// everyKind are Results that reach every label value but the revision.
func everyKind() []*Result {
	results := []*Result{
		succeeded(), succeeded(suspended), succeeded(unfetched), succeeded(rejected), succeeded(noCluster), succeeded(pruneBlocked),
		succeeded(unwell), succeeded(waits), succeeded(progressing), succeeded(suspendedAgainstGit),
	}
	for _, class := range []Class{Terminal, Transient, Slow, Conflict} {
		for _, op := range []diff.Op{diff.Create, diff.Update, diff.Delete} {
			r := succeeded(failing(op, class))
			r.Changes = append(r.Changes, Change{Action: diff.Action{Op: op, ID: configMap("done")}, Tried: true})
			results = append(results, r)
		}
	}
	for _, r := range results {
		for _, phase := range []string{"fetch", "load", "observe", "plan", "apply", "prune"} {
			r.Phases = append(r.Phases, Phase{Name: phase, Took: 2 * time.Millisecond})
		}
	}
	return results
}

// All that one pass exports; only the histogram's buckets are left out.
func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := NewMetrics(registry, "v1.2.3")
	r := succeeded(failing(diff.Create, Terminal), failing(diff.Delete, Transient), unwell)
	notTried := failing(diff.Update, Slow)
	notTried(r)
	r.Changes[2].Tried = false
	r.Changes = append(r.Changes, Change{Action: applyOf("a", "v1"), Tried: true, Took: time.Millisecond})
	r.Phases = []Phase{{Name: "fetch", Took: 250 * time.Millisecond}}
	m.Observe(batch(), succeeded(looked))
	suspendedAgainstGit(r)
	r.Exceptions = r.Exceptions[1:]
	r.Looked, r.Fetched, r.FetchError = true, false, refusal{}
	measured(r)
	m.Observe(batch(), r)
	m.Follow(batch(), func() []Schedule { return schedulesOf(3) })

	if problems, err := testutil.GatherAndLint(m.Gatherer(registry)); err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v %v", problems, err)
	}
	golden.Check(t, filepath.Join("testdata", "metrics.prom"), exposition(t, m.Gatherer(registry)))
}

// Whatever happens and however many commits and objects there are, the series of a Sync are the same few; and they go with it.
func TestSeriesAreConstant(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := NewMetrics(registry, "v1.2.3")
	other := batch()
	other.Name = "other"
	m.Observe(other, succeeded(measured))
	m.Follow(other, func() []Schedule { return schedulesOf(2) })
	before := exposition(t, m.Gatherer(registry))

	var series []int
	for commit := range 3 {
		for i, r := range everyKind() {
			r.Applied = fmt.Sprintf("main@sha1:%038d%02d", commit, i)
			for object := range 50 {
				r.Changes = append(r.Changes, Change{Action: applyOf(fmt.Sprintf("object-%d-%d", commit, object), "v1")})
			}
			for webhook := range 50 {
				r.Unwell = append(r.Unwell, Trouble{Reason: fmt.Sprintf("Reason%d%d%d", commit, i, webhook)})
			}
			measured(r)
			m.Observe(batch(), r)
			m.Follow(batch(), func() []Schedule { return schedulesOf(2) })
		}
		n, err := testutil.GatherAndCount(m.Gatherer(registry))
		if err != nil {
			t.Fatal(err)
		}
		series = append(series, n)
	}
	if series[0] != series[1] || series[1] != series[2] {
		t.Errorf("the number of series grows with commits: %v", series)
	}
	m.Forget("team-a", "batch")
	if diff := cmp.Diff(before, exposition(t, m.Gatherer(registry))); diff != "" {
		t.Errorf("Forget leaves something, or takes too much:\n%s", diff)
	}
}

// What a pass could not find out keeps its last value; lastSuccess is that of the last success.
func TestMetricsKeepWhatAPassDoesNotKnow(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := NewMetrics(registry, "v1.2.3")
	m.Observe(batch(), succeeded())
	m.Observe(batch(), succeeded(noCluster, unfetched, func(r *Result) { r.Health, r.Finished = nil, noon().Add(time.Hour) }))
	at := float64(noon().UnixMilli()+312) / 1000
	for _, c := range []struct {
		name   string
		metric prometheus.Collector
		want   float64
	}{
		{"current objects", m.health.WithLabelValues("team-a", "batch", string(health.Current)), 3},
		{"last success", m.lastSuccess.WithLabelValues("team-a", "batch"), at},
		{"last fetch", m.lastFetch.WithLabelValues("team-a", "batch"), at},
		{"ready", m.ready.WithLabelValues("team-a", "batch"), 0},
		{"succeeded", m.reason.WithLabelValues("team-a", "batch", string(ReconciliationSucceeded)), 0},
		{"failed to fetch", m.reason.WithLabelValues("team-a", "batch", string(FetchFailed)), 1},
	} {
		if got := testutil.ToFloat64(c.metric); got != c.want {
			t.Errorf("%s: %f, want %f", c.name, got, c.want)
		}
	}
}

// An exception that is over stays visible while nobody can end it, and nothing is left of one that has ended.
func TestMetricsOfExceptions(t *testing.T) {
	m := NewMetrics(prometheus.NewRegistry(), "v1.2.3")
	for _, c := range []struct {
		name   string
		result *Result
		want   []float64 // the time at which the first ends; none when there is no series
	}{
		{"none", succeeded(), nil},
		{"one cannot be read", succeeded(suspendedAgainstGit), []float64{0}},
		{"the Sync is suspended", succeeded(suspended, func(r *Result) { r.Health = nil }), []float64{0}},
		{"one", succeeded(suspendedAgainstGit, func(r *Result) { r.Exceptions = r.Exceptions[1:] }), []float64{float64(noon().Add(time.Hour).Unix())}},
		{"ended", succeeded(), nil},
	} {
		m.Observe(batch(), c.result)
		var got []float64
		if testutil.CollectAndCount(m.expiry) > 0 {
			got = []float64{testutil.ToFloat64(m.expiry)}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", c.name, diff)
		}
	}
}

// exposition renders metrics as /metrics does, without buckets.
func exposition(t *testing.T, gatherer prometheus.Gatherer) string {
	t.Helper()
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if answer.Code != http.StatusOK {
		t.Fatal(answer.Body)
	}
	var kept strings.Builder
	for line := range strings.Lines(answer.Body.String()) {
		if !strings.Contains(line, "_bucket{") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}
