package reconcile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/cache"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/reconcile/health"
	"kilter.dev/kilter/reconcile/inventory"
)

// placeWatch keeps what one watch has seen. It is the store of a client-go reflector.
type placeWatch struct {
	place    place
	whole    bool // not only metadata
	gvk      schema.GroupVersionKind
	observer *observer
	cancel   context.CancelFunc

	mu     sync.Mutex
	live   map[manifests.ID]*diff.Live
	news   map[manifests.ID]bool       // what has come, changed or gone since the loop's sight was refreshed
	gone   map[manifests.ID]*diff.Live // what went since the pass began, lest the answer to an earlier apply bring it back
	ended  map[manifests.ID]*diff.Live // by their records: Jobs that went, as they were seen last
	synced bool                        // listed at least once
	err    error                       // the last failure to list or watch; nil after a success
}

var _ cache.TransformingStore = (*placeWatch)(nil)

// listWatch returns the list and watch calls of one place, which keep their last error in w.err.
func (w *placeWatch) listWatch(c *Cluster, r resource) cache.ListerWatcher {
	selector := inventory.PartOfLabel + "=" + w.observer.setID
	if w.place.kind == jobRunKind {
		selector = "" // people ask for runs with spec.sync alone
	}
	var list cache.ListWithContextFunc
	var watchFrom cache.WatchFuncWithContext
	switch {
	case !w.whole:
		client := c.object(r, w.place.namespace)
		list = func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return client.List(ctx, o) }
		watchFrom = client.Watch
	case scheme.Scheme.Recognizes(w.gvk):
		client, err := c.typed(r.gvr.GroupVersion())
		if err != nil {
			list = func(context.Context, metav1.ListOptions) (runtime.Object, error) { return nil, err }
			watchFrom = func(context.Context, metav1.ListOptions) (watch.Interface, error) { return nil, err }
			break
		}
		typed := cache.NewFilteredListWatchFromClient(client, r.gvr.Resource, w.place.namespace, func(*metav1.ListOptions) {})
		list, watchFrom = typed.ListWithContextFunc, typed.WatchFuncWithContext
	default:
		client := c.dynamic.Resource(r.gvr).Namespace(w.place.namespace)
		list = func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return client.List(ctx, o) }
		watchFrom = client.Watch
	}
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			options.LabelSelector = selector
			objects, err := list(ctx, options)
			w.note(err)
			return objects, err
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.LabelSelector = selector
			events, err := watchFrom(ctx, options)
			w.note(err)
			return events, err
		},
	}
}

// note keeps the outcome of a request. An expired resource version is the reflector's own business: it lists again.
func (w *placeWatch) note(err error) {
	if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		return
	}
	w.mu.Lock()
	turned := (w.err == nil) != (err == nil)
	w.err = err
	w.mu.Unlock()
	if err != nil {
		signal(w.observer.progress)
	}
	if turned {
		signal(w.observer.changed)
	}
}

// settled reports whether the first list has arrived or failed.
func (w *placeWatch) settled() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.synced || w.err != nil
}

// forgetGone begins a pass: an apply that was answered before it has been recorded.
func (w *placeWatch) forgetGone() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.gone)
}

// forgetAll begins with nothing.
func (w *placeWatch) forgetAll() {
	w.live, w.news = map[manifests.ID]*diff.Live{}, map[manifests.ID]bool{}
	w.gone, w.ended = map[manifests.ID]*diff.Live{}, map[manifests.ID]*diff.Live{}
}

// put takes over what is observed of an object; the mutex is held.
func (w *placeWatch) put(live *diff.Live) {
	w.live[live.ID], w.news[live.ID] = live, true
}

// remove takes over that an object is gone; the mutex is held.
func (w *placeWatch) remove(id manifests.ID) {
	delete(w.live, id)
	w.news[id] = true
}

// reduced is an observed object on its way through the reflector, which wants to read its metadata.
type reduced struct {
	metav1.ObjectMeta
	live *diff.Live
}

// Transformer reduces objects as they are listed, so that a long list is never held in memory.
func (w *placeWatch) Transformer() cache.TransformFunc {
	return func(object any) (any, error) { return w.reduce(object) }
}

func (w *placeWatch) reduce(object any) (*reduced, error) {
	if r, ok := object.(*reduced); ok {
		return r, nil
	}
	m, ok := object.(metav1.Object)
	if !ok {
		return nil, fmt.Errorf("%T has no metadata", object)
	}
	if typed, ok := object.(runtime.Object); ok && w.whole {
		typed.GetObjectKind().SetGroupVersionKind(w.gvk) // which decoding into a Go type loses
	}
	id := manifests.ID{Group: w.place.kind.Group, Kind: w.place.kind.Kind, Namespace: m.GetNamespace(), Name: m.GetName()}
	live := w.observer.reduce(id, m)
	live.Owners = w.owners(live, m)
	return &reduced{
		ObjectMeta: metav1.ObjectMeta{
			Name: m.GetName(), Namespace: m.GetNamespace(), UID: m.GetUID(), ResourceVersion: m.GetResourceVersion(),
		},
		live: &live,
	}, nil
}

// owners returns who owns which fields if that tells who has changed ours; nil as long as nobody has.
func (w *placeWatch) owners(live diff.Live, object metav1.Object) []metav1.ManagedFieldsEntry {
	w.mu.Lock()
	defer w.mu.Unlock()
	known, exists := w.live[live.ID]
	switch {
	case !exists || older(&live, known):
		return nil
	case known.Fields == live.Fields:
		return known.Owners
	}
	return object.GetManagedFields()
}

// reduce keeps of an object of a watched place what decides; of another Sync's record, that its name is taken.
func (o *observer) reduce(id manifests.ID, object metav1.Object) diff.Live {
	live := reduce(o.setID, id, object)
	if run := live.Run; run != nil && run.Sync != o.sync {
		live.Run = &diff.Run{Record: run.Record, Sync: run.Sync, Job: run.Job, Number: run.Number}
	}
	return live
}

// reduce keeps of an object what decides.
func reduce(setID string, id manifests.ID, object metav1.Object) diff.Live {
	live := diff.Live{
		ID: id, UID: object.GetUID(), ResourceVersion: object.GetResourceVersion(),
		Member:  inventory.Member(setID, object),
		Applied: object.GetAnnotations()[v1alpha1.AppliedAnnotation],
		Kept:    inventory.Kept(object.GetAnnotations()),
		Cascade: inventory.Cascades(object.GetAnnotations()),

		ReplicasTaken: inventory.ReplicasTaken(object),
		SuspendTaken:  inventory.SuspendTaken(object),
		Refused:       inventory.Controlled(object),
		Exception:     (*diff.Exception)(inventory.ExceptionOf(object)),
	}
	if text, ok := object.GetAnnotations()[manifests.DependsOnAnnotation]; ok {
		live.DependsOn = manifests.References(text)
	}
	if entry := inventory.Entry(object); entry != nil {
		live.Fields = fieldsHash(entry.FieldsV1.GetRawBytes())
	}
	if record, ok := object.(*unstructured.Unstructured); ok && id.GroupKind() == jobRunKind {
		live.Run = runOf(record)
		return live
	}
	live.Health = health.Of(object)
	live.Cron = cronOf(id, object)
	if id.GroupKind() == jobKind {
		live.Job = jobState(object)
	}
	return live
}

// fieldsHash identifies a field set as managedFields writes it.
func fieldsHash(fields []byte) string {
	sum := sha256.Sum256(fields)
	return hex.EncodeToString(sum[:])
}

// Add is called for every object that appears.
func (w *placeWatch) Add(object any) error { return w.Update(object) }

// Update is called for every event on an object.
func (w *placeWatch) Update(object any) error {
	r, err := w.reduce(object)
	if err != nil {
		return err
	}
	w.mu.Lock()
	known, exists := w.live[r.live.ID]
	stale := exists && older(r.live, known)
	if !stale {
		w.put(r.live)
	}
	heard := !stale && w.synced
	news := heard && (!exists || !reflect.DeepEqual(decides(known), decides(r.live)))
	w.mu.Unlock()
	switch {
	case news:
		signal(w.observer.changed)
	case heard && exists && known.Health.Message != r.live.Health.Message:
		w.observer.words.changed(r.live.ID, w.observer.changed)
	}
	return nil
}

// Delete is called when an object is gone, or no longer carries the set's label.
func (w *placeWatch) Delete(object any) error {
	r, err := w.reduce(object)
	if err != nil {
		return err
	}
	w.mu.Lock()
	known, exists := w.live[r.live.ID]
	gone := exists && !older(r.live, known)
	if gone {
		w.remove(r.live.ID)
		w.end(r.live)
	}
	w.gone[r.live.ID] = r.live
	w.mu.Unlock()
	if gone {
		signal(w.observer.changed)
	}
	return nil
}

// Replace is called with every object of the place after it was listed: at the start, and after a watch was lost.
func (w *placeWatch) Replace(objects []any, _ string) error {
	live := make(map[manifests.ID]*diff.Live, len(objects))
	for _, object := range objects {
		r, err := w.reduce(object)
		if err != nil {
			return err
		}
		live[r.live.ID] = r.live
	}
	w.mu.Lock()
	for id := range live {
		w.news[id] = true
	}
	for id, known := range w.live {
		w.news[id] = true
		listed, ok := live[id]
		if ok && older(listed, known) {
			live[id] = known
		}
		// What became of a run that nobody watched to its end has to be found out: see Loop.witness.
		if (!ok || listed.UID != known.UID) && known.Job != nil && known.Job.Outcome != "" {
			w.end(known)
		}
	}
	w.live, w.synced, w.err = live, true, nil
	w.mu.Unlock()
	signal(w.observer.progress)
	signal(w.observer.changed)
	return nil
}

// end keeps the last that was seen of a Job's run until that is on record.
func (w *placeWatch) end(last *diff.Live) {
	if last.Job != nil && last.Job.Record != "" {
		w.ended[jobRunID(last.ID.Namespace, last.Job.Record)] = last
	}
}

// Resync has nothing to do: no copy is kept that could differ.
func (w *placeWatch) Resync() error { return nil }

// record takes the server's answer to an apply as the newest state, unless the watch was faster. The answer carries metadata
// only: of a kind that is watched whole, the health has to come from the event that follows.
func (w *placeWatch) record(answer diff.Live) *diff.Live {
	w.mu.Lock()
	defer w.mu.Unlock()
	if went, ok := w.gone[answer.ID]; ok && older(&answer, went) {
		return &answer
	}
	known, exists := w.live[answer.ID]
	if exists && known.UID == answer.UID && !older(known, &answer) {
		if known.Fields == answer.Fields && known.Owners != nil { // the event came first, and the change in it is our own
			known = with(known, func(live *diff.Live) { live.Owners = nil })
			w.put(known)
		}
		return known
	}
	if w.whole && answer.Health.Word == health.Current {
		answer.Health = health.Health{Word: health.InProgress, Reason: health.ReasonNotObserved, Message: "applied; no event from the cluster yet"}
	}
	if exists && known.UID == answer.UID {
		answer.Cron = known.Cron
	}
	w.put(&answer)
	return &answer
}

// with returns a copy with a change.
func with(live *diff.Live, change func(*diff.Live)) *diff.Live {
	changed := *live
	change(&changed)
	return &changed
}

// recordDeletion takes the server's answer to a deletion as the newest state of that very object, unless the watch was faster.
func (w *placeWatch) recordDeletion(id manifests.ID, uid types.UID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if known, ok := w.live[id]; ok && known.UID == uid && known.Health.Word != health.Terminating {
		w.put(with(known, func(live *diff.Live) {
			live.Health = health.Health{Word: health.Terminating, Reason: health.ReasonDeleting, Message: "deleted; no event from the cluster yet"}
		}))
	}
}

// older reports whether a was stored before b. Two objects of the same name that replaced each other compare as well.
func older(a, b *diff.Live) bool {
	order, err := resourceversion.CompareResourceVersion(a.ResourceVersion, b.ResourceVersion)
	return err == nil && order < 0
}

// decides strips what changes without changing any decision; see words of the message.
func decides(whole *diff.Live) diff.Live {
	live := *whole
	live.ResourceVersion, live.Health.Message, live.Owners, live.Cron = "", "", nil, nil
	if live.Job != nil && live.Job.Outcome == "" {
		job := *live.Job
		job.Succeeded, job.Failed, job.CompletedIndexes, job.FailedIndexes = 0, 0, "", ""
		live.Job = &job
	}
	return live
}
