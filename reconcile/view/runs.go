package view

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"kilter.dev/kilter/api/v1alpha1"
)

// Number returns which run of its Job a record is of: the number that its name ends in, or 0 when it ends in none.
func Number(run *v1alpha1.JobRun) int {
	text, ok := strings.CutPrefix(run.Name, run.Spec.Job+"-")
	n, err := strconv.Atoi(text)
	if !ok || err != nil || n < 1 {
		return 0
	}
	return n
}

// Waits reports whether a run was asked for and has not begun.
func Waits(run *v1alpha1.JobRun) bool { return run.Spec.Identity == "" && run.Status.Outcome == "" }

// Took returns how long the run has taken until it ended, or until now while it goes on; 0 when it has not begun, or nobody saw its end.
func (r Run) Took(now time.Time) time.Duration {
	switch {
	case r.Start == nil, r.End == nil && r.Outcome != "":
		return 0
	case r.End == nil:
		return now.Sub(r.Start.Time)
	}
	return r.End.Sub(r.Start.Time)
}

// NewestFirst orders records by when they were made, the newest first; those of one second by namespace and Job, and by their numbers.
func NewestFirst(runs []v1alpha1.JobRun) {
	slices.SortFunc(runs, func(a, b v1alpha1.JobRun) int {
		return cmp.Or(
			b.CreationTimestamp.Compare(a.CreationTimestamp.Time),
			cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Spec.Job, b.Spec.Job), cmp.Compare(Number(&b), Number(&a)),
		)
	})
}

// Runs returns the records of a namespace, or of all when it is empty, the newest first; of one Job where its name is given. A cluster without
// the kind JobRun has none.
func (r *Reader) Runs(ctx context.Context, namespace, job string) ([]v1alpha1.JobRun, error) {
	selector := ""
	if job != "" {
		selector = v1alpha1.JobLabel + "=" + job
	}
	found, err := r.list(ctx, place{jobRunKind, namespace}, selector)
	if meta.IsNoMatchError(err) {
		return nil, nil
	}
	if err != nil {
		return nil, r.failed("list the JobRuns"+in(namespace), err)
	}
	return readRuns(found), nil
}

// runsIn reads the records of one set into a Sight.
func (r *Reader) runsIn(ctx context.Context, s *Sight) error {
	if _, err := r.kinds.RESTMapping(jobRunKind); meta.IsNoMatchError(err) {
		return nil
	}
	found, err := r.lists(ctx, s, r.places(jobRunKind, s.Set.Contents.Namespaces), "")
	s.Runs = slices.DeleteFunc(readRuns(found), func(run v1alpha1.JobRun) bool { return run.Spec.Sync != s.Set.SyncName() })
	return err
}

// readRuns returns records, the newest first.
func readRuns(found []*unstructured.Unstructured) []v1alpha1.JobRun {
	runs := make([]v1alpha1.JobRun, 0, len(found))
	for _, u := range found {
		var run v1alpha1.JobRun
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &run); err == nil {
			runs = append(runs, run)
		}
	}
	NewestFirst(runs)
	return runs
}
