package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/internal/await"
	"kilter.dev/kilter/reconcile/inventory"
)

// exists creates a Job as somebody else does, by their tool's name.
func (j *jobs) exists(ctx context.Context, t *testing.T, job jobText, manager string) {
	t.Helper()
	var typed batchv1.Job
	must(t, yaml.UnmarshalStrict([]byte(job.String()), &typed))
	typed.Annotations = map[string]string{inventory.LastAppliedAnnotation: "{}"}
	_, err := j.BatchV1().Jobs(j.namespace).Create(ctx, &typed, metav1.CreateOptions{FieldManager: manager})
	must(t, err)
}

// TestAdoptedJob has Git want a Job that exists and that nobody keeps. The same template counts as a run; another one runs again, as soon as the
// run that goes on has finished. The plan says which.
func TestAdoptedJob(t *testing.T) {
	t.Parallel()
	wanted := jobText{name: "migrate", image: "migrate:2"}
	other := jobText{name: "migrate", image: "migrate:1"}
	working := jobText{name: "migrate", image: "migrate:1", lasts: "3s"}
	for _, manager := range []string{"kubectl-client-side-apply", "somebody"} {
		for _, c := range []struct {
			name     string
			existing jobText
			finished bool
			asked    bool
			plan     string
			ran      int
			records  []string
		}{
			{"the same", wanted, true, false, "exists already", 1, []string{"migrate-1 Complete"}},
			{"another that has finished", other, true, false, "exists already…template changed, it will run again", 2, []string{"migrate-1 Complete", "migrate-2 Complete"}},
			{
				"another at work", working, false, false, "template changed, it will run again when the run that goes on has finished", 2,
				[]string{"migrate-1 Complete", "migrate-2 Complete"},
			},
			{"the same, and asked for", wanted, true, true, "exists already…it runs again, asked for by JobRun please", 2, []string{"migrate-1 Complete", "please Complete"}},
		} {
			t.Run(c.name+" by "+manager, func(t *testing.T) {
				t.Parallel()
				ctx, cluster := newCluster(t)
				j := cluster.watchJobs(t, cluster.namespace(t, "adopt"))
				_, url := repository(t, fstest.MapFS{"prod/migrate.yaml": wanted.file(), "prod/after.yaml": afterJob(j.namespace + "/migrate")})
				j.sync = syncFile(t, j.namespace, url, "")
				j.exists(ctx, t, c.existing, manager)
				if c.finished {
					must(t, second(await.Until(ctx, j.job("migrate"), func(job *batchv1.Job) bool { return job.Status.Succeeded == 1 })))
				}
				if c.asked {
					j.ask(ctx, t, "please")
				}
				j.plans(ctx, t, strings.Split(c.plan, "…")...)
				j.once(ctx, t, 0)
				j.ran(t, "migrate", c.ran)
				j.records(ctx, t, c.records...)
				j.once(ctx, t, 0)
				j.ran(t, "migrate", c.ran)
				must(t, second(j.CoreV1().ConfigMaps(j.namespace).Get(ctx, "after", metav1.GetOptions{})))
			})
		}
	}
}

// ask asks for a run, as kubectl create does.
func (j *jobs) ask(ctx context.Context, t *testing.T, name string) {
	t.Helper()
	record := j.record(t, name)
	crds, err := v1alpha1.CRDs.ReadFile("crds/kilter.dev_jobruns.yaml")
	must(t, err)
	body, err := yaml.YAMLToJSON(crds)
	must(t, err)
	kind := j.dynamic.Resource(crdResource)
	_, err = kind.Patch(ctx, "jobruns.kilter.dev", types.ApplyPatchType, body, metav1.PatchOptions{FieldManager: "somebody", Force: ptr.To(true)})
	must(t, err)
	j.established(ctx, t, "jobruns.kilter.dev")
	text := fmt.Appendf(nil, `{"apiVersion":"kilter.dev/v1alpha1","kind":"JobRun","metadata":{"name":%q},"spec":{"sync":"%s/e2e","job":"migrate"}}`, name, j.namespace)
	must(t, record.Client.Post().Namespace(j.namespace).Resource(record.Resource).Body(text).SetHeader("Content-Type", "application/json").
		Do(ctx).Error())
}

var crdResource = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

// TestJobOfAnotherSync has two Syncs want the same Job. The second one never takes the first one's runs for its own, and takes the Job over once
// it is set free.
func TestJobOfAnotherSync(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	j := c.watchJobs(t, c.namespace(t, "moved"))
	_, url := repository(t, fstest.MapFS{
		"prod/migrate.yaml": jobText{name: "migrate", lasts: "3s"}.file(), "prod/own.yaml": jobText{name: "own"}.file(),
	})
	j.sync = syncFile(t, j.namespace, url, "")
	_, otherURL := repository(t, fstest.MapFS{"prod/migrate.yaml": jobText{name: "migrate", lasts: "3s"}.file(), "prod/after.yaml": afterJob(j.namespace + "/migrate")})
	rivals := syncFile(t, j.namespace, otherURL, "")
	content, err := os.ReadFile(rivals)
	must(t, err)
	must(t, os.WriteFile(rivals, bytes.Replace(content, []byte("name: e2e"), []byte("name: other"), 1), 0o600))

	run := j.loop(t)
	j.active(ctx, t)
	rival := kilter(t, "run", "-f", rivals, "--kubeconfig", c.kubeconfig, "--allow-insecure-git")
	line(ctx, t, rival, "failed", "Job "+j.namespace+"/migrate", "it belongs to ConfigMap "+j.namespace+"/kilter-e2e")
	j.run(ctx, t, "migrate-1", v1alpha1.RunComplete)
	must(t, run.Stop(patience))
	rival.Kill()
	once(ctx, t, 1, "run", "-f", rivals, "--once", "--kubeconfig", c.kubeconfig, "--allow-insecure-git")
	if _, err := c.CoreV1().ConfigMaps(j.namespace).Get(ctx, "after", metav1.GetOptions{}); err == nil {
		t.Error("the first Sync's run counts as one of the second")
	}
	j.records(ctx, t, "migrate-1 Complete", "own-1 Complete")

	_, err = c.BatchV1().Jobs(j.namespace).Patch(ctx, "migrate", types.MergePatchType,
		fmt.Appendf(nil, `{"metadata":{"labels":{%q:null}}}`, inventory.PartOfLabel), metav1.PatchOptions{})
	must(t, err)
	once(ctx, t, 0, "run", "-f", rivals, "--once", "--kubeconfig", c.kubeconfig, "--allow-insecure-git")
	j.ran(t, "migrate", 1)
	j.records(ctx, t, "migrate-1 Complete", "migrate-2 Complete", "own-1 Complete")
}

// TestHistoryLimit keeps as many runs of each Job as it asks for. What leaves Git leaves no record, and another Sync's stay.
func TestHistoryLimit(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	j := c.watchJobs(t, c.namespace(t, "history"))
	job := jobText{name: "migrate", annotations: `kilter.dev/history-limit: "2"`}
	repo, url := repository(t, fstest.MapFS{"prod/migrate.yaml": job.file(), "prod/other.yaml": configMap("other")})
	_, otherURL := repository(t, fstest.MapFS{"prod/theirs.yaml": jobText{name: "theirs"}.file()})
	other := syncFile(t, j.namespace, otherURL, "")
	content, err := os.ReadFile(other)
	must(t, err)
	must(t, os.WriteFile(other, bytes.Replace(content, []byte("name: e2e"), []byte("name: other"), 1), 0o600))
	once(ctx, t, 0, "run", "-f", other, "--once", "--kubeconfig", c.kubeconfig, "--allow-insecure-git")
	j.sync = syncFile(t, j.namespace, url, "")
	for n := range 4 {
		job.image = fmt.Sprintf("migrate:%d", n)
		must(t, repo.Write("prod/migrate.yaml", job.String()))
		push(t, repo)
		j.once(ctx, t, 0)
	}
	j.once(ctx, t, 0)
	j.ran(t, "migrate", 4)
	j.records(ctx, t, "migrate-3 Complete", "migrate-4 Complete", "theirs-1 Complete")
	must(t, repo.Remove("prod/migrate.yaml"))
	push(t, repo)
	j.once(ctx, t, 0)
	j.gone(ctx, t)
	j.once(ctx, t, 0)
	j.records(ctx, t, "theirs-1 Complete")
}

// TestSuspendedJob has Git suspend a Job from its creation on: it is where it should be, what depends on it waits, and Git resumes it.
func TestSuspendedJob(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	j := c.watchJobs(t, c.namespace(t, "suspended"))
	job := jobText{name: "migrate", spec: "suspend: true"}
	repo, url := repository(t, fstest.MapFS{"prod/migrate.yaml": job.file(), "prod/after.yaml": afterJob(j.namespace + "/migrate")})
	j.sync = syncFile(t, j.namespace, url, "")
	run := j.loop(t)
	line(ctx, t, run, "created", "Job "+j.namespace+"/migrate")
	must(t, second(await.Until(ctx, j.job("migrate"), func(job *batchv1.Job) bool { return len(job.Status.Conditions) > 0 })))
	run.Kill()
	run = j.loop(t)
	line(ctx, t, run, "DependencyNotReady", "waits for Job "+j.namespace+"/migrate: suspended until somebody resumes it")
	if live, err := j.BatchV1().Jobs(j.namespace).Get(ctx, "migrate", metav1.GetOptions{}); err != nil || live.Status.StartTime != nil {
		t.Errorf("%v, %+v", err, live.Status)
	}
	job.spec = "suspend: false"
	must(t, repo.Write("prod/migrate.yaml", job.String()))
	push(t, repo)
	line(ctx, t, run, "created", "ConfigMap "+j.namespace+"/after")
	must(t, run.Stop(patience))
	j.once(ctx, t, 0)
	j.ran(t, "migrate", 1)
	j.records(ctx, t, "migrate-1 Complete")
}

// TestQueuedJob stands in for Kueue: the Job is in a queue, which decides when it is suspended. Kilter leaves spec.suspend to it, and every other
// field follows Git.
func TestQueuedJob(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	j := c.watchJobs(t, c.namespace(t, "queue"))
	text := strings.Replace(jobText{name: "train", spec: "suspend: true"}.String(),
		"metadata: {name: train,", "metadata: {name: train, labels: {kueue.x-k8s.io/queue-name: user-queue},", 1)
	repo, url := repository(t, fstest.MapFS{"prod/train.yaml": file(text)})
	j.sync = syncFile(t, j.namespace, url, "")
	run := j.loop(t)
	line(ctx, t, run, "1 object: 1 current")
	admit := func(suspend bool) {
		t.Helper()
		_, err := j.BatchV1().Jobs(j.namespace).Patch(ctx, "train", types.MergePatchType, fmt.Appendf(nil, `{"spec":{"suspend":%t}}`, suspend),
			metav1.PatchOptions{FieldManager: "kueue"})
		must(t, err)
	}
	admit(false)
	line(ctx, t, run, "updated", "Job "+j.namespace+"/train", "a queue has taken over spec.suspend")
	j.run(ctx, t, "train-1", v1alpha1.RunComplete)
	must(t, repo.Write("prod/train.yaml", strings.Replace(text, "backoffLimit: 0", "backoffLimit: 2", 1)))
	push(t, repo)
	must(t, second(await.Until(ctx, j.job("train"), func(job *batchv1.Job) bool { return *job.Spec.BackoffLimit == 2 && !*job.Spec.Suspend })))
	must(t, run.Stop(patience))
	j.once(ctx, t, 0)
	j.ran(t, "train", 1)
	if strings.Contains(run.Output(), "changed by somebody else") {
		t.Error("Kilter fought the queue")
	}
}

// TestJobManagedByOthers has another controller run a Job, and tell its outcome.
func TestJobManagedByOthers(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	j := c.watchJobs(t, c.namespace(t, "managed"))
	_, url := repository(t, fstest.MapFS{
		"prod/far.yaml": jobText{name: "far", spec: "managedBy: example.com/far"}.file(), "prod/after.yaml": afterJob(j.namespace + "/far"),
	})
	j.sync = syncFile(t, j.namespace, url, "")
	run := j.loop(t)
	line(ctx, t, run, "created", "Job "+j.namespace+"/far")
	run.Kill()
	run = j.loop(t)
	line(ctx, t, run, "DependencyNotReady", "its controller has not started it yet")
	for _, status := range []string{
		`"startTime":"2026-01-02T03:04:05Z","active":1`,
		`"active":0,"succeeded":1,"completionTime":"2026-01-02T03:05:05Z","uncountedTerminatedPods":{},"conditions":[` +
			`{"type":"SuccessCriteriaMet","status":"True","reason":"Done"},{"type":"Complete","status":"True","lastTransitionTime":"2026-01-02T03:05:05Z"}]`,
	} {
		_, err := j.BatchV1().Jobs(j.namespace).Patch(ctx, "far", types.MergePatchType, []byte(`{"status":{`+status+`}}`),
			metav1.PatchOptions{FieldManager: "far"}, "status")
		must(t, err)
	}
	line(ctx, t, run, "created", "ConfigMap "+j.namespace+"/after")
	found := j.run(ctx, t, "far-1", v1alpha1.RunComplete)
	if s := found.Status; s.Succeeded != 1 || s.StartTime.UTC().Format("15:04:05") != "03:04:05" || s.CompletionTime.UTC().Format("15:04:05") != "03:05:05" {
		t.Errorf("the record says %+v", s)
	}
}
