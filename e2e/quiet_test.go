package e2e

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile"
	"kilter.dev/kilter/source"
)

// traffic is what a loop sends, as words: "list configmaps", "PATCH configmaps/a". Discovery is left out: it is asked once, and of no object.
type traffic struct {
	mu   sync.Mutex
	sent map[string]int
	next http.RoundTripper
}

func (f *traffic) RoundTrip(r *http.Request) (*http.Response, error) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if i := slices.Index(parts, "namespaces"); i >= 0 && len(parts) > i+2 {
		parts = parts[i+2:]
	} else if len(parts) > 0 && (parts[0] == "apis" && len(parts) > 3 || parts[0] == "api" && len(parts) > 2) {
		parts = parts[map[string]int{"apis": 3, "api": 2}[parts[0]]:]
	} else {
		return f.next.RoundTrip(r)
	}
	what := r.Method
	switch query := r.URL.Query(); {
	case query.Get("sendInitialEvents") == "true":
		what = "list" // with the watch that follows, in one
	case query.Get("watch") != "":
		what = "watch"
	case r.Method == http.MethodGet && len(parts) == 1:
		what = "list"
	}
	f.mu.Lock()
	f.sent[what+" "+strings.Join(parts, "/")]++
	f.mu.Unlock()
	return f.next.RoundTrip(r)
}

// take returns what was sent since it was last called, without watches.
func (f *traffic) take() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	sent := f.sent
	f.sent = map[string]int{}
	maps.DeleteFunc(sent, func(what string, _ int) bool { return strings.HasPrefix(what, "watch ") })
	return sent
}

// quiet is a loop in this process, whose requests and passes are counted.
type quiet struct {
	*reconcile.Loop
	*traffic
	results chan *reconcile.Result
}

// newQuiet returns a loop over what fetch returns. Only events and requests start its passes, unless interval is short.
func (c *cluster) newQuiet(t *testing.T, ns string, interval time.Duration, fetch func(context.Context) (source.Snapshot, error)) *quiet {
	t.Helper()
	q := &quiet{traffic: &traffic{sent: map[string]int{}}, results: make(chan *reconcile.Result, 10_000)}
	config := rest.CopyConfig(c.config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { q.next = next; return q.traffic })
	cluster, err := reconcile.Connect(config)
	must(t, err)
	sync := &v1alpha1.Sync{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "quiet"}}
	sync.Spec.Interval = metav1.Duration{Duration: interval}
	sync.Spec.Default()
	q.Loop, err = reconcile.NewLoop(reconcile.Options{
		Sync: sync, Cluster: cluster, Loader: manifests.NewLoader(manifests.Options{}), Clock: time.Now, Fetch: fetch,
		Publish: func(r *reconcile.Result) { q.results <- r }, Log: slog.New(slog.DiscardHandler),
	})
	must(t, err)
	return q
}

// start runs the loop until the test ends.
func (q *quiet) start(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { q.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
}

// until returns the first result that is what is waited for, and how many passes there were before it.
func (q *quiet) until(ctx context.Context, t *testing.T, is func(*reconcile.Result) bool) (before int) {
	t.Helper()
	var last *reconcile.Result
	for {
		select {
		case r := <-q.results:
			if last = r; is(r) {
				return before
			}
			before++
		case <-ctx.Done():
			t.Fatalf("after %d passes: %v", before, last)
		}
	}
}

func commitOf(files fs.FS) func(context.Context) (source.Snapshot, error) {
	return func(context.Context) (source.Snapshot, error) {
		return source.Snapshot{Commit: "commit", Revision: "main@sha1:commit", Tree: files, Path: "."}, nil
	}
}

// TestRestart has a second loop find what a first one has left: it lists each kind once, reads the inventory, and writes nothing, save that
// it applies each custom resource once, which changes nothing. It is not parallel: its CRD would disturb those who watch all kinds.
func TestRestart(t *testing.T) {
	ctx, c := newCluster(t)
	ns := c.namespace(t, "restart")
	group := ns + ".example.com"
	t.Cleanup(func() {
		crds := c.dynamic.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
		must(t, crds.Delete(context.WithoutCancel(t.Context()), "pipelines."+group, metav1.DeleteOptions{}))
	})
	files := quietFiles()
	files["crd.yaml"] = file(strings.ReplaceAll(defaulted, "GROUP", group))
	files["pipelines.yaml"] = file(strings.ReplaceAll(pipelines, "GROUP", group))
	if r := c.newQuiet(t, ns, time.Hour, commitOf(files)).RunOnce(ctx); !r.Ready() {
		t.Fatal(r.Message())
	}

	again := c.newQuiet(t, ns, time.Hour, commitOf(files))
	r := again.RunOnce(ctx)
	if !r.Ready() {
		t.Fatal(r.Message())
	}
	want := map[string]int{"GET configmaps/kilter-quiet": 1, "list configmaps": 2, "PATCH pipelines/bare": 1, "PATCH pipelines/full": 1}
	for _, kind := range []string{
		"cronjobs", "customresourcedefinitions", "daemonsets", "deployments", "jobruns", "jobs", "pipelines", "statefulsets",
	} {
		want["list "+kind] = 1
	}
	want["list jobs"]++ // what CronJobs have started does not carry the set's label, and is listed for their metrics
	got := again.take()
	delete(got, "list pods")               // the Job had none: its record does not say how its last container ended, and pods are looked for once more
	if d := cmp.Diff(want, got); d != "" { // the inventory is a ConfigMap, and watched for itself
		t.Errorf("requests (-want +got):\n%s", d)
	}
}

// quietFiles are objects of every kind whose status decides, none of which starts a pod.
func quietFiles() fstest.MapFS {
	return fstest.MapFS{
		"a.yaml":           configMap("a"),
		"fence.yaml":       configMap("fence"),
		"deployment.yaml":  file("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec:\n  replicas: 0" + podOf),
		"statefulset.yaml": file("apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: s}\nspec:\n  replicas: 0\n  serviceName: s" + podOf),
		"daemonset.yaml":   file("apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: d}\nspec:\n" + images[0] + "\n"),
		"cronjob.yaml": file("apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: c}\nspec:\n  suspend: true\n  schedule: 0 3 * * *\n" +
			"  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: x, image: x}]}}}}\n"),
		"job.yaml": file("apiVersion: batch/v1\nkind: Job\nmetadata: {name: j}\nspec:\n  completions: 0\n" +
			"  template: {spec: {restartPolicy: Never, containers: [{name: x, image: x}]}}\n"),
	}
}

// TestChurn patches status 50 times a second for some seconds: nothing that decides changes, so there is no request, and hardly a pass.
func TestChurn(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	ns := c.namespace(t, "churn")
	q := c.newQuiet(t, ns, time.Hour, commitOf(quietFiles()))
	q.start(t)
	q.until(ctx, t, (*reconcile.Result).Ready)
	settled := c.fence(ctx, t, q, ns)
	t.Logf("%d passes until all is settled; sent %v", settled, q.take())

	churned := map[string]schema.GroupVersionResource{
		"deployments/d":  {Group: "apps", Version: "v1", Resource: "deployments"},
		"daemonsets/d":   {Group: "apps", Version: "v1", Resource: "daemonsets"},
		"statefulsets/s": {Group: "apps", Version: "v1", Resource: "statefulsets"},
		"jobs/j":         {Group: "batch", Version: "v1", Resource: "jobs"},
		"cronjobs/c":     {Group: "batch", Version: "v1", Resource: "cronjobs"},
	}
	names := slices.Sorted(maps.Keys(churned))
	const updates = 250
	tick := time.NewTicker(time.Second / 50)
	defer tick.Stop()
	for i := range updates {
		<-tick.C
		name := names[i%len(names)]
		// The fields of a status that move while nothing happens: a condition's message, or the time of the last success.
		change := fmt.Sprintf(`{"status":{"conditions":[{"type":"Churn","status":"True","message":"%d"}]}}`, i)
		patch := types.StrategicMergePatchType
		if name == "cronjobs/c" {
			change = fmt.Sprintf(`{"status":{"lastSuccessfulTime":%q}}`, time.Unix(1_700_000_000+int64(i), 0).UTC().Format(time.RFC3339))
		}
		_, object, _ := strings.Cut(name, "/")
		_, err := c.dynamic.Resource(churned[name]).Namespace(ns).Patch(ctx, object, patch, []byte(change), metav1.PatchOptions{}, "status")
		must(t, err)
	}
	passes := c.fence(ctx, t, q, ns)
	sent := q.take()
	t.Logf("%d status updates: %d passes, sent %v", updates, passes, sent)
	delete(sent, "PATCH configmaps/fence")
	if passes > 2 || len(sent) > 0 {
		t.Errorf("%d status updates made %d passes and the requests %v", updates, passes, sent)
	}
}

// fence changes an object of the set and waits until the loop has repaired it: whatever happened before has been seen by then. It returns how
// many passes came before the repair.
func (c *cluster) fence(ctx context.Context, t *testing.T, q *quiet, ns string) int {
	t.Helper()
	_, err := c.CoreV1().ConfigMaps(ns).Patch(ctx, "fence", types.MergePatchType, []byte(`{"data":{"key":"changed"}}`), metav1.PatchOptions{})
	must(t, err)
	return q.until(ctx, t, func(r *reconcile.Result) bool {
		return slices.ContainsFunc(r.Changes, func(c reconcile.Change) bool { return c.ID.Name == "fence" })
	})
}

// TestOwnWrites pushes a change of many objects: the events of the loop's own writes start no pass.
func TestOwnWrites(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	ns := c.namespace(t, "own-writes")
	const n = 100
	of := func(value string) fstest.MapFS {
		files := fstest.MapFS{"fence.yaml": configMap("fence")}
		for i := range n {
			files[fmt.Sprintf("%d.yaml", i)] = file(fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c%d}\ndata: {key: %s}\n", i, value))
		}
		return files
	}
	commits := make(chan source.Snapshot, 1)
	q := c.newQuiet(t, ns, time.Hour, func(context.Context) (source.Snapshot, error) { return <-commits, nil })
	commits <- source.Snapshot{Commit: "one", Revision: "one", Tree: of("one"), Path: "."}
	q.start(t)
	q.until(ctx, t, (*reconcile.Result).Ready)
	c.fence(ctx, t, q, ns)
	q.take()

	commits <- source.Snapshot{Commit: "two", Revision: "two", Tree: of("two"), Path: "."}
	q.Request("now")
	q.until(ctx, t, func(r *reconcile.Result) bool { return r.NewCommit && len(r.Changes) == n && r.Ready() })
	passes := c.fence(ctx, t, q, ns)
	sent := q.take()
	// An event may overtake the answer to its write. However many do, they start one pass, which sends nothing.
	if passes > 1 || len(sent) != n+1 {
		t.Errorf("%d writes of its own started %d passes; it sent %d things", n, passes, len(sent))
	}
	for what, times := range sent {
		if times > 1 && what != "PATCH configmaps/fence" {
			t.Errorf("%d × %s", times, what)
		}
	}
}

// TestIdle polls a repository of 1,000 objects at which nothing happens: the Git server is asked for its refs alone, and the API server for
// nothing.
func TestIdle(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	ns := c.namespace(t, "idle")
	files := fstest.MapFS{}
	for i := range 1000 {
		name := fmt.Sprintf("c%d", i)
		files["prod/"+name+".yaml"] = configMap(name)
	}
	_, server := served(t, files)
	repository, err := source.Open(source.Options{URL: server.URL("workloads"), Path: "prod", Dir: t.TempDir(), AllowInsecure: true})
	must(t, err)
	t.Cleanup(func() { must(t, repository.Close()) })
	q := c.newQuiet(t, ns, 100*time.Millisecond, repository.Fetch)
	q.start(t)
	q.until(ctx, t, (*reconcile.Result).Ready)
	q.take()
	server.Forget()
	const polls = 150
	for range polls {
		q.until(ctx, t, func(r *reconcile.Result) bool { return r.Fetched })
	}
	if sent := q.take(); len(sent) > 0 {
		t.Errorf("%d polls sent %v to the API server", polls, sent)
	}
	if asked := len(server.Requests()); len(server.Fetches()) > 0 || asked < polls || asked > polls+1 {
		t.Errorf("%d polls asked Git %d times, %d of them for objects", polls, asked, len(server.Fetches()))
	}
}
