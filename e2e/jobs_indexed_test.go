package e2e

import (
	"fmt"
	"testing"
	"testing/fstest"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kilter.dev/kilter/internal/await"
)

// TestIndexedJobGrows changes how many indexes a Job has. The server does that in place where parallelism grows along; what it refuses is another
// run, and the plan says so before.
func TestIndexedJobGrows(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	j := c.watchJobs(t, c.namespace(t, "indexed"))
	indexed := func(completions, parallelism int) jobText {
		return jobText{name: "render", spec: fmt.Sprintf("completionMode: Indexed, completions: %d, parallelism: %d", completions, parallelism)}
	}
	repo, url := repository(t, fstest.MapFS{"prod/render.yaml": indexed(2, 2).file()})
	j.sync = syncFile(t, j.namespace, url, "")
	j.once(ctx, t, 0)
	change := func(completions, parallelism int, plan string) {
		t.Helper()
		must(t, repo.Write("prod/render.yaml", indexed(completions, parallelism).String()))
		push(t, repo)
		j.plans(ctx, t, "Job "+j.namespace+"/render", plan)
		j.once(ctx, t, 0)
		must(t, second(await.Until(ctx, j.job("render"), func(job *batchv1.Job) bool {
			return *job.Spec.Completions == int32(completions) && *job.Spec.Parallelism == int32(parallelism)
		})))
	}
	change(3, 3, "changed in Git")
	j.ran(t, "render", 1)
	change(3, 1, "changed in Git")
	j.ran(t, "render", 1)
	background := metav1.DeletePropagationBackground
	must(t, j.BatchV1().Jobs(j.namespace).Delete(ctx, "render", metav1.DeleteOptions{PropagationPolicy: &background}))
	must(t, await.Gone[batchv1.Job](ctx, j.job("render")))
	j.once(ctx, t, 0) // the record knows how far it has grown
	j.ran(t, "render", 1)
	change(4, 1, "completions changed from 3 to 4, and parallelism is another number, it will run again")
	j.ran(t, "render", 2)
	j.once(ctx, t, 0)
	j.ran(t, "render", 2)
	j.records(ctx, t, "render-1 Complete", "render-2 Complete")
}
