package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/internal/process"
)

// kilter is the program under measure, which follows the one Sync of a namespace as an installation by the chart does.
type kilter struct {
	program string
	args    []string
	listen  string
	syncs   dynamic.ResourceInterface
	*process.Process
}

// syncName is the name of the Sync.
const syncName = "bench"

// newKilter prepares to run the program; it does not start it.
func newKilter(c *cluster, a *account, program, namespace, dir string) (*kilter, error) {
	port, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	k := &kilter{program: program, listen: port.Addr().String()}
	k.syncs = c.dynamic.Resource(v1alpha1.GroupVersion.WithResource(v1alpha1.SyncResource)).Namespace(namespace)
	k.args = []string{
		"run", "--kubeconfig", a.kubeconfig, "--watch-namespaces", namespace, "--listen", k.listen,
		"--data-dir", filepath.Join(dir, "store-"+namespace), "--allow-insecure-git",
	}
	return k, port.Close()
}

// start starts the program and returns when it has seen all Syncs.
func (k *kilter) start(ctx context.Context) (err error) {
	if k.Process, err = process.Start(process.Options{Path: k.program, Args: k.args}); err != nil {
		return fmt.Errorf("%w; build it with `make build`", err)
	}
	return k.poll(ctx, "is ready", func() (bool, error) {
		answer, err := http.Get("http://" + k.listen + "/readyz")
		if err != nil {
			return false, nil // it does not listen yet
		}
		return answer.StatusCode == http.StatusOK, answer.Body.Close()
	})
}

// awaitReady returns when the program says of itself that its Sync is ready.
func (k *kilter) awaitReady(ctx context.Context) error {
	return k.poll(ctx, "has its Sync ready", func() (bool, error) {
		answer, err := http.Get("http://" + k.listen + "/metrics")
		if err != nil {
			return false, err
		}
		defer answer.Body.Close()
		ready, err := counters(answer.Body, "kilter_sync_ready")
		return len(ready) == 1 && ready[0].value == 1, err
	})
}

// pollGap is long enough for what is asked, a page of metrics among them, to cost the program little.
const pollGap = 25 * time.Millisecond

// poll asks again and again, since nothing announces it, until the program answers as it should.
func (k *kilter) poll(ctx context.Context, what string, is func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		ok, err := is()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting until kilter %s: %w; it printed:\n%s", what, ctx.Err(), k.Output())
		case <-time.After(pollGap):
		}
	}
}

// create creates the Sync.
func (k *kilter) create(ctx context.Context, url string) error {
	_, err := k.syncs.Create(ctx, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": v1alpha1.SyncKind,
		"metadata": map[string]any{"name": syncName},
		"spec": map[string]any{
			"git":      map[string]any{"url": url, "ref": map[string]any{"branch": "main"}, "path": "prod"},
			"interval": "1h", // what is measured is triggered; where it is not, the interval is another one
		},
	}}, metav1.CreateOptions{})
	return err
}

// request asks for a look at the repository, as `kilter reconcile` does.
func (k *kilter) request(ctx context.Context, value string) error {
	return k.patch(ctx, map[string]any{"metadata": map[string]any{"annotations": map[string]any{v1alpha1.RequestedAtAnnotation: value}}})
}

// lookEvery sets spec.interval.
func (k *kilter) lookEvery(ctx context.Context, interval time.Duration) error {
	return k.patch(ctx, map[string]any{"spec": map[string]any{"interval": interval.String()}})
}

func (k *kilter) patch(ctx context.Context, change map[string]any) error {
	body, err := json.Marshal(change)
	if err != nil {
		return err
	}
	_, err = k.syncs.Patch(ctx, syncName, types.MergePatchType, body, metav1.PatchOptions{})
	return err
}

// settled returns when the Sync's status says that all is well, of the spec as it is, and answers the request if there is one.
func (k *kilter) settled(ctx context.Context, request string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	one := func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermEqualSelector("metadata.name", syncName).String()
	}
	source := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			one(&o)
			return k.syncs.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			one(&o)
			return k.syncs.Watch(ctx, o)
		},
	}
	_, err := watchtools.UntilWithSync(ctx, source, &unstructured.Unstructured{}, nil, func(event watch.Event) (bool, error) {
		u, ok := event.Object.(*unstructured.Unstructured)
		if !ok {
			return false, nil
		}
		var sync v1alpha1.Sync
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &sync); err != nil {
			return false, err
		}
		return sync.Status.ObservedGeneration == sync.Generation && meta.IsStatusConditionTrue(sync.Status.Conditions, v1alpha1.ConditionReady) &&
			(request == "" || sync.Status.LastHandledReconcileAt == request), nil
	})
	if err != nil {
		return fmt.Errorf("waiting for the Sync to be ready: %w; kilter printed:\n%s", err, k.Output())
	}
	return nil
}

// stopped ends the program and returns when it has ended.
func (k *kilter) stopped() error { return k.Stop(30 * time.Second) }
