package view

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile"
	"kilter.dev/kilter/reconcile/health"
	"kilter.dev/kilter/reconcile/inventory"
)

// Job is one Job that a Sync keeps, with its last run; an element of what `kilter get jobs -o json` prints.
type Job struct {
	Namespace string      `json:"namespace"`
	Name      string      `json:"name"`
	Sync      string      `json:"sync,omitempty"` // "namespace/name"; empty when it cannot be told
	Policy    string      `json:"run"`            // of kilter.dev/run
	State     health.Word `json:"state"`
	Reason    string      `json:"reason"`
	Message   string      `json:"message"`
	Runs      int         `json:"runs"`           // the number of its last run; 0 when none is on record
	Asked     bool        `json:"asked"`          // a run was asked for and has not begun
	Last      *Run        `json:"last,omitempty"` // what came of the last run, from its record or, without one, from the Job itself
}

// Jobs returns the Jobs that Syncs keep in a namespace, or in all when it is empty, sorted by namespace and name. Jobs that are gone and whose runs
// are on record are among them; those that a CronJob made are not.
func (r *Reader) Jobs(ctx context.Context, namespace string) ([]Job, error) {
	live, err := r.list(ctx, place{jobKind, namespace}, inventory.PartOfLabel)
	if err != nil {
		return nil, r.failed("list the Jobs"+in(namespace), err)
	}
	runs, err := r.Runs(ctx, namespace, "")
	if err != nil {
		return nil, err
	}
	names, err := r.syncNames(ctx, namespace)
	return joinJobs(live, runs, names), err
}

// syncNames returns the names of Syncs by the IDs of their sets: of all that may be listed, or else of those in one namespace.
func (r *Reader) syncNames(ctx context.Context, namespace string) (map[string]string, error) {
	names := map[string]string{}
	sets, err := r.Sets(ctx, "")
	if namespace != "" && isForbidden(err) {
		sets, err = r.Sets(ctx, namespace)
	}
	if isForbidden(err) {
		return names, nil // the records know too
	}
	for _, set := range sets {
		names[set.ID()] = set.SyncName()
	}
	return names, err
}

// joinJobs is pure. Runs come newest first.
func joinJobs(live []*unstructured.Unstructured, runs []v1alpha1.JobRun, names map[string]string) []Job {
	found := map[manifests.ID]*Job{}
	for _, u := range live {
		set := u.GetLabels()[inventory.PartOfLabel]
		if !inventory.Member(set, u) {
			continue
		}
		state := health.Compute(u)
		found[idOf(u)] = &Job{
			Namespace: u.GetNamespace(), Name: u.GetName(), Sync: names[set],
			Policy: cmp.Or(u.GetAnnotations()[manifests.RunAnnotation], string(manifests.RunOnChange)),
			State:  state.Word, Reason: state.Reason, Message: state.Message, Last: runOf(u, state),
		}
	}
	recorded := map[manifests.ID]bool{}
	for i := range runs {
		run := &runs[i]
		id := jobOf(run)
		job := found[id]
		if job == nil {
			job = &Job{
				Namespace: run.Namespace, Name: run.Spec.Job, State: health.NotFound, Reason: health.ReasonNotFound,
				Message: "the Job is gone; its runs are on record",
			}
			found[id] = job
		}
		job.Sync = cmp.Or(job.Sync, run.Spec.Sync)
		switch {
		case Waits(run):
			job.Asked = true
		case !recorded[id]:
			last := NewRun(run)
			recorded[id], job.Runs, job.Last = true, last.Number, &last
		}
	}
	return slices.SortedFunc(func(yield func(Job) bool) {
		for job := range maps.Values(found) {
			if !yield(*job) {
				return
			}
		}
	}, func(a, b Job) int { return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name)) })
}

// runOf returns what a live Job tells of its run.
func runOf(u *unstructured.Unstructured, state health.Health) *Run {
	var job batchv1.Job
	if runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &job) != nil || job.Status.StartTime == nil {
		return nil
	}
	run := Run{
		Namespace: job.Namespace, Job: job.Name, Start: job.Status.StartTime, End: job.Status.CompletionTime,
		Succeeded: job.Status.Succeeded, Failed: job.Status.Failed,
	}
	switch {
	case state.Reason == health.ReasonComplete:
		run.Outcome = v1alpha1.RunComplete
	case state.Word == health.Failed:
		run.Outcome, run.Reason = v1alpha1.RunFailed, state.Reason
		for _, c := range job.Status.Conditions {
			if c.Type == batchv1.JobFailed {
				run.End = &c.LastTransitionTime
			}
		}
	}
	return &run
}

// Run is one run of a Job; an element of what `kilter history -o json` prints.
type Run struct {
	Namespace        string                 `json:"namespace"`
	Job              string                 `json:"job"`
	Number           int                    `json:"run,omitempty"`    // counts from 1
	Record           string                 `json:"record,omitempty"` // the JobRun's name
	Sync             string                 `json:"sync,omitempty"`   // "namespace/name"
	Asked            bool                   `json:"asked,omitempty"`  // it was asked for and has not begun
	Outcome          v1alpha1.JobRunOutcome `json:"outcome,omitempty"`
	Reason           string                 `json:"reason,omitempty"` // why it failed, as the Job's condition has it
	Message          string                 `json:"message,omitempty"`
	Why              string                 `json:"why,omitempty"` // it was started
	Start            *metav1.Time           `json:"startTime,omitempty"`
	End              *metav1.Time           `json:"completionTime,omitempty"`
	Revision         string                 `json:"revision,omitempty"`
	File             string                 `json:"file,omitempty"` // "file:line"
	Succeeded        int32                  `json:"succeeded"`      // pods
	Failed           int32                  `json:"failed"`
	CompletedIndexes string                 `json:"completedIndexes,omitempty"`
	FailedIndexes    string                 `json:"failedIndexes,omitempty"`
	Container        *v1alpha1.ContainerEnd `json:"container,omitempty"` // how the last one ended
	Log              string                 `json:"log,omitempty"`       // its last lines
}

// NewRun returns what a record says.
func NewRun(run *v1alpha1.JobRun) Run {
	s := run.Status
	return Run{
		Namespace: run.Namespace, Job: run.Spec.Job, Number: Number(run), Record: run.Name, Sync: run.Spec.Sync, Asked: Waits(run),
		Outcome: s.Outcome, Reason: s.Reason, Message: s.Message, Why: run.Spec.Reason, Start: s.StartTime, End: s.CompletionTime,
		Revision: run.Spec.Revision, File: run.Spec.File, Succeeded: s.Succeeded, Failed: s.Failed,
		CompletedIndexes: s.CompletedIndexes, FailedIndexes: s.FailedIndexes, Container: s.Container, Log: s.Log,
	}
}

// isForbidden reports whether the server refused to show something.
func isForbidden(err error) bool {
	failure, ok := errors.AsType[*reconcile.Failure](err)
	return ok && failure.Reason == string(metav1.StatusReasonForbidden)
}
