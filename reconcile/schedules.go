package reconcile

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/health"
)

var cronJobKind = schema.GroupKind{Group: batchv1.GroupName, Kind: "CronJob"}

// Schedule is the health of one CronJob's schedule.
type Schedule struct {
	ID manifests.ID
	health.ScheduleHealth
	// RunsKnown is false while the Jobs of its namespace have not been listed, or may not be: then only the times hold.
	RunsKnown bool
}

// schedules tells, whenever somebody asks, how the CronJobs of one set keep their schedules. It has them from the set's own watches, and their
// runs from one more watch of the Jobs in each namespace that has any: the Jobs of a CronJob do not carry the set's label. Nothing of this
// starts a pass, since nothing of it decides.
//
// Jobs, and the judgements, are some hundred bytes for each. A judgement is kept until its CronJob or one of its runs changes, or time may have
// changed it: a scrape costs no more than what has happened since the last.
type schedules struct {
	clock func() time.Time

	mu     sync.Mutex
	crons  []*placeWatch
	jobs   map[string]*runWatch // by namespace
	judged map[types.UID]judgement
}

// judgement is what was found last, and what it was found from.
type judgement struct {
	cron  *health.Cron
	known bool
	runs  int // the version of its runs
	found health.ScheduleHealth
}

func newSchedules(clock func() time.Time) *schedules {
	return &schedules{clock: clock, jobs: map[string]*runWatch{}, judged: map[types.UID]judgement{}}
}

// cronOf reduces a CronJob that was watched whole; nil for everything else.
func cronOf(id manifests.ID, object metav1.Object) *health.Cron {
	if id.GroupKind() != cronJobKind {
		return nil
	}
	typed, ok := object.(*batchv1.CronJob)
	if u, whole := object.(*unstructured.Unstructured); whole {
		typed = &batchv1.CronJob{}
		ok = runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, typed) == nil
	}
	if !ok {
		return nil
	}
	cron := health.ReadCronJob(typed)
	if cron.Suspended {
		cron.Suspension = SuspensionOf(typed)
	}
	return &cron
}

// follow takes over the places that are watched now, and watches the Jobs of the namespaces that have CronJobs.
func (s *schedules) follow(o *observer) {
	if s == nil {
		return
	}
	var crons []*placeWatch
	needed := map[string]bool{}
	for p, w := range o.watches {
		if p.kind == cronJobKind {
			crons = append(crons, w)
			w.mu.Lock()
			needed[p.namespace] = len(w.live) > 0
			w.mu.Unlock()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.crons = crons
	for namespace, w := range s.jobs {
		if !needed[namespace] {
			w.cancel()
			delete(s.jobs, namespace)
		}
	}
	for namespace, wanted := range needed {
		if wanted && s.jobs[namespace] == nil {
			s.jobs[namespace] = watchRuns(o, namespace)
		}
	}
}

// Schedules returns the health of every CronJob of the set that is in the cluster, in no order. It may be called at any time, from any
// goroutine; before the first pass there are none.
func (l *Loop) Schedules() []Schedule { return l.schedules.now() }

func (s *schedules) now() []Schedule {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock()
	all := make([]Schedule, 0, len(s.judged))
	judged := make(map[types.UID]judgement, len(s.judged))
	for _, w := range s.crons {
		for _, c := range w.cronJobs() {
			j := s.judge(c, now)
			judged[c.uid] = j
			all = append(all, Schedule{ID: c.id, ScheduleHealth: j.found, RunsKnown: j.known})
		}
	}
	s.judged = judged
	return all
}

// scheduled is one CronJob.
type scheduled struct {
	id   manifests.ID
	uid  types.UID
	cron *health.Cron // never changed
}

// cronJobs returns the CronJobs of a place that are the set's own.
func (w *placeWatch) cronJobs() []scheduled {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]scheduled, 0, len(w.live))
	for id, live := range w.live {
		if live.Cron != nil && live.Member {
			all = append(all, scheduled{id, live.UID, live.Cron})
		}
	}
	return all
}

// judge returns the judgement on one CronJob: the last one, while it holds.
func (s *schedules) judge(c scheduled, now time.Time) judgement {
	j := judgement{cron: c.cron}
	jobs := s.jobs[c.id.Namespace]
	if jobs != nil {
		j.runs, j.known = jobs.stampOf(c.uid)
	}
	if last, ok := s.judged[c.uid]; ok && last.cron == j.cron && last.runs == j.runs && last.known == j.known &&
		(last.found.Until.IsZero() || now.Before(last.found.Until)) {
		return last
	}
	in := health.ScheduleInput{Cron: *c.cron, Now: now}
	if jobs != nil {
		in.Runs = jobs.of(c.uid)
	}
	j.found = health.ComputeSchedule(in)
	return j
}

// runWatch keeps the runs of the CronJobs of one namespace. It is the store of a client-go reflector.
type runWatch struct {
	cancel context.CancelFunc

	mu     sync.Mutex
	synced bool
	runs   map[types.UID]map[types.UID]health.Run // by their CronJob, and by their Job
	stamp  map[types.UID]int                      // of each CronJob's runs: another whenever they change
	last   int                                    // the stamp given last
}

var _ cache.TransformingStore = (*runWatch)(nil)

// watchRuns begins to watch the Jobs of a namespace. Where they may not be read, it asks ever more seldom.
func watchRuns(o *observer, namespace string) *runWatch {
	var quiet klog.Logger
	ctx, cancel := context.WithCancel(klog.NewContext(o.ctx, quiet))
	w := &runWatch{cancel: cancel}
	w.clear()
	client := o.cluster.kubernetes.BatchV1().Jobs(namespace)
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			return client.List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return client.Watch(ctx, options)
		},
	}
	reflector := cache.NewReflectorWithOptions(lw, nil, w, cache.ReflectorOptions{
		Name: "runs of CronJobs in " + namespace, TypeDescription: "Job.batch", Logger: &quiet,
		Backoff: &wait.Backoff{Duration: time.Second, Factor: 2, Jitter: 0.5, Steps: 10, Cap: 5 * time.Minute},
	})
	o.running.Go(func() { reflector.RunWithContext(ctx) })
	return w
}

// stampOf returns the stamp of a CronJob's runs, and false while the Jobs have not been listed.
func (w *runWatch) stampOf(cron types.UID) (int, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stamp[cron], w.synced
}

// of returns the runs of a CronJob, in no order.
func (w *runWatch) of(cron types.UID) []health.Run {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(maps.Values(w.runs[cron]))
}

// ownedRun is a Job on its way through the reflector, which wants to read its metadata.
type ownedRun struct {
	metav1.ObjectMeta
	cron types.UID // empty: no CronJob controls it
	run  health.Run
}

func ownedRunOf(object any) (*ownedRun, bool) {
	switch job := object.(type) {
	case *ownedRun:
		return job, true
	case *batchv1.Job:
		r := &ownedRun{ObjectMeta: metav1.ObjectMeta{
			Name: job.Name, Namespace: job.Namespace, UID: job.UID, ResourceVersion: job.ResourceVersion,
		}}
		if owner := metav1.GetControllerOf(job); owner != nil && owner.Kind == cronJobKind.Kind {
			r.cron, r.run = owner.UID, health.ReadRun(job)
		}
		return r, true
	}
	return nil, false
}

// Transformer reduces Jobs as they are listed.
func (w *runWatch) Transformer() cache.TransformFunc {
	return func(object any) (any, error) {
		if r, ok := ownedRunOf(object); ok {
			return r, nil
		}
		return object, nil
	}
}

// Add is called for every Job that appears.
func (w *runWatch) Add(object any) error { return w.Update(object) }

// Update is called for every event on a Job.
func (w *runWatch) Update(object any) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r, ok := ownedRunOf(object); ok {
		w.keep(r)
	}
	return nil
}

// keep takes a run over; the caller holds the mutex.
func (w *runWatch) keep(r *ownedRun) {
	if r.cron == "" || w.runs[r.cron][r.UID] == r.run {
		return
	}
	if w.runs[r.cron] == nil {
		w.runs[r.cron] = map[types.UID]health.Run{}
	}
	w.runs[r.cron][r.UID] = r.run
	w.touch(r.cron)
}

func (w *runWatch) touch(cron types.UID) {
	w.last++
	w.stamp[cron] = w.last
}

// Delete is called when a Job is gone.
func (w *runWatch) Delete(object any) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r, ok := ownedRunOf(object); ok && r.cron != "" {
		delete(w.runs[r.cron], r.UID)
		w.touch(r.cron)
		if len(w.runs[r.cron]) == 0 { // of a CronJob that may be gone; a stamp is never given twice
			delete(w.runs, r.cron)
			delete(w.stamp, r.cron)
		}
	}
	return nil
}

// Replace is called with every Job of the namespace: at the start, and after a watch was lost.
func (w *runWatch) Replace(objects []any, _ string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clear()
	for _, object := range objects {
		if r, ok := ownedRunOf(object); ok {
			w.keep(r)
		}
	}
	w.synced = true
	return nil
}

// clear forgets every run.
func (w *runWatch) clear() {
	w.runs, w.stamp = map[types.UID]map[types.UID]health.Run{}, map[types.UID]int{}
}

// Resync has nothing to do: no copy is kept that could differ.
func (w *runWatch) Resync() error { return nil }
