package view

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/inventory"
)

// Rerun asks for one more run of a Job that a Sync keeps, by creating the next JobRun; the loop starts the run when it sees the record. reason is
// kept with it. sync, "namespace/name", is asked only about a Job that has never run; empty is the one Sync of its namespace. What keeps the Job from running again is told in the error: it may be unknown (NotFoundError), not kept by a Sync, made by a
// CronJob, or have a rerun waiting already.
func (r *Reader) Rerun(ctx context.Context, job manifests.ID, sync, reason string) (*v1alpha1.JobRun, error) {
	mapping, err := r.kinds.RESTMapping(jobRunKind)
	switch {
	case meta.IsNoMatchError(err):
		return nil, errors.New("the cluster has no kind JobRun: install it with `kilter crds | kubectl apply --server-side -f -`, or with the chart")
	case err != nil:
		return nil, r.cluster.Explain(err)
	}
	runs, err := r.Runs(ctx, job.Namespace, job.Name)
	if err != nil {
		return nil, err
	}
	next, err := r.nextRun(ctx, job, sync, runs)
	if err != nil {
		return nil, err
	}
	next.Spec.Reason = reason
	client := r.cluster.Dynamic().Resource(mapping.Resource).Namespace(job.Namespace)
	for number := highest(runs) + 1; ; number++ {
		next.Name = job.Name + "-" + strconv.Itoa(number)
		created, err := create(ctx, client, next)
		switch {
		case apierrors.IsAlreadyExists(err): // the loop has begun a run just now
		case err != nil:
			return nil, r.failed("create JobRun "+job.Namespace+"/"+next.Name, err)
		default:
			return created, nil
		}
	}
}

// nextRun returns the record of a run that is asked for, without its name.
func (r *Reader) nextRun(ctx context.Context, job manifests.ID, first string, runs []v1alpha1.JobRun) (*v1alpha1.JobRun, error) {
	for i := range runs {
		if Waits(&runs[i]) {
			return nil, fmt.Errorf("a rerun of %s waits already: JobRun %s/%s; its Sync %s starts it",
				job, job.Namespace, runs[i].Name, runs[i].Spec.Sync)
		}
	}
	sync := ""
	if len(runs) > 0 {
		sync = runs[0].Spec.Sync
	}
	live, err := r.get(ctx, job)
	switch {
	case isNotFound(err) && sync == "":
		if sync, err = r.syncOfFirst(ctx, job, first); err != nil {
			return nil, err
		}
	case isNotFound(err): // its TTL has deleted it
	case err != nil:
		return nil, err
	default:
		if owner := metav1.GetControllerOf(live); owner != nil {
			return nil, fmt.Errorf("%s was made by %s %s: ask that for another one", job, owner.Kind, owner.Name)
		}
		set := live.GetLabels()[inventory.PartOfLabel]
		if set == "" || !inventory.Member(set, live) {
			return nil, fmt.Errorf("%s is not kept by a Sync: Kilter runs again only what it applied", job)
		}
		found, err := r.setOf(ctx, set, job.Namespace)
		if err != nil && sync == "" {
			return nil, err
		}
		if err == nil {
			sync = found.SyncName()
		}
	}
	return &v1alpha1.JobRun{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.JobRunKind},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: job.Namespace, Labels: map[string]string{v1alpha1.JobLabel: job.Name},
		},
		Spec: v1alpha1.JobRunSpec{Sync: sync, Job: job.Name},
	}, nil
}

// syncOfFirst returns the Sync that has to know of a Job which has never run, as one that runs only when asked: the one that is named, or the
// only one in its namespace.
func (r *Reader) syncOfFirst(ctx context.Context, job manifests.ID, named string) (string, error) {
	if named != "" && !strings.Contains(named, "/") {
		named = job.Namespace + "/" + named
	}
	if named != "" {
		namespace, name, _ := strings.Cut(named, "/")
		_, err := r.Set(ctx, namespace, name)
		return named, err
	}
	sets, err := r.Sets(ctx, job.Namespace)
	if err != nil {
		return "", err
	}
	if len(sets) != 1 {
		return "", notFound("there is no %s, and no record of its runs: if it has never run, say with --sync which Sync keeps it; kilter get jobs -A "+
			"lists those that have", job)
	}
	return sets[0].SyncName(), nil
}

// highest returns the highest number of the runs of one Job.
func highest(runs []v1alpha1.JobRun) int {
	number := 0
	for i := range runs {
		number = max(number, Number(&runs[i]))
	}
	return number
}

func create(ctx context.Context, client dynamic.ResourceInterface, run *v1alpha1.JobRun) (*v1alpha1.JobRun, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(run)
	if err != nil {
		return nil, err
	}
	delete(content, "status") // the loop's
	stored, err := client.Create(ctx, &unstructured.Unstructured{Object: content}, metav1.CreateOptions{FieldManager: fieldManager})
	if err != nil {
		return nil, err
	}
	var created v1alpha1.JobRun
	return &created, runtime.DefaultUnstructuredConverter.FromUnstructured(stored.Object, &created)
}

// AwaitRun waits until a run has come to its outcome, by a watch, and returns its record. The error says that ctx was done, or that the record was
// deleted meanwhile.
func (r *Reader) AwaitRun(ctx context.Context, run *v1alpha1.JobRun) (*v1alpha1.JobRun, error) {
	var ended v1alpha1.JobRun
	id := manifests.ID{Group: jobRunKind.Group, Kind: jobRunKind.Kind, Namespace: run.Namespace, Name: run.Name}
	err := r.await(ctx, id, func(u *unstructured.Unstructured) (bool, error) {
		err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &ended)
		return ended.Status.Outcome != "", err
	})
	return &ended, err
}
