package reconcile

import (
	"context"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
)

// eventsKept is how long the cluster keeps events for sure: the API server's --event-ttl is an hour by default.
const eventsKept = 55 * time.Minute

// witness finds out what became of a run that is on record without an end, and whose Job is not there: Kilter was not running, or the watch was
// broken, when it went. The Job's controller tells of a Job's end in an event, which outlives the Job.
func (l *Loop) witness(ctx context.Context, record manifests.ID, run diff.Run, others []diff.Run) error {
	reading, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	own := l.ledger.cluster.kubernetes
	job, err := own.BatchV1().Jobs(record.Namespace).Get(reading, run.Job, metav1.GetOptions{})
	switch {
	case err == nil && job.Annotations[v1alpha1.JobRunAnnotation] == run.Record:
		return nil // the watch is about to tell of it
	case err != nil && !apierrors.IsNotFound(err):
		return fmt.Errorf("cannot look for Job %s/%s: %w", record.Namespace, run.Job, newFailure(err, l.cluster.host))
	}
	events, err := own.CoreV1().Events(record.Namespace).List(reading, metav1.ListOptions{
		FieldSelector: fields.Set{"involvedObject.kind": jobKind.Kind, "involvedObject.name": run.Job}.String(),
	})
	if err != nil {
		return fmt.Errorf("cannot read the events of Job %s/%s: %w", record.Namespace, run.Job, newFailure(err, l.cluster.host))
	}
	defer signal(l.observer.changed)
	status, seen := testimony(run, others, events.Items)
	if !seen && l.clock().Sub(run.Created) < eventsKept {
		return l.takeBack(ctx, record, run) // nobody ever worked on it
	}
	return l.settle(ctx, record, status)
}

// testimony reads from a Job's events how one of its runs ended, and whether there is any trace of it. A Job that left traces and no end was
// deleted before it, or its end was missed: which of them cannot be known.
func testimony(run diff.Run, others []diff.Run, events []corev1.Event) (v1alpha1.JobRunStatus, bool) {
	status := v1alpha1.JobRunStatus{
		Outcome: v1alpha1.RunUnknown, Reason: "Gone", Message: "its Job is gone, and nothing tells how it ended",
	}
	seen := false
	for _, event := range events {
		if event.LastTimestamp.Time.Before(run.Created.Truncate(time.Second)) || ofAnother(event, run, others) {
			continue
		}
		seen = true
		status.JobUID = event.InvolvedObject.UID
		ended := event.LastTimestamp
		switch event.Reason {
		case "Completed":
			status.Outcome, status.Reason, status.Message, status.CompletionTime = v1alpha1.RunComplete, "", "completed, says its event", &ended
			return status, true
		case batchv1.JobReasonBackoffLimitExceeded, batchv1.JobReasonDeadlineExceeded, batchv1.JobReasonPodFailurePolicy,
			batchv1.JobReasonFailedIndexes, batchv1.JobReasonMaxFailedIndexesExceeded:
			status.Outcome, status.Reason, status.CompletionTime = v1alpha1.RunFailed, event.Reason, &ended
			status.Message = oneLine(event.Message)
			return status, true
		}
	}
	return status, seen
}

// ofAnother reports whether an event is known to be of another run of the same Job.
func ofAnother(event corev1.Event, run diff.Run, others []diff.Run) bool {
	for _, other := range others {
		if other.JobUID == event.InvolvedObject.UID && other.JobUID != "" {
			return other.Record != run.Record
		}
	}
	return false
}
