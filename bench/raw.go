package main

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
)

// raw sends the requests that the work cannot do without, and decides nothing: it is told what to send. Its connection is set up as Kilter's
// is, and the answers it asks for are the same: metadata only, in protobuf.
type raw struct {
	client    metadata.Interface
	namespace string
	bodies    map[string][]byte // by object.key
}

// newRaw prepares the bodies of the work in a namespace.
func newRaw(config *rest.Config, namespace string, work []object) (*raw, error) {
	client, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	r := &raw{client: client, namespace: namespace, bodies: map[string][]byte{}}
	for _, o := range work {
		if r.bodies[o.key()], err = o.body(namespace); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// apply sends one server-side apply.
func (r *raw) apply(ctx context.Context, o object, body []byte) error {
	_, err := r.client.Resource(o.resource).Namespace(r.namespace).Patch(ctx, o.name, types.ApplyPatchType, body, metav1.PatchOptions{
		FieldManager: "raw", Force: ptr.To(true), FieldValidation: metav1.FieldValidationStrict,
	})
	return err
}

// applyAll applies the work, with so many requests in flight.
func (r *raw) applyAll(ctx context.Context, work []object, inFlight int) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(inFlight)
	for _, o := range work {
		group.Go(func() error { return r.apply(ctx, o, r.bodies[o.key()]) })
	}
	return group.Wait()
}

// repairer applies a ConfigMap again at the first event of it since it was told to: the least that repairing takes.
type repairer struct {
	raw  *raw
	stop context.CancelFunc
	runs sync.WaitGroup

	mu    sync.Mutex
	armed map[string]object // by name
	err   error             // the first
}

// newRepairer begins to watch, and returns when all ConfigMaps have been seen.
func newRepairer(ctx context.Context, r *raw) (*repairer, error) {
	p := &repairer{raw: r, armed: map[string]object{}}
	ctx, p.stop = context.WithCancel(ctx)
	ours := func(o *metav1.ListOptions) { o.LabelSelector = workLabel + "=" + workValue }
	informer := metadatainformer.NewFilteredMetadataInformer(r.client, kinds["ConfigMap"], r.namespace, 0, cache.Indexers{}, ours).Informer()
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		UpdateFunc: func(_, event any) { p.repair(ctx, event) },
		DeleteFunc: func(event any) { p.repair(ctx, event) },
	}); err != nil {
		return nil, err
	}
	p.runs.Go(func() { informer.RunWithContext(ctx) })
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return nil, ctx.Err()
	}
	return p, nil
}

// arm has the next event of each ConfigMap answered.
func (p *repairer) arm(some []object) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range some {
		p.armed[o.name] = o
	}
}

func (p *repairer) repair(ctx context.Context, event any) {
	m, ok := event.(metav1.Object)
	if !ok {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	o, ok := p.armed[m.GetName()]
	if !ok {
		return
	}
	delete(p.armed, o.name)
	p.runs.Go(func() {
		if err := p.raw.apply(ctx, o, p.raw.bodies[o.key()]); err != nil {
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.err == nil {
				p.err = err
			}
		}
	})
}

// close ends the watch and returns the first error of a repair.
func (p *repairer) close() error {
	p.stop()
	p.runs.Wait()
	return p.err
}
