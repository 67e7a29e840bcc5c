package reconcile

import (
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/reconcile/health"
)

// jobState reads what a Job tells of its run. Of one whose metadata alone is known, it is only which run it is.
func jobState(object metav1.Object) *diff.JobState {
	state := &diff.JobState{
		Record:   object.GetAnnotations()[v1alpha1.JobRunAnnotation],
		Identity: diff.ParseIdentity(object.GetAnnotations()[v1alpha1.IdentityAnnotation]),
	}
	job, ok := object.(*batchv1.Job)
	if !ok {
		return state
	}
	s := job.Status
	state.Suspended = job.Spec.Suspend != nil && *job.Spec.Suspend && s.Active == 0 && (s.Terminating == nil || *s.Terminating == 0)
	if mode := job.Spec.CompletionMode; mode != nil && *mode == batchv1.IndexedCompletion && job.Spec.Completions != nil {
		state.Indexes = *job.Spec.Completions
	}
	state.Succeeded, state.Failed, state.CompletedIndexes = s.Succeeded, s.Failed, s.CompletedIndexes
	if s.FailedIndexes != nil {
		state.FailedIndexes = *s.FailedIndexes
	}
	if s.StartTime != nil {
		state.Started = s.StartTime.Time
	}
	for _, c := range s.Conditions {
		if c.Status != corev1.ConditionTrue {
			continue
		}
		switch c.Type {
		case batchv1.JobComplete:
			state.Outcome, state.Finished = diff.Complete, c.LastTransitionTime.Time
		case batchv1.JobFailed:
			state.Outcome, state.Finished = diff.Failed, c.LastTransitionTime.Time
		default:
			continue
		}
		judged := health.Of(job)
		if state.Outcome == diff.Failed {
			state.Reason = judged.Reason
		}
		state.Message = judged.Message
	}
	return state
}
