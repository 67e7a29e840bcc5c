package reconcile

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/source"
)

// Opened is a repository that a controller looks into: what Options.Fetch needs, and what ends it.
type Opened struct {
	Fetch func(context.Context) (source.Snapshot, error)
	Close func() error
}

// ControllerOptions configure Controller.
type ControllerOptions struct {
	Cluster *Cluster
	Tenancy Tenancy
	// Limits are what the manifests of each commit may cost.
	Limits manifests.Options
	// Namespaces are those whose Syncs are followed; empty means all.
	Namespaces []string
	// Open opens the repository of a Sync. Its error becomes the Sync's status.
	Open func(*v1alpha1.Sync) (Opened, error)
	// Began is called when the loop of a Sync begins, with what makes it look at the repository at once. What it returns is called when the loop
	// has ended.
	Began func(sync *v1alpha1.Sync, hurry func()) (ended func())
	// Synced is called once every Sync that exists has been seen.
	Synced  func()
	Metrics *Metrics
	// Traces is told of every pass; nil when nobody wants traces.
	Traces *Traces
	// Queues makes the metrics of the queue of Syncs that changed.
	Queues workqueue.MetricsProvider
	// Record takes the Events of every Sync's passes.
	Record func([]*corev1.Event)
	Log    *slog.Logger
	Clock  func() time.Time
}

// Controller follows the Sync objects of a cluster and runs one loop for each. A changed spec ends the loop and starts another; a
// deleted Sync ends it and leaves its workloads as they are.
type Controller struct{ ControllerOptions }

// NewController returns a controller that does nothing before Run.
func NewController(o ControllerOptions) *Controller { return &Controller{o} }

// running is the loop of one Sync.
type running struct {
	sync   *v1alpha1.Sync
	loop   *Loop
	cancel context.CancelFunc
	ended  chan struct{}
}

// following is one call of Controller.Run.
type following struct {
	*Controller
	stores map[string]cache.Store // of Syncs, by namespace
	queue  workqueue.TypedInterface[types.NamespacedName]

	mu    sync.Mutex
	loops map[types.NamespacedName]*running
}

// Run follows Syncs until ctx is done and every loop has ended. Nothing is told of a Sync afterwards; it may run again.
func (c *Controller) Run(ctx context.Context) {
	namespaces := c.Namespaces
	if len(namespaces) == 0 {
		namespaces = []string{metav1.NamespaceAll}
	}
	f := &following{
		Controller: c, stores: map[string]cache.Store{}, loops: map[types.NamespacedName]*running{},
		queue: workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[types.NamespacedName]{Name: "syncs", MetricsProvider: c.Queues}),
	}
	var informing sync.WaitGroup
	defer informing.Wait()
	var informers []cache.SharedIndexInformer
	for _, namespace := range namespaces {
		informer := dynamicinformer.NewFilteredDynamicInformer(c.Cluster.dynamic,
			v1alpha1.GroupVersion.WithResource(v1alpha1.SyncResource), namespace, 0, cache.Indexers{}, nil).Informer()
		f.listen(informer, namespace)
		f.stores[namespace] = informer.GetStore()
		informers = append(informers, informer)
		informing.Go(func() { informer.RunWithContext(ctx) })
	}
	informing.Go(func() {
		for _, informer := range informers {
			if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
				return
			}
		}
		c.Synced()
	})

	// Each Sync is followed by a goroutine of its own, and by one at a time, as the queue has it: one that takes its time to end keeps no
	// other waiting.
	defer context.AfterFunc(ctx, f.queue.ShutDown)()
	var keeping sync.WaitGroup
	for {
		name, down := f.queue.Get()
		if down {
			break
		}
		keeping.Go(func() {
			defer f.queue.Done(name)
			if ctx.Err() == nil {
				f.keep(ctx, name)
			}
		})
	}
	keeping.Wait()
	for name, loop := range f.loops {
		keeping.Go(func() {
			loop.end()
			c.Metrics.Forget(name.Namespace, name.Name)
		})
	}
	keeping.Wait()
}

// keep brings the loop of one Sync in line with it.
func (f *following) keep(ctx context.Context, name types.NamespacedName) {
	store := f.stores[name.Namespace]
	if store == nil {
		store = f.stores[metav1.NamespaceAll]
	}
	f.mu.Lock()
	current := f.loops[name]
	f.mu.Unlock()
	current = f.follow(ctx, current, store, name)
	f.mu.Lock()
	defer f.mu.Unlock()
	if current == nil {
		delete(f.loops, name)
	} else {
		f.loops[name] = current
	}
}

// listen queues the name of each Sync that appears, changes or goes.
func (f *following) listen(informer cache.SharedIndexInformer, namespace string) {
	// The error is kept for the log: an informer goes on trying by itself. Setting it fails only once the informer runs.
	_ = informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) {
		why := newFailure(err, f.Cluster.host).Text
		if apierrors.IsNotFound(err) {
			why = "the cluster has no kind Sync: install it with `kilter crds | kubectl apply --server-side -f -`, or with the chart"
		}
		f.Log.Error("cannot watch Syncs", "namespace", namespace, "why", why)
	})
	send := func(object any) {
		if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
			object = gone.Obj
		}
		if m, ok := object.(metav1.Object); ok {
			f.queue.Add(types.NamespacedName{Namespace: m.GetNamespace(), Name: m.GetName()})
		}
	}
	_, _ = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: send, DeleteFunc: send, UpdateFunc: func(_, object any) { send(object) },
	})
}

// follow returns the loop that one Sync has to have as it is now: the current one, another, or none.
func (c *Controller) follow(ctx context.Context, current *running, store cache.Store, name types.NamespacedName) *running {
	object, exists, _ := store.GetByKey(name.String())
	if !exists {
		current.end()
		c.Metrics.Forget(name.Namespace, name.Name)
		return nil
	}
	wanted, err := readSync(object)
	if err != nil {
		c.Log.Error("cannot read a Sync", "object", name.String(), "why", err.Error())
		return current
	}
	if current != nil && current.loop != nil && current.sync.UID == wanted.UID && current.sync.Generation == wanted.Generation {
		before := current.sync.Annotations
		current.sync = wanted
		if commit := wanted.Annotations[v1alpha1.AllowPruneAnnotation]; commit != before[v1alpha1.AllowPruneAnnotation] {
			current.loop.AllowPrune(commit)
		}
		if request := wanted.Annotations[v1alpha1.RequestedAtAnnotation]; request != before[v1alpha1.RequestedAtAnnotation] {
			current.loop.Request(request)
		}
		return current
	}
	current.end()
	return c.start(ctx, wanted)
}

func readSync(object any) (*v1alpha1.Sync, error) {
	u, ok := object.(*unstructured.Unstructured)
	if !ok {
		return nil, fmt.Errorf("the cache holds a %T", object)
	}
	var wanted v1alpha1.Sync
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &wanted); err != nil {
		return nil, err
	}
	wanted.Spec.Default()
	return &wanted, nil
}

// start runs the loop of one Sync.
func (c *Controller) start(ctx context.Context, wanted *v1alpha1.Sync) *running {
	ctx, cancel := context.WithCancel(ctx)
	r := &running{sync: wanted, cancel: cancel, ended: make(chan struct{})}
	log := c.Log.With("sync", wanted.Namespace+"/"+wanted.Name)
	status := wanted.Status
	publish := func(result *Result) {
		c.Metrics.Observe(wanted, result)
		c.Traces.Observe(wanted, result)
		next := result.Status(status)
		if equality.Semantic.DeepEqual(next, status) {
			return
		}
		if err := writeStatus(ctx, c.Cluster, wanted, next); err != nil {
			log.Error("status", "why", err.Error())
			return
		}
		status = next
	}
	opened, err := c.Open(wanted)
	if err != nil {
		opened = Opened{
			Fetch: func(context.Context) (source.Snapshot, error) { return source.Snapshot{}, err },
			Close: func() error { return nil },
		}
	}
	r.loop, err = NewLoop(Options{
		Sync: wanted, Object: true, Cluster: c.Cluster, Tenancy: c.Tenancy, Fetch: opened.Fetch, Loader: manifests.NewLoader(c.Limits),
		Publish: publish, Record: c.Record, Log: log, Clock: c.Clock,
	})
	if err != nil {
		log.Error("cannot start", "why", err.Error())
		_ = opened.Close()
		close(r.ended)
		return r
	}
	c.Metrics.Follow(wanted, r.loop.Schedules)
	if request := wanted.Annotations[v1alpha1.RequestedAtAnnotation]; request != wanted.Status.LastHandledReconcileAt {
		r.loop.Request(request)
	}
	ended := c.Began(wanted, r.loop.Hurry)
	go func() {
		defer close(r.ended)
		defer ended()
		r.loop.Run(ctx)
		if err := opened.Close(); err != nil {
			log.Error("cannot remove the repository's store", "why", err.Error())
		}
	}()
	return r
}

// end stops the loop of a Sync, if there is one, and waits for it.
func (r *running) end() {
	if r != nil {
		r.cancel()
		<-r.ended
	}
}
