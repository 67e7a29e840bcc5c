package reconcile

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/reconcile/inventory"
)

// Of a run whose Job is gone only events tell, and they come late: a controller writes them beside its work, at its own pace.
const (
	eventsKept   = 55 * time.Minute // for sure: the API server's --event-ttl is an hour by default
	eventsArrive = 5 * time.Second  // after what they tell of; a run that is missed has ended before
)

// witness finds out what became of a run that is on record without an end, and whose Job is not there: Kilter was not running, or the watch was
// broken, when it went. The Job's controller tells of a Job's end in an event, which outlives the Job.
func (l *Loop) witness(ctx context.Context, record manifests.ID, run diff.Run, others []diff.Run) error {
	reading, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	own := l.ledger.cluster.kubernetes
	job, err := own.BatchV1().Jobs(record.Namespace).Get(reading, run.Job, metav1.GetOptions{})
	switch {
	case err == nil && job.Annotations[v1alpha1.JobRunAnnotation] == run.Record && job.Labels[inventory.PartOfLabel] == l.parent.ID():
		return nil // the watch is about to tell of it
	case err == nil && run.JobUID == "" && job.Annotations[v1alpha1.JobRunAnnotation] != run.Record:
		others = append(slices.Clone(others), diff.Run{JobUID: job.UID}) // somebody else's
	case err != nil && !apierrors.IsNotFound(err):
		return fmt.Errorf("cannot look for Job %s/%s: %w", record.Namespace, run.Job, newFailure(err, l.cluster.host))
	}
	events, err := own.CoreV1().Events(record.Namespace).List(reading, metav1.ListOptions{
		FieldSelector: fields.Set{"involvedObject.kind": jobKind.Kind, "involvedObject.name": run.Job}.String(),
	})
	if err != nil {
		return fmt.Errorf("cannot read the events of Job %s/%s: %w", record.Namespace, run.Job, newFailure(err, l.cluster.host))
	}
	told := testimony(run, others, events.Items)
	now := l.clock()
	if again := l.ledger.missed(record, now).Add(eventsArrive); told.status.Outcome == v1alpha1.RunUnknown && now.Before(again) {
		l.ledger.setLookAgain(again)
		return nil
	}
	l.ledger.found(record)
	if told.interrupted && now.Sub(run.Created) < eventsKept && !expired(l.keeps(jobID(record.Namespace, run.Job)), now.Sub(run.Created)) {
		told.status.Outcome, told.status.Reason = v1alpha1.RunDeleted, ""
		told.status.Message = "deleted before it had finished: its events tell of its pods, and of no end"
	}
	switch {
	case told.status.JobUID == "" && now.Sub(run.Created) < eventsKept:
		defer signal(l.observer.changed)
		return l.neverBegan(ctx, record)
	}
	defer signal(l.observer.changed)
	return l.settle(ctx, record, told.status)
}

// neverBegan takes the record of a run back on which nobody ever worked.
func (l *Loop) neverBegan(ctx context.Context, record manifests.ID) error {
	asked, err := l.ledger.requested(ctx, record.Namespace, record.Name)
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("cannot read the record of run %s/%s: %w", record.Namespace, record.Name, newFailure(err, l.cluster.host))
	}
	return l.takeBack(ctx, record, asked)
}

// account is what a Job's events tell of one of its runs.
type account struct {
	status      v1alpha1.JobRunStatus // JobUID is empty when there is no trace of the run
	interrupted bool                  // its controller told of its pods, left nothing out, and told of no end
}

// spoken is how many events of one object a controller writes in a row; what comes after that it may keep to itself. See EventCorrelator in
// k8s.io/client-go/tools/record.
const spoken = 25

// expired reports whether a Job of an age may have been deleted by its TTL. One that Git does not have may have had any.
func expired(job *manifests.Object, age time.Duration) bool {
	var content batchv1.Job
	if job == nil || json.Unmarshal(job.JSON, &content) != nil {
		return true
	}
	ttl := content.Spec.TTLSecondsAfterFinished
	return ttl != nil && age >= time.Duration(*ttl)*time.Second
}

// testimony reads from a Job's events how one of its runs ended.
func testimony(run diff.Run, others []diff.Run, events []corev1.Event) account {
	told := account{status: v1alpha1.JobRunStatus{
		JobUID: run.JobUID, Outcome: v1alpha1.RunUnknown, Reason: "Gone", Message: "its Job is gone, and nothing tells how it ended",
	}}
	seen := int32(0)
	for _, event := range events {
		at := happened(event)
		if at.Before(run.Created.Truncate(time.Second)) || ofAnother(event, run, others) {
			continue
		}
		seen += max(1, event.Count)
		told.interrupted = told.interrupted || event.Reason == "SuccessfulCreate"
		told.status.JobUID = event.InvolvedObject.UID
		switch event.Reason {
		case "Completed":
			told.status.Outcome, told.status.Reason, told.status.Message = v1alpha1.RunComplete, "", "completed, says its event"
		case batchv1.JobReasonBackoffLimitExceeded, batchv1.JobReasonDeadlineExceeded, batchv1.JobReasonPodFailurePolicy,
			batchv1.JobReasonFailedIndexes, batchv1.JobReasonMaxFailedIndexesExceeded:
			told.status.Outcome, told.status.Reason, told.status.Message = v1alpha1.RunFailed, event.Reason, oneLine(event.Message)
		default:
			continue
		}
		told.status.CompletionTime = &metav1.Time{Time: at}
		told.interrupted = false
		return told
	}
	told.interrupted = told.interrupted && seen < spoken
	return told
}

// happened is when an event happened last. Only those of the older API have a LastTimestamp.
func happened(event corev1.Event) time.Time {
	switch {
	case event.Series != nil:
		return event.Series.LastObservedTime.Time
	case !event.LastTimestamp.IsZero():
		return event.LastTimestamp.Time
	}
	return event.EventTime.Time
}

// ofAnother reports whether an event is known to be of another run of the same Job, or of somebody else's Job.
func ofAnother(event corev1.Event, run diff.Run, others []diff.Run) bool {
	if run.JobUID != "" {
		return event.InvolvedObject.UID != run.JobUID
	}
	return slices.ContainsFunc(others, func(other diff.Run) bool {
		return other.JobUID == event.InvolvedObject.UID && other.Record != run.Record
	})
}
