package e2e

import (
	"strings"
	"testing"
	"testing/fstest"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/watch"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/internal/await"
	"kilter.dev/kilter/internal/gitserver"
)

// TestFailedJob leaves a failed run alone, over passes, restarts and its TTL, until somebody asks for one more, or Git changes it. Its dependents
// are blocked meanwhile, and status, plan and tree say so.
func TestFailedJob(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, spec string }{{"kept", ""}, {"deleted by its TTL", "ttlSecondsAfterFinished: 0"}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx, cluster := newCluster(t)
			j := cluster.watchJobs(t, cluster.namespace(t, "failed"))
			failing := jobText{name: "migrate", spec: c.spec, exits: 3}
			repo, url := repository(t, fstest.MapFS{
				"prod/migrate.yaml": failing.file(), "prod/after.yaml": afterJob(j.namespace + "/migrate"), "prod/other.yaml": configMap("other"),
			})
			j.sync = syncFile(t, j.namespace, url, "")
			j.once(ctx, t, 1)
			if found := j.run(ctx, t, "migrate-1", v1alpha1.RunFailed); found.Status.Reason != "BackoffLimitExceeded" || found.Status.Failed != 1 {
				t.Errorf("the record says %+v", found.Status)
			}
			if c.spec != "" {
				j.gone(ctx, t)
			}
			for _, value := range []string{"a", "b", "c"} {
				must(t, repo.Write("prod/other.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\ndata: {key: "+value+"}\n"))
				push(t, repo)
				j.once(ctx, t, 1)
			}
			j.ran(t, "migrate", 1)
			p := kilter(t, "run", "-f", j.sync, "--once", "--kubeconfig", j.kubeconfig, "--allow-insecure-git")
			line(ctx, t, p, "waits", "ConfigMap "+j.namespace+"/after", "for Job "+j.namespace+"/migrate")
			line(ctx, t, p, "HealthCheckFailed", "prod/migrate.yaml:1:1: Job "+j.namespace+"/migrate", "failed (BackoffLimitExceeded)")
			must(t, second(p.Wait(ctx)))
			j.asks(ctx, t, []string{"get", "jobs", "-n", j.namespace}, "Failed")
			j.asks(ctx, t, []string{"tree", "e2e", "-n", j.namespace}, "migrate", "Failed")

			once(ctx, t, 0, "rerun", "job/migrate", "-n", j.namespace, "--kubeconfig", j.kubeconfig)
			j.plans(ctx, t, "Job "+j.namespace+"/migrate", "asked for by JobRun migrate-2")
			j.once(ctx, t, 1)
			j.run(ctx, t, "migrate-2", v1alpha1.RunFailed)
			j.once(ctx, t, 1)
			j.ran(t, "migrate", 2)

			failing.exits = 0
			must(t, repo.Write("prod/migrate.yaml", failing.String()))
			push(t, repo)
			j.once(ctx, t, 0)
			must(t, second(cluster.CoreV1().ConfigMaps(j.namespace).Get(ctx, "after", metav1.GetOptions{})))
			j.ran(t, "migrate", 3)
			j.records(ctx, t, "migrate-1 Failed", "migrate-2 Failed", "migrate-3 Complete")
		})
	}
}

// TestJobChangesWhileItRuns edits a Job that runs.
func TestJobChangesWhileItRuns(t *testing.T) {
	t.Parallel()
	first := jobText{name: "migrate", lasts: "4s"}
	other := jobText{name: "migrate", image: "migrate:2"}
	third := jobText{name: "migrate", image: "migrate:3"}
	write := func(t *testing.T, repo *gitserver.Repo, job jobText) {
		t.Helper()
		must(t, repo.Write("prod/migrate.yaml", job.String()))
		push(t, repo)
	}
	begin := func(t *testing.T, job jobText) (*jobs, *gitserver.Repo) {
		t.Helper()
		_, c := newCluster(t)
		j := c.watchJobs(t, c.namespace(t, "edit"))
		repo, url := repository(t, fstest.MapFS{"prod/migrate.yaml": job.file()})
		j.sync = syncFile(t, j.namespace, url, "")
		return j, repo
	}

	t.Run("a second edit during the wait", func(t *testing.T) {
		t.Parallel()
		ctx, _ := newCluster(t)
		j, repo := begin(t, first)
		run := j.loop(t)
		j.active(ctx, t)
		write(t, repo, other)
		j.plans(ctx, t, "template changed, it will run again when the run that goes on has finished")
		write(t, repo, third)
		j.run(ctx, t, "migrate-1", v1alpha1.RunComplete)
		j.run(ctx, t, "migrate-2", v1alpha1.RunComplete)
		must(t, run.Stop(patience))
		j.once(ctx, t, 0)
		j.ran(t, "migrate", 2)
		j.records(ctx, t, "migrate-1 Complete", "migrate-2 Complete")
		job, err := j.BatchV1().Jobs(j.namespace).Get(ctx, "migrate", metav1.GetOptions{})
		must(t, err)
		if image := job.Spec.Template.Spec.Containers[0].Image; image != "migrate:3" {
			t.Errorf("the second run was of %s", image)
		}
	})
	t.Run("taken back during the wait", func(t *testing.T) {
		t.Parallel()
		ctx, _ := newCluster(t)
		j, repo := begin(t, first)
		run := j.loop(t)
		j.active(ctx, t)
		write(t, repo, other)
		write(t, repo, first)
		j.run(ctx, t, "migrate-1", v1alpha1.RunComplete)
		must(t, run.Stop(patience))
		j.once(ctx, t, 0)
		j.ran(t, "migrate", 1)
		j.records(ctx, t, "migrate-1 Complete")
	})
	t.Run("a field that may change", func(t *testing.T) {
		t.Parallel()
		ctx, _ := newCluster(t)
		j, repo := begin(t, first)
		run := j.loop(t)
		before := j.active(ctx, t)
		changed := first
		changed.spec = "activeDeadlineSeconds: 77, ttlSecondsAfterFinished: 1000"
		write(t, repo, changed)
		must(t, second(await.Until(ctx, j.job("migrate"), func(job *batchv1.Job) bool {
			return job.UID == before.UID && job.Spec.ActiveDeadlineSeconds != nil && *job.Spec.ActiveDeadlineSeconds == 77 && job.Status.Active == 1
		})))
		j.run(ctx, t, "migrate-1", v1alpha1.RunComplete)
		must(t, run.Stop(patience))
		j.once(ctx, t, 0)
		j.ran(t, "migrate", 1)
	})
	t.Run("replaced immediately", func(t *testing.T) {
		t.Parallel()
		ctx, c := newCluster(t)
		long := jobText{name: "migrate", lasts: "10m", annotations: "kilter.dev/replace: immediately"}
		j, repo := begin(t, long)
		pods, err := c.CoreV1().Pods(j.namespace).Watch(ctx, metav1.ListOptions{})
		must(t, err)
		defer pods.Stop()
		run := j.loop(t)
		old := j.active(ctx, t)
		long.image, long.lasts = "migrate:2", ""
		write(t, repo, long)
		if replaced := j.run(ctx, t, "migrate-1", v1alpha1.RunReplaced); !strings.Contains(replaced.Status.Message, "make way") {
			t.Errorf("the record says %+v", replaced.Status)
		}
		j.run(ctx, t, "migrate-2", v1alpha1.RunComplete)
		for gone := false; ; { // no pod of the new run before the last of the old one is gone
			event := <-pods.ResultChan()
			pod := event.Object.(*corev1.Pod)
			of := metav1.GetControllerOf(pod).UID
			if gone = gone || of == old.UID && event.Type == watch.Deleted; of != old.UID {
				if !gone {
					t.Error("the pods of both runs were there together")
				}
				break
			}
		}
		must(t, run.Stop(patience))
		j.once(ctx, t, 0)
		j.ran(t, "migrate", 2)
	})
}

// rolled is a Deployment that comes after a Job.
func rolled(image, job string) string {
	return `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, annotations: {` + dependsOnJob(job) + `}}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: "` + image + `"}]}}
`
}

// TestMigrateThenRollOut changes a migration and the Deployment that depends on it in one commit, several times: the Deployment is not touched before
// the new run is Complete; a run that fails leaves the old Deployment as it is.
func TestMigrateThenRollOut(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	j := c.watchJobs(t, c.namespace(t, "migrate"))
	job := j.namespace + "/migrate"
	repo, url := repository(t, fstest.MapFS{
		"prod/migrate.yaml": jobText{name: "migrate", image: "migrate:1"}.file(), "prod/web.yaml": file(rolled("web:1", job)),
	})
	j.sync = syncFile(t, j.namespace, url, "")
	deployments, err := c.AppsV1().Deployments(j.namespace).Watch(ctx, metav1.ListOptions{})
	must(t, err)
	defer deployments.Stop()
	migrations, err := c.BatchV1().Jobs(j.namespace).Watch(ctx, metav1.ListOptions{})
	must(t, err)
	defer migrations.Stop()
	j.once(ctx, t, 0)

	commit := func(migrate jobText, image string) {
		t.Helper()
		must(t, repo.Write("prod/migrate.yaml", migrate.String()))
		must(t, repo.Write("prod/web.yaml", rolled(image, job)))
		push(t, repo)
	}
	commit(jobText{name: "migrate", image: "migrate:2", exits: 1, lasts: "1s"}, "web:2")
	j.once(ctx, t, 1)
	j.once(ctx, t, 1)
	web, err := c.AppsV1().Deployments(j.namespace).Get(ctx, "web", metav1.GetOptions{})
	must(t, err)
	if image := web.Spec.Template.Spec.Containers[0].Image; image != "web:1" {
		t.Errorf("the migration has failed, and the Deployment runs %s", image)
	}
	commit(jobText{name: "migrate", image: "migrate:3", lasts: "1s"}, "web:3")
	j.once(ctx, t, 0)
	j.records(ctx, t, "migrate-1 Complete", "migrate-2 Failed", "migrate-3 Complete")

	// Every write has its place in one order.
	complete := map[string]string{}
	for complete["migrate:3"] == "" {
		m := (<-migrations.ResultChan()).Object.(*batchv1.Job)
		for _, condition := range m.Status.Conditions {
			if image := m.Spec.Template.Spec.Containers[0].Image; condition.Type == batchv1.JobComplete && complete[image] == "" {
				complete[image] = m.ResourceVersion
			}
		}
	}
	for seen := ""; seen != "web:3"; {
		d := (<-deployments.ResultChan()).Object.(*appsv1.Deployment)
		image := d.Spec.Template.Spec.Containers[0].Image
		if image == seen {
			continue
		}
		seen = image
		at := complete[strings.Replace(image, "web", "migrate", 1)]
		if order, err := resourceversion.CompareResourceVersion(at, d.ResourceVersion); err != nil || order >= 0 {
			t.Errorf("%s was rolled out at %s, its migration was complete at %q (%v)", image, d.ResourceVersion, at, err)
		}
	}
}

// TestJobsThatDependOnJobs runs a chain, a fan-out and a fan-in: each Job begins when those before it are Complete, TTL or not, and a failed one
// holds up what comes after it, and nothing else.
func TestJobsThatDependOnJobs(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	j := c.watchJobs(t, c.namespace(t, "graph"))
	at := func(names ...string) string {
		for i := range names {
			names[i] = j.namespace + "/" + names[i]
		}
		return dependsOnJob(names...)
	}
	broken := jobText{name: "right", annotations: at("load"), exits: 1}
	repo, url := repository(t, fstest.MapFS{
		"prod/load.yaml":  jobText{name: "load", spec: "ttlSecondsAfterFinished: 0"}.file(),
		"prod/left.yaml":  jobText{name: "left", annotations: at("load"), spec: "ttlSecondsAfterFinished: 0"}.file(),
		"prod/right.yaml": broken.file(),
		"prod/join.yaml":  jobText{name: "join", annotations: at("left", "right")}.file(),
		"prod/last.yaml":  jobText{name: "last", annotations: at("join")}.file(),
		"prod/side.yaml":  jobText{name: "side", annotations: at("left")}.file(),
	})
	j.sync = syncFile(t, j.namespace, url, "")
	j.once(ctx, t, 1)
	j.records(ctx, t, "left-1 Complete", "load-1 Complete", "right-1 Failed", "side-1 Complete")
	broken.exits = 0
	must(t, repo.Write("prod/right.yaml", broken.String()))
	push(t, repo)
	j.once(ctx, t, 0)
	j.records(ctx, t, "join-1 Complete", "last-1 Complete", "left-1 Complete", "load-1 Complete", "right-1 Failed", "right-2 Complete", "side-1 Complete")

	var before *metav1.Time
	for _, name := range []string{"load-1", "left-1", "right-2", "join-1", "last-1"} {
		found := j.run(ctx, t, name, v1alpha1.RunComplete)
		if before != nil && found.Status.StartTime.Before(before) {
			t.Errorf("%s began at %s, before %s", name, found.Status.StartTime, before)
		}
		if name != "left-1" { // whose sibling began beside it
			before = found.Status.CompletionTime
		}
	}
}
