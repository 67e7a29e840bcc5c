package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"kilter.dev/kilter/api/v1alpha1"
)

// TestJobKilledBetweenWrites kills the program after each write of a run in turn, among them the one that puts a run on record and the one that
// creates the Job: the next run of the program ends where an undisturbed one does, and the Job has run once.
func TestJobKilledBetweenWrites(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	play := func(t *testing.T, b *between) (j *jobs, killed bool) {
		t.Helper()
		j = c.watchJobs(t, c.namespace(t, "run-killed"))
		_, url := repository(t, fstest.MapFS{
			"prod/migrate.yaml": jobText{name: "migrate", spec: "ttlSecondsAfterFinished: 0"}.file(),
			"prod/after.yaml":   afterJob(j.namespace + "/migrate"),
		})
		j.sync = syncFile(t, j.namespace, url, "")
		killed = b.run(ctx, t, "run", "-f", j.sync, "--once", "--allow-insecure-git") == -1
		j.once(ctx, t, 0)
		j.ran(t, "migrate", 1)
		j.records(ctx, t, "migrate-1 Complete")
		return j, killed
	}
	undisturbed := c.newBetween(t, 0)
	play(t, undisturbed)
	t.Logf("an undisturbed run writes: %q", undisturbed.writes)
	recorded := slices.IndexFunc(undisturbed.writes, func(w string) bool { return strings.HasPrefix(w, "POST ") && strings.HasSuffix(w, "/jobruns") })
	created := slices.IndexFunc(undisturbed.writes, func(w string) bool { return strings.HasSuffix(w, "/jobs/migrate") })
	if recorded < 0 || created != recorded+1 {
		t.Fatalf("the record is write %d, the Job write %d: want one after the other", recorded, created)
	}
	for k := recorded; k < len(undisturbed.writes)-1; k++ {
		t.Run(fmt.Sprintf("after write %d", k+1), func(t *testing.T) {
			b := c.newBetween(t, k+1)
			if _, killed := play(t, b); !killed {
				t.Error("it was not killed")
			}
			t.Logf("killed after %q", b.writes[len(b.writes)-1])
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
