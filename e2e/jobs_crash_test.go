package e2e

import (
	"testing"
	"testing/fstest"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kilter.dev/kilter/api/v1alpha1"
)

// TestJobDeletedUnwatched has somebody delete a Job that runs while no Kilter does. Its events tell that it had not finished, so it runs again,
// as it does when Kilter watches; where its TTL may have deleted it, nothing is run twice by guess.
func TestJobDeletedUnwatched(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, spec string
		code, ran  int
		records    []string
	}{
		{"without a TTL", "", 0, 2, []string{"migrate-1 Deleted", "migrate-2 Complete"}},
		{"before its TTL", "ttlSecondsAfterFinished: 3600", 0, 2, []string{"migrate-1 Deleted", "migrate-2 Complete"}},
		{"maybe by its TTL", "ttlSecondsAfterFinished: 0", 1, 1, []string{"migrate-1 Unknown"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx, cluster := newCluster(t)
			j := cluster.watchJobs(t, cluster.namespace(t, "deleted"))
			working := jobText{name: "migrate", lasts: "10s", spec: c.spec}
			_, url := repository(t, fstest.MapFS{"prod/migrate.yaml": working.file()})
			j.sync = syncFile(t, j.namespace, url, "")
			run := j.loop(t)
			j.active(ctx, t)
			run.Kill()
			background := metav1.DeletePropagationBackground
			must(t, j.BatchV1().Jobs(j.namespace).Delete(ctx, "migrate", metav1.DeleteOptions{PropagationPolicy: &background}))
			j.gone(ctx, t)
			j.once(ctx, t, c.code)
			j.ran(t, "migrate", c.ran)
			j.records(ctx, t, c.records...)
		})
	}
}

// TestJobEndsUnwatched lets a Job end, and its TTL delete it, while nobody watches: no Kilter runs, or it is cut off from the cluster. Events
// tell how it ended. It does not run again, and its dependents go ahead, or are blocked for the reason that the run had.
func TestJobEndsUnwatched(t *testing.T) {
	t.Parallel()
	for _, ending := range []struct {
		name    string
		exits   int
		outcome v1alpha1.JobRunOutcome
		code    int
	}{
		{"complete", 0, v1alpha1.RunComplete, 0},
		{"failed", 1, v1alpha1.RunFailed, 1},
	} {
		files := func(j *jobs) fstest.MapFS {
			return fstest.MapFS{
				"prod/migrate.yaml": jobText{name: "migrate", spec: "ttlSecondsAfterFinished: 0", lasts: "2s", exits: ending.exits}.file(),
				"prod/after.yaml":   afterJob(j.namespace + "/migrate"),
			}
		}
		t.Run(ending.name+" while killed", func(t *testing.T) {
			t.Parallel()
			ctx, c := newCluster(t)
			j := c.watchJobs(t, c.namespace(t, "unwatched"))
			_, url := repository(t, files(j))
			j.sync = syncFile(t, j.namespace, url, "")
			run := j.loop(t)
			j.active(ctx, t)
			run.Kill()
			j.gone(ctx, t)
			j.once(ctx, t, ending.code)
			found := j.run(ctx, t, "migrate-1", ending.outcome)
			if ending.exits != 0 && found.Status.Reason != "BackoffLimitExceeded" {
				t.Errorf("the record says %+v", found.Status)
			}
			j.once(ctx, t, ending.code)
			j.ran(t, "migrate", 1)
			j.records(ctx, t, "migrate-1 "+string(ending.outcome))
		})
		t.Run(ending.name+" while cut off", func(t *testing.T) {
			t.Parallel()
			ctx, c := newCluster(t)
			j := c.watchJobs(t, c.namespace(t, "unwatched"))
			_, url := repository(t, files(j))
			j.sync = syncFile(t, j.namespace, url, "")
			way := newProxy(t, c.config.Host)
			run := kilter(t, "run", "-f", j.sync, "--kubeconfig", c.through(t, way), "--allow-insecure-git")
			j.active(ctx, t)
			line(ctx, t, run, "created", "Job")
			way.cut()
			j.gone(ctx, t)
			way.open(t)
			j.run(ctx, t, "migrate-1", ending.outcome)
			must(t, run.Stop(patience))
			j.once(ctx, t, ending.code)
			j.ran(t, "migrate", 1)
			j.records(ctx, t, "migrate-1 "+string(ending.outcome))
		})
	}
}
