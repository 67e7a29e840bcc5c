package health

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"kilter.dev/kilter/internal/phrase"
)

// Reasons of a Deployment, beside those that all kinds with pods share.
const (
	ReasonDeadlineExceeded   = "ProgressDeadlineExceeded"
	ReasonPaused             = "Paused"             // paused before the rollout was through
	ReasonReplicaFailure     = "ReplicaFailure"     // pods cannot be created: quota, admission…
	ReasonOldPodsTerminating = "OldPodsTerminating" // the new pods are there, old ones still are too
)

// deployment judges as `kubectl rollout status` does (k8s.io/kubectl/pkg/polymorphichelpers/rollout_status.go). So a paused
// Deployment with a rollout to finish is InProgress: its pods are not what its spec says. kubectl says nothing of failing pod
// creation; here it is a reason, because it is the first thing that people look for.
func deployment(d *appsv1.Deployment) Health {
	s := d.Status
	if d.Generation > s.ObservedGeneration {
		return notObserved(d.Generation, s.ObservedGeneration)
	}
	wanted := int32(1)
	if d.Spec.Replicas != nil {
		wanted = *d.Spec.Replicas
	}
	progress := fmt.Sprintf("%d of %s updated, %d available", s.UpdatedReplicas, phrase.Count(wanted, "pod"), s.AvailableReplicas)
	word := InProgress
	var reason string
	switch {
	case s.UpdatedReplicas < wanted:
		reason = ReasonUpdating
	case s.Replicas > s.UpdatedReplicas:
		reason = ReasonOldPodsTerminating
		progress += ", " + phrase.Count(s.Replicas-s.UpdatedReplicas, "old pod") + " to go"
	case s.AvailableReplicas < s.UpdatedReplicas:
		reason = ReasonPodsUnavailable
	case wanted == 0:
		word, reason, progress = Current, ReasonAvailable, "scaled to zero"
	default:
		word, reason = Current, ReasonAvailable
	}
	failure := deploymentCondition(s, appsv1.DeploymentReplicaFailure)
	switch c := deploymentCondition(s, appsv1.DeploymentProgressing); {
	// The deadline comes before the counts, as in kubectl: when it has passed, the controller says so until it makes progress.
	case c != nil && c.Reason == ReasonDeadlineExceeded:
		message := progress
		if d.Spec.ProgressDeadlineSeconds != nil {
			message = fmt.Sprintf("no progress within %d s: %s", *d.Spec.ProgressDeadlineSeconds, progress)
		}
		return Health{Failed, ReasonDeadlineExceeded, withFailure(message, failure)}
	case word == Current:
		return Health{word, reason, progress}
	case d.Spec.Paused:
		return Health{InProgress, ReasonPaused, "paused until somebody resumes it: " + progress}
	case failure != nil && failure.Status == corev1.ConditionTrue:
		return Health{InProgress, ReasonReplicaFailure, withFailure(progress, failure)}
	}
	return Health{word, reason, progress}
}

func withFailure(message string, failure *appsv1.DeploymentCondition) string {
	if failure == nil || failure.Status != corev1.ConditionTrue {
		return message
	}
	return message + ": " + oneLine(failure.Message)
}

func deploymentCondition(s appsv1.DeploymentStatus, kind appsv1.DeploymentConditionType) *appsv1.DeploymentCondition {
	for i := range s.Conditions {
		if s.Conditions[i].Type == kind {
			return &s.Conditions[i]
		}
	}
	return nil
}
