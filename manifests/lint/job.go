package lint

import (
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

func jobWithoutBackoffLimit(s *subject) {
	if s.job.BackoffLimit == nil && s.job.BackoffLimitPerIndex == nil {
		s.report(s.jobPath+".backoffLimit", "without backoffLimit a Job that fails is tried 6 times more: set it to how often "+
			"the work may be repeated, 0 for never")
	}
}

// jobWithoutDeadline: a deadline of the pods is taken for one, and has a rule of its own.
func jobWithoutDeadline(s *subject) {
	if s.job.ActiveDeadlineSeconds != nil || s.template.Spec.ActiveDeadlineSeconds != nil {
		return
	}
	consequence := "holds its resources, and all that waits for it, for ever"
	if s.cron != nil {
		switch s.cron.Spec.ConcurrencyPolicy {
		case batchv1.ForbidConcurrent:
			consequence = "stops all later runs, for Forbid waits for it for ever"
		case batchv1.ReplaceConcurrent:
			consequence = "is only ended by the next run, and never reported as failed"
		default:
			consequence = "is joined by the next one, and the next, for ever"
		}
	}
	s.report(s.jobPath+".activeDeadlineSeconds", "without activeDeadlineSeconds a run that hangs %s: set it to more than "+
		"the longest run takes", consequence)
}

func deadlinePerPod(s *subject) {
	if limit := s.template.Spec.ActiveDeadlineSeconds; limit != nil && s.job.ActiveDeadlineSeconds == nil {
		s.report(s.podPath+".activeDeadlineSeconds", "a deadline in the pod template is for each attempt: a pod past it "+
			"counts as failed and is "+
			"replaced; move it to %s.activeDeadlineSeconds to end the Job", s.jobPath)
	}
}

// span prints a duration without zeros at its end: "10m" and not "10m0s".
func span(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = text[:len(text)-len("0s")]
	}
	if strings.HasSuffix(text, "h0m") {
		text = text[:len(text)-len("0m")]
	}
	return text
}

// How the Job controller waits between two attempts (pkg/controller/job/job_controller.go).
const (
	firstBackoff = 10 * time.Second
	maxBackoff   = 10 * time.Minute
)

// backoffExceedsDeadline adds up the waits between attempts. Under OnFailure it is the kubelet that waits, and other rules hold.
func backoffExceedsDeadline(s *subject) {
	retries, limit := s.job.BackoffLimit, s.job.ActiveDeadlineSeconds
	if retries == nil || limit == nil || s.template.Spec.RestartPolicy != corev1.RestartPolicyNever {
		return
	}
	allowed := time.Duration(*limit) * time.Second
	var waits time.Duration
	backoff := firstBackoff
	for i := range *retries {
		if waits += backoff; waits >= allowed {
			s.report(s.jobPath+".backoffLimit", "the controller waits %s before retry %d of %d, so the deadline of %s always "+
				"ends the Job before it: "+
				"lower backoffLimit to %d, or raise activeDeadlineSeconds", span(waits), i+1, *retries, span(allowed), i)
			return
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

func onFailureBackoffZero(s *subject) {
	if s.template.Spec.RestartPolicy == corev1.RestartPolicyOnFailure && s.job.BackoffLimit != nil && *s.job.BackoffLimit == 0 {
		s.report(s.jobPath+".backoffLimit", "under restartPolicy OnFailure the kubelet restarts the container that failed, "+
			"so the work begins a second "+
			"time, until the controller counts the restart and deletes the pod with its logs: set restartPolicy to Never")
	}
}

func ttlZero(s *subject) {
	if ttl := s.job.TTLSecondsAfterFinished; ttl != nil && *ttl == 0 {
		s.report(s.jobPath+".ttlSecondsAfterFinished", "the Job is deleted the moment it ends, with its pods, their exit "+
			"codes and their logs: "+
			"keep it long enough to be looked at, such as 86400 for a day")
	}
}

// podFailureRuleUnreachable finds rules behind one that matches all that they match: the first that matches decides.
func podFailureRuleUnreachable(s *subject) {
	if s.job.PodFailurePolicy == nil {
		return
	}
	all := s.job.PodFailurePolicy.Rules
	containers := len(s.template.Spec.InitContainers) + len(s.template.Spec.Containers)
	for i, rule := range all {
		earlier := slices.IndexFunc(all[:i], func(before batchv1.PodFailurePolicyRule) bool {
			return covers(before, rule, containers)
		})
		if earlier >= 0 {
			s.report(fmt.Sprintf("%s.podFailurePolicy.rules[%d]", s.jobPath, i), "never reached: rules[%d] matches all that "+
				"this one does, and the first "+
				"that matches decides; put this one before it", earlier)
		}
	}
}

// covers reports whether every failure that b matches is matched by a, on a pod with so many containers.
func covers(a, b batchv1.PodFailurePolicyRule, containers int) bool {
	if a.OnExitCodes != nil && b.OnExitCodes != nil {
		x, y := a.OnExitCodes, b.OnExitCodes
		switch {
		case x.ContainerName == nil:
		case y.ContainerName == nil && containers > 1, y.ContainerName != nil && *y.ContainerName != *x.ContainerName:
			return false
		}
		within := func(value int32) bool { return slices.Contains(x.Values, value) }
		without := func(value int32) bool { return !within(value) }
		switch {
		case x.Operator == batchv1.PodFailurePolicyOnExitCodesOpIn:
			return y.Operator == batchv1.PodFailurePolicyOnExitCodesOpIn && !slices.ContainsFunc(y.Values, without)
		case y.Operator == batchv1.PodFailurePolicyOnExitCodesOpIn:
			return !slices.ContainsFunc(y.Values, within)
		default: // both NotIn; exit code 0 is never looked at
			return !slices.ContainsFunc(x.Values, func(v int32) bool { return v != 0 && !slices.Contains(y.Values, v) })
		}
	}
	if len(a.OnPodConditions) == 0 || len(b.OnPodConditions) == 0 {
		return false
	}
	return !slices.ContainsFunc(b.OnPodConditions, func(want batchv1.PodFailurePolicyOnPodConditionsPattern) bool {
		return !slices.ContainsFunc(a.OnPodConditions, func(have batchv1.PodFailurePolicyOnPodConditionsPattern) bool {
			return have.Type == want.Type && conditionStatus(have) == conditionStatus(want)
		})
	})
}

// conditionStatus fills in the API's default.
func conditionStatus(p batchv1.PodFailurePolicyOnPodConditionsPattern) corev1.ConditionStatus {
	if p.Status == "" {
		return corev1.ConditionTrue
	}
	return p.Status
}
