package reconcile

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/source"
)

// Options configure the loop of one Sync.
type Options struct {
	// Sync is defaulted and valid. The loop never changes it.
	Sync *v1alpha1.Sync
	// Object is true when Sync is an object in the cluster, which then holds the inventory; otherwise a ConfigMap does.
	Object bool
	// Cluster speaks to the API server as Kilter itself.
	Cluster *Cluster
	// Tenancy limits the Sync.
	Tenancy Tenancy
	// Fetch lists the repository's refs and returns the selected commit; the same one when nothing moved.
	Fetch func(context.Context) (source.Snapshot, error)
	// Name returns what people call a file of a Snapshot; nil when its own name is what they know.
	Name func(file string) string
	// Loader is kept from loop to loop of the same Sync, for what it remembers of files.
	Loader *manifests.Loader
	// Publish is called after every pass, from the loop's own goroutine. The loop keeps no reference to the Result.
	Publish func(*Result)
	// Record takes the Events that a pass is worth; nil when nobody wants them.
	Record func([]*corev1.Event)
	Log    *slog.Logger
	Clock  func() time.Time
}

// Loop keeps one Sync in sync. All its state belongs to the goroutine that called Run; what it learnt is lost with it and learnt
// again from the cluster.
type Loop struct {
	sync     *v1alpha1.Sync
	cluster  *Cluster
	tenancy  Tenancy
	loader   *manifests.Loader
	name     func(file string) string // of a Snapshot's file; may be nil
	publish  func(*Result)
	record   func([]*corev1.Event)
	log      *slog.Logger
	clock    func() time.Time
	requests chan string
	allowed  chan string // the newest value of the Sync's AllowPruneAnnotation
	hurried  chan struct{}

	// What the repository says.
	looks      looks
	fetchError error           // of the last look
	snapshot   source.Snapshot // the newest commit
	loaded     source.Commit   // the commit that rejected, warnings and, when it was accepted, set come from
	nextKinds  time.Time       // when kinds that the cluster did not know are looked for again
	rejected   []manifests.Problem
	warnings   []manifests.Problem
	skipped    []manifests.Skip
	set        *manifests.Set // the newest commit that was accepted; nil before the first
	commit     source.Commit  // of set
	revision   string         // of set
	applied    string         // the newest revision of which every object was applied

	// What the cluster says.
	parent       *parentStore
	observer     *observer
	clusterFails int // passes in a row that the cluster ended
	places       map[place]resource
	forbidden    forbidden
	unresolved   []schema.GroupKind // kinds that are wanted, or listed by the inventory, and that the cluster does not serve
	placesDue    bool
	listed       map[place]bool // every place that was listed since the loop began
	blind        map[place]bool // the places that Kilter may not look into
	unrecordable bool           // runs of Jobs cannot be put on record
	sight        *sight
	ledger       *ledger
	rehearses    bool // nothing is to be changed in the cluster
	attempts     attempts
	fights       fights
	waiting      waiting
	rollouts     rollouts
	autoscaled   autoscaled
	allows       string // the commit whose deletions may exceed spec.maxPrune

	// What was told last.
	requested string
	told      told
	sightings sightings
	schedules *schedules
}

// NewLoop returns a loop that has not begun. The Sync's own identity, if it names one, is taken on here.
func NewLoop(o Options) (*Loop, error) {
	l := &Loop{
		sync: o.Sync, cluster: o.Cluster, tenancy: o.Tenancy, loader: o.Loader, name: o.Name, publish: o.Publish, record: o.Record, log: o.Log, clock: o.Clock,
		requests: make(chan string, 1),
		allowed:  make(chan string, 1),
		hurried:  make(chan struct{}, 1),
		allows:   o.Sync.Annotations[v1alpha1.AllowPruneAnnotation],
		looks:    looks{fetch: o.Fetch, interval: o.Sync.Spec.Interval.Duration, clock: o.Clock, found: make(chan look, 1)},
		sight:    newSight(),
		attempts: attempts{by: map[manifests.ID]attempt{}},
		fights:   fights{by: map[manifests.ID]fight{}},
		waiting:  waiting{},
		rollouts: rollouts{refused: map[string]time.Time{}},
		listed:   map[place]bool{},
	}
	l.schedules = newSchedules(o.Clock)
	if l.record == nil {
		l.record = func([]*corev1.Event) {}
	}
	l.parent = &parentStore{cluster: o.Cluster}
	if o.Object {
		l.parent.Parent, l.parent.target = syncParent(o.Sync.Namespace, o.Sync.Name)
	} else {
		l.parent.Parent, l.parent.target = fileParent(o.Sync.Namespace, o.Sync.Name)
	}
	l.ledger = newLedger(o.Cluster, o.Sync.Namespace+"/"+o.Sync.Name)
	if account := cmp.Or(o.Sync.Spec.ServiceAccountName, o.Tenancy.ServiceAccount); account != "" {
		var err error
		if l.cluster, err = o.Cluster.As(o.Sync.Namespace, account); err != nil {
			return nil, err
		}
	}
	l.parent.tenant = l.cluster
	return l, nil
}

// Request asks for a look at the repository now. The value is answered in Result.Requested; a newer request replaces one that still waits.
func (l *Loop) Request(value string) {
	select {
	case <-l.requests:
	default:
	}
	l.requests <- value
}

// Hurry asks for a look at the repository now and, unlike Request, for nothing else: what failed is not tried sooner, and nothing is answered. Any number
// of calls that come while one waits are one.
func (l *Loop) Hurry() {
	select {
	case l.hurried <- struct{}{}:
	default:
	}
}

// AllowPrune tells the loop that the Sync's AllowPruneAnnotation has another value.
func (l *Loop) AllowPrune(commit string) {
	select {
	case <-l.allowed:
	default:
	}
	l.allowed <- commit
}

// Run makes passes until ctx is done: one whenever the repository was looked at, and one whenever something that matters changes in the
// cluster. It ends within the time of one request once ctx is done, and returns the last Result; nil when there was none.
func (l *Loop) Run(ctx context.Context) *Result {
	return l.run(ctx, func(*Result) bool { return false })
}

// RunOnce looks at the repository once and makes passes until nothing will change any more by itself, or has failed to for spec.timeout. It returns the last Result; nil
// when ctx was done before that.
func (l *Loop) RunOnce(ctx context.Context) *Result {
	l.looks.once = true
	if result := l.run(ctx, (*Result).Over); ctx.Err() == nil {
		return result
	}
	return nil
}

// run makes passes until one is done or ctx is. Looks at the repository go on beside the passes: a Git server that hangs keeps nobody
// from repairing drift.
func (l *Loop) run(ctx context.Context, done func(*Result) bool) *Result {
	ctx, stop := context.WithCancel(ctx)
	l.observer = newObserver(ctx, l.cluster, l.ledger.cluster, l.parent.ID(), l.ledger.sync)
	l.observer.crons = l.schedules
	defer l.observer.wait()
	defer l.ledger.asking.Wait()
	if l.parent.Kind != v1alpha1.SyncKind {
		var watching sync.WaitGroup
		defer watching.Wait()
		watching.Go(func() { l.parent.watch(ctx, l.observer.changed) })
	}
	defer l.looks.wait()
	defer stop()

	var result *Result
	var retry time.Time // when something is due that no event announces; zero when nothing is
	if l.sync.Spec.Suspend {
		if result = l.pass(ctx, nil); done(result) {
			return result
		}
	} else {
		l.looks.start(ctx)
	}
	for {
		timer := time.NewTimer(l.untilNext(retry))
		var found *look
		due := false
		select {
		case <-ctx.Done():
		case f := <-l.looks.found:
			found, due = &f, true
		case <-l.observer.changed:
			due = true
		case l.allows = <-l.allowed:
			due = true
		case <-l.hurried:
			if !l.sync.Spec.Suspend {
				l.looks.hurry(ctx)
			}
		case value := <-l.requests:
			if l.sync.Spec.Suspend {
				l.requested, due = value, true
				break
			}
			l.nextKinds = time.Time{}
			l.attempts.keep(diff.Plan{}) // whoever asks wants everything tried
			l.looks.request(ctx, value)
		case <-timer.C:
			due = !retry.IsZero() && !l.clock().Before(retry)
		}
		timer.Stop()
		if ctx.Err() != nil {
			return result
		}
		if l.looks.due() {
			l.looks.start(ctx)
		}
		if !due {
			continue
		}
		if result = l.pass(ctx, found); done(result) || ctx.Err() != nil {
			return result
		}
		retry = l.retryAfter(result)
	}
}

// untilNext returns how long the loop may sleep if nothing happens.
func (l *Loop) untilNext(retry time.Time) time.Duration {
	now := l.clock()
	wait := time.Hour
	for _, due := range []time.Time{l.looks.next, retry} {
		if !due.IsZero() {
			wait = min(wait, due.Sub(now))
		}
	}
	return wait
}

// retryAfter returns when a pass is due after the last one although nothing happens: a second attempt, the end of patience or
// of an exception. What was
// due when the last pass began and did not come to pass waits for an event, or else the loop would spin.
func (l *Loop) retryAfter(last *Result) time.Time {
	if last.ClusterError != nil {
		l.clusterFails++
		return l.clock().Add(backoff(200*time.Millisecond, 10*time.Second, l.clusterFails))
	}
	l.clusterFails = 0
	var first time.Time
	for _, due := range []time.Time{
		l.attempts.next(last.Started), l.waiting.next(l.sync.Spec.Timeout.Duration, last.Started), l.rollouts.next(last.Started),
		nextExpiry(last), l.installAgain(), l.ledger.lookAgain,
	} {
		if !due.IsZero() && (first.IsZero() || due.Before(first)) {
			first = due
		}
	}
	return first
}

// kindsDue reports whether it is time to ask the cluster again for kinds that it did not know.
func (l *Loop) kindsDue() bool {
	if l.clock().Before(l.nextKinds) {
		return false
	}
	for _, p := range l.rejected {
		if p.Reason == manifests.ReasonUnknown {
			l.nextKinds = l.clock().Add(10 * time.Second)
			l.cluster.mapper.Reset()
			return true
		}
	}
	return false
}

// defaultNamespace is where manifests that name no namespace go.
func (l *Loop) defaultNamespace() string {
	return cmp.Or(l.sync.Spec.TargetNamespace, l.sync.Namespace)
}
