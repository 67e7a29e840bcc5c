package health

import (
	"fmt"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"kilter.dev/kilter/internal/phrase"
)

// Reasons of a Job. A failed one has the Job's own reason when it is one of Kubernetes' (batchv1.JobReason…), such as
// BackoffLimitExceeded, and ReasonJobFailed when another controller (spec.managedBy) made up its own.
const (
	ReasonComplete   = "Complete"
	ReasonSuccessMet = "SuccessCriteriaMet" // enough succeeded; the pods left over are being stopped
	ReasonJobFailed  = "JobFailed"
	ReasonSuspended  = "Suspended"  // nothing runs, nothing will until somebody resumes it
	ReasonSuspending = "Suspending" // suspended, pods still to stop
	ReasonRunning    = "Running"
	ReasonRetrying   = "Retrying" // between two attempts: the back-off after failed pods
	ReasonStarting   = "Starting"
	ReasonNotRun     = "NotRun"    // it runs only when somebody asks, and nobody has
	ReasonRunUnseen  = "RunUnseen" // it is gone, and nobody saw how it ended
)

// job judges a run by its conditions: one outcome, once set, is final.
//
// A suspended Job is Current. It will not move until somebody resumes it, so waiting would only end in a timeout that blames a
// healthy Job; and a queue such as Kueue suspends Jobs for hours as a matter of course. So is one that has succeeded while pods
// left over are being stopped. Health.Unblocks is false for both: dependents wait for a Job that is Complete.
func job(j *batchv1.Job) Health {
	// SuccessCriteriaMet and FailureTarget are set before the last pods are gone and stay beside Complete and Failed.
	var met bool
	for _, c := range j.Status.Conditions {
		if c.Status != corev1.ConditionTrue {
			continue
		}
		switch c.Type {
		case batchv1.JobSuccessCriteriaMet:
			met = true
		case batchv1.JobComplete:
			return Health{Current, ReasonComplete, jobCounts(j)}
		case batchv1.JobFailed, batchv1.JobFailureTarget:
			return jobFailed(j, c)
		}
	}
	if met {
		return Health{Current, ReasonSuccessMet, jobCounts(j) + ", pods left over are stopping"}
	}
	suspended := j.Spec.Suspend != nil && *j.Spec.Suspend
	switch {
	case suspended && j.Status.Active > 0:
		return Health{InProgress, ReasonSuspending, "suspended, pods are stopping: " + jobCounts(j)}
	case suspended:
		return Health{Current, ReasonSuspended, "suspended until somebody resumes it: " + jobCounts(j)}
	case j.Status.StartTime == nil:
		return Health{InProgress, ReasonStarting, "its controller has not started it yet"}
	case j.Status.Active > 0:
		return Health{InProgress, ReasonRunning, jobCounts(j)}
	case j.Status.Failed > 0:
		return Health{InProgress, ReasonRetrying, "waits before it tries again: " + jobCounts(j)}
	}
	return Health{InProgress, ReasonStarting, jobCounts(j)}
}

func jobFailed(j *batchv1.Job, c batchv1.JobCondition) Health {
	message := jobCounts(j)
	if text := oneLine(c.Message); text != "" {
		message += ": " + text
	}
	switch c.Reason {
	case batchv1.JobReasonBackoffLimitExceeded, batchv1.JobReasonDeadlineExceeded, batchv1.JobReasonPodFailurePolicy,
		batchv1.JobReasonFailedIndexes, batchv1.JobReasonMaxFailedIndexesExceeded:
		return Health{Failed, c.Reason, message}
	}
	if c.Reason != "" {
		message += " (" + oneLine(c.Reason) + ")"
	}
	return Health{Failed, ReasonJobFailed, message}
}

// jobCounts returns "3 of 8 completions, 2 running, 1 failed". A work-queue Job, which has no completions to reach, gets
// "3 succeeded". Pods that exist and are not ready, say because no node has room, are active but do not run.
func jobCounts(j *batchv1.Job) string {
	var parts []string
	if j.Spec.Completions != nil {
		parts = append(parts, fmt.Sprintf("%d of %s", j.Status.Succeeded, phrase.Count(*j.Spec.Completions, "completion")))
	} else {
		parts = append(parts, fmt.Sprintf("%d succeeded", j.Status.Succeeded))
	}
	running := j.Status.Active
	if j.Status.Ready != nil {
		running = min(running, *j.Status.Ready)
	}
	if running > 0 {
		parts = append(parts, fmt.Sprintf("%d running", running))
	}
	if starting := j.Status.Active - running; starting > 0 {
		parts = append(parts, fmt.Sprintf("%d not ready", starting))
	}
	if j.Status.Failed > 0 {
		parts = append(parts, fmt.Sprintf("%d failed", j.Status.Failed))
	}
	if indexes := j.Status.FailedIndexes; indexes != nil && *indexes != "" {
		parts = append(parts, "failed indexes "+oneLine(*indexes))
	}
	return strings.Join(parts, ", ")
}
