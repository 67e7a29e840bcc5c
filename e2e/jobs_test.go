package e2e

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/internal/await"
	"kilter.dev/kilter/internal/process"
)

// jobText is the manifest of a Job. Its pods are played by the dev cluster: for how long, and with which exit code.
type jobText struct {
	name        string
	image       string
	annotations string // of the Job, as YAML: "a: b, c: d"
	after       string // the Job that it depends on, "NAMESPACE/NAME"
	spec        string // more of its spec: "ttlSecondsAfterFinished: 0, suspend: true"
	lasts       string // a Go duration
	exits       int
}

func (j jobText) String() string {
	annotations := j.annotations
	if j.after != "" {
		annotations = strings.TrimPrefix(annotations+", "+dependsOnJob(j.after), ", ")
	}
	spec := j.spec
	if spec != "" {
		spec += ", "
	}
	played := fmt.Sprintf(`devcluster.kilter.dev/exit-code: "%d"`, j.exits)
	if j.lasts != "" {
		played += ", devcluster.kilter.dev/duration: " + j.lasts
	}
	return fmt.Sprintf(`apiVersion: batch/v1
kind: Job
metadata: {name: %s, annotations: {%s}}
spec: {%sbackoffLimit: 0, template: {metadata: {annotations: {%s}}, spec: {restartPolicy: Never, containers: [{name: main, image: %q}]}}}
`, j.name, annotations, spec, played, cmp.Or(j.image, "migrate:1"))
}

func (j jobText) file() *fstest.MapFile { return file(j.String()) }

func dependsOnJob(names ...string) string {
	references := make([]string, len(names))
	for i, name := range names {
		namespace, job, _ := strings.Cut(name, "/")
		references[i] = "batch/namespaces/" + namespace + "/Job/" + job
	}
	return fmt.Sprintf("config.kubernetes.io/depends-on: %q", strings.Join(references, ","))
}

// afterJob is the ConfigMap "after", which waits for Jobs, each "NAMESPACE/NAME".
func afterJob(jobs ...string) *fstest.MapFile {
	return file(fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: after, annotations: {%s}}\n", dependsOnJob(jobs...)))
}

// jobs is what a test sees of the Jobs of its namespace.
type jobs struct {
	*cluster
	namespace string
	sync      string

	mu   sync.Mutex
	seen map[types.UID]*batchv1.Job // as it was seen last
}

// watchJobs keeps every Job that there ever is in a namespace, so that none can come and go unseen.
func (c *cluster) watchJobs(t *testing.T, namespace string) *jobs {
	t.Helper()
	j := &jobs{cluster: c, namespace: namespace, seen: map[types.UID]*batchv1.Job{}}
	events, err := c.BatchV1().Jobs(namespace).Watch(t.Context(), metav1.ListOptions{})
	must(t, err)
	t.Cleanup(events.Stop)
	go func() {
		for event := range events.ResultChan() {
			if job, ok := event.Object.(*batchv1.Job); ok && event.Type != watch.Error {
				j.mu.Lock()
				j.seen[job.UID] = job
				j.mu.Unlock()
			}
		}
	}()
	return j
}

// ran wants a Job to have been created so many times.
func (j *jobs) ran(t *testing.T, name string, want int) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for _, job := range j.seen {
		if job.Name == name {
			n++
		}
	}
	if n != want {
		t.Errorf("there were %d Jobs %s, want %d", n, name, want)
	}
}

func (j *jobs) job(name string) await.Object {
	return await.Object{Client: j.BatchV1().RESTClient(), Resource: "jobs", Namespace: j.namespace, Name: name}
}

// run waits until a run has come to an outcome, and returns its record.
func (j *jobs) run(ctx context.Context, t *testing.T, record string, outcome v1alpha1.JobRunOutcome) *v1alpha1.JobRun {
	t.Helper()
	found, err := await.Until(ctx, j.record(t, record), func(r *v1alpha1.JobRun) bool { return r.Status.Outcome != "" })
	must(t, err)
	if found.Status.Outcome != outcome {
		t.Errorf("run %s came to %+v, want %s", record, found.Status, outcome)
	}
	return found
}

func (j *jobs) record(t *testing.T, name string) await.Object {
	t.Helper()
	scheme := runtime.NewScheme()
	scheme.AddKnownTypes(v1alpha1.GroupVersion, &v1alpha1.JobRun{}, &v1alpha1.JobRunList{})
	metav1.AddToGroupVersion(scheme, v1alpha1.GroupVersion)
	client := j.restClient(t, scheme, v1alpha1.GroupVersion)
	return await.Object{Client: client, Resource: v1alpha1.JobRunResource, Namespace: j.namespace, Name: name}
}

// records wants exactly these records: "migrate-1 Complete", sorted.
func (j *jobs) records(ctx context.Context, t *testing.T, want ...string) {
	t.Helper()
	list, err := j.dynamic.Resource(v1alpha1.GroupVersion.WithResource(v1alpha1.JobRunResource)).Namespace(j.namespace).List(ctx, metav1.ListOptions{})
	must(t, err)
	var got []string
	for _, item := range list.Items {
		var run v1alpha1.JobRun
		must(t, runtime.DefaultUnstructuredConverter.FromUnstructured(item.Object, &run))
		got = append(got, strings.TrimSpace(run.Name+" "+string(run.Status.Outcome)))
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("on record are %q, want %q", got, want)
	}
}

// gone waits until there is no Job "migrate".
func (j *jobs) gone(ctx context.Context, t *testing.T) {
	t.Helper()
	must(t, await.Gone[batchv1.Job](ctx, j.job("migrate")))
}

// active waits until the Job "migrate" runs.
func (j *jobs) active(ctx context.Context, t *testing.T) *batchv1.Job {
	t.Helper()
	found, err := await.Until(ctx, j.job("migrate"), func(job *batchv1.Job) bool { return job.Status.Active > 0 && job.DeletionTimestamp == nil })
	must(t, err)
	return found
}

func (j *jobs) loop(t *testing.T) *process.Process {
	t.Helper()
	return kilter(t, "run", "-f", j.sync, "--kubeconfig", j.kubeconfig, "--allow-insecure-git")
}

func (j *jobs) once(ctx context.Context, t *testing.T, code int) {
	t.Helper()
	once(ctx, t, code, "run", "-f", j.sync, "--once", "--kubeconfig", j.kubeconfig, "--allow-insecure-git")
}

// asks runs a reading verb, and wants texts in what it prints.
func (j *jobs) asks(ctx context.Context, t *testing.T, verb []string, texts ...string) {
	t.Helper()
	p := kilter(t, append(verb, "--kubeconfig", j.kubeconfig)...)
	must(t, second(p.Wait(ctx)))
	for _, text := range texts {
		if !strings.Contains(p.Output(), text) {
			t.Errorf("kilter %v does not say %q:\n%s", verb, text, p.Output())
		}
	}
}

func (j *jobs) plans(ctx context.Context, t *testing.T, texts ...string) {
	t.Helper()
	j.asks(ctx, t, []string{"plan", "-f", j.sync, "--allow-insecure-git"}, texts...)
}

// TestJobThatItsTTLDeleted makes passes over a migration that its TTL has deleted, for other objects, after a restart and after SIGKILL: it is
// not run again, and what depends on it goes ahead.
func TestJobThatItsTTLDeleted(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	j := c.watchJobs(t, c.namespace(t, "ttl"))
	repo, url := repository(t, fstest.MapFS{
		"prod/migrate.yaml": jobText{name: "migrate", spec: "ttlSecondsAfterFinished: 0"}.file(),
		"prod/after.yaml":   afterJob(j.namespace + "/migrate"), "prod/other.yaml": configMap("other"),
	})
	j.sync = syncFile(t, j.namespace, url, "  maxPrune: \"100%\"\n")
	run := j.loop(t)
	line(ctx, t, run, "created", "ConfigMap "+j.namespace+"/after")
	j.run(ctx, t, "migrate-1", v1alpha1.RunComplete)
	j.gone(ctx, t)
	change := func(run *process.Process, n int) {
		t.Helper()
		must(t, repo.Write("prod/other.yaml", fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\ndata: {key: %q}\n", fmt.Sprint(n))))
		must(t, repo.Write("prod/new.yaml", fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: new-%d, annotations: {%s}}\n", n,
			dependsOnJob(j.namespace+"/migrate"))))
		push(t, repo)
		line(ctx, t, run, "created", fmt.Sprintf("ConfigMap %s/new-%d", j.namespace, n))
	}
	for n := range 5 {
		change(run, n)
	}
	run.Kill()
	run = j.loop(t)
	for n := 5; n < 10; n++ {
		change(run, n)
	}
	must(t, run.Stop(patience))
	j.once(ctx, t, 0)
	j.ran(t, "migrate", 1)
	j.records(ctx, t, "migrate-1 Complete")

	// It leaves Git with what depends on it, and its record goes, although there is no Job to prune.
	must(t, repo.Remove("prod/migrate.yaml"))
	must(t, repo.Remove("prod/new.yaml"))
	must(t, repo.Remove("prod/after.yaml"))
	push(t, repo)
	j.once(ctx, t, 0)
	j.records(ctx, t)
}
