package reconcile

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/reconcile/health"
)

// place is where a watch looks: one kind in one namespace, or in the cluster scope.
type place struct {
	kind      schema.GroupKind
	namespace string
}

func (p place) String() string {
	if p.namespace == "" {
		return p.kind.String()
	}
	return p.kind.String() + " in namespace " + p.namespace
}

// observer watches the members of one set and keeps what decides about each of them: a few hundred bytes, never the object.
//
// Each watched place has one watch, by the set's label. Kinds whose health can be read from metadata alone are watched as metadata; of
// the others the built-in ones come in protobuf, the rest in JSON.
// Applied objects are recorded from the server's answer, so a pass that follows at once already sees them; an event that is
// older than what is known is dropped.
type observer struct {
	ctx      context.Context // ends every watch; the observer's own lifetime, not a request's
	cluster  *Cluster
	own      *Cluster // to look at Kilter's own notes: the JobRuns
	setID    string
	sync     string // "namespace/name"
	watches  map[place]*placeWatch
	dropped  []*placeWatch // that ended since the loop's sight was refreshed
	running  sync.WaitGroup
	crons    *schedules    // of the CronJobs watched; nil when nobody asks
	changed  chan struct{} // holds one token when something that decides has changed since it was last taken
	progress chan struct{} // holds one token when a watch has synced or failed
	words    words
}

func newObserver(ctx context.Context, cluster, own *Cluster, setID, sync string) *observer {
	return &observer{
		ctx: ctx, cluster: cluster, own: own, setID: setID, sync: sync, watches: map[place]*placeWatch{},
		changed: make(chan struct{}, 1), progress: make(chan struct{}, 1),
	}
}

// signal leaves a token in a channel of capacity one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// watch makes the watched places exactly those given and returns when each has been listed once or has failed. A failed watch goes
// on trying, and signals changed when it succeeds; until then unseen names its error.
func (o *observer) watch(ctx context.Context, places map[place]resource) error {
	for p, w := range o.watches {
		if _, wanted := places[p]; !wanted {
			w.cancel()
			delete(o.watches, p)
			o.dropped = append(o.dropped, w)
		}
	}
	for p, r := range places {
		if o.watches[p] == nil {
			o.watches[p] = o.start(p, r)
		}
	}
	for _, w := range o.watches {
		w.forgetGone()
		for !w.settled() {
			select {
			case <-o.progress:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	o.crons.follow(o)
	return nil
}

// wait returns when every watch has ended; the observer's context has to be done.
func (o *observer) wait() { o.running.Wait() }

// news tells what has come, changed or gone since it was called last; nil is what is gone.
func (o *observer) news(each func(manifests.ID, *diff.Live)) {
	for _, w := range o.dropped {
		w.mu.Lock()
		for id := range w.live {
			each(id, nil)
		}
		for id := range w.news {
			each(id, nil)
		}
		w.mu.Unlock()
	}
	o.dropped = nil
	for _, w := range o.watches {
		w.mu.Lock()
		for id := range w.news {
			each(id, w.live[id])
		}
		if len(w.news) > 0 {
			w.news = map[manifests.ID]bool{}
		}
		w.mu.Unlock()
	}
}

// ended returns the Jobs that went, as they were seen last, by the records of their runs.
func (o *observer) ended() map[manifests.ID]*diff.Live {
	all := map[manifests.ID]*diff.Live{}
	for p, w := range o.watches {
		if p.kind == jobKind {
			w.mu.Lock()
			maps.Copy(all, w.ended)
			w.mu.Unlock()
		}
	}
	return all
}

// settled forgets how a Job ended: it is on record.
func (o *observer) settled(record manifests.ID) {
	if w := o.watches[place{jobKind, record.Namespace}]; w != nil {
		w.mu.Lock()
		delete(w.ended, record)
		w.mu.Unlock()
	}
}

// forget takes a record that was deleted as gone, before the watch tells so.
func (o *observer) forget(record manifests.ID) {
	if w := o.watches[placeOf(record)]; w != nil {
		w.mu.Lock()
		w.remove(record)
		w.mu.Unlock()
	}
}

// renew has the next pass look at a record, and at its Job, although nothing of them has changed.
func (o *observer) renew(record manifests.ID) {
	if w := o.watches[placeOf(record)]; w != nil {
		w.mu.Lock()
		w.news[record] = true
		w.mu.Unlock()
	}
}

// wrote takes what the server answered to a write of a record as observed.
func (o *observer) wrote(record *unstructured.Unstructured) {
	id := jobRunID(record.GetNamespace(), record.GetName())
	if w := o.watches[placeOf(id)]; w != nil {
		w.record(o.reduce(id, record))
	}
}

// unseen is a place that cannot be looked into now, and why: it could not be listed yet, or its watch is broken.
type unseen struct {
	place place
	err   error
}

// unseen returns the places that cannot be looked into now, sorted.
func (o *observer) unseen() []unseen {
	var all []unseen
	for p, w := range o.watches {
		w.mu.Lock()
		switch {
		case w.err != nil:
			all = append(all, unseen{p, w.err})
		case !w.synced:
			all = append(all, unseen{p, &Failure{Class: Transient, Reason: "Unreachable", Text: "its list is still on the way"}})
		}
		w.mu.Unlock()
	}
	slices.SortFunc(all, func(a, b unseen) int { return strings.Compare(a.place.String(), b.place.String()) })
	return all
}

// synced adds to known the places that were listed.
func (o *observer) synced(known map[place]bool) map[place]bool {
	for p, w := range o.watches {
		w.mu.Lock()
		if w.synced {
			known[p] = true
		}
		w.mu.Unlock()
	}
	return known
}

// record takes what the server answered to an apply as observed.
func (o *observer) record(id manifests.ID, object *metav1.PartialObjectMetadata) *diff.Live {
	live := reduce(o.setID, id, object)
	if w := o.watches[placeOf(id)]; w != nil {
		return w.record(live)
	}
	return &live
}

// deleted notes that the server has accepted the deletion of an object: it is going, even before the watch tells so.
func (o *observer) deleted(id manifests.ID, uid types.UID) {
	if w := o.watches[placeOf(id)]; w != nil {
		w.recordDeletion(id, uid)
	}
}

// whole reports whether objects of a kind are watched whole, since their health stands in spec and status, and reduced as they arrive. Of
// all other kinds only metadata is watched: they are where they should be when they exist. Of a kind that is not built in nobody knows
// what its status says.
func whole(kind schema.GroupKind) bool {
	return !health.InMetadata(kind) || !scheme.Scheme.IsGroupRegistered(kind.Group)
}

// start begins to watch one place.
func (o *observer) start(p place, r resource) *placeWatch {
	var quiet klog.Logger // what goes wrong is kept in placeWatch.err, and the pass reports it
	ctx, cancel := context.WithCancel(klog.NewContext(o.ctx, quiet))
	w := &placeWatch{
		place: p, whole: whole(p.kind), gvk: r.gvr.GroupVersion().WithKind(p.kind.Kind), observer: o, cancel: cancel,
	}
	w.forgetAll()
	cluster := o.cluster
	if p.kind == jobRunKind {
		cluster = o.own
	}
	lw := w.listWatch(cluster, r)
	reflector := cache.NewReflectorWithOptions(lw, nil, w, cache.ReflectorOptions{
		Name: p.String(), TypeDescription: p.kind.String(), Logger: &quiet,
		Backoff: &wait.Backoff{Duration: 200 * time.Millisecond, Factor: 2, Jitter: 0.5, Steps: 6, Cap: 5 * time.Second},
	})
	o.running.Go(func() { reflector.RunWithContext(ctx) })
	return w
}
