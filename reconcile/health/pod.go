package health

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

// Reasons of a Pod, beside ReasonComplete, ReasonRunning, ReasonStarting and ReasonPodsUnavailable.
const (
	ReasonPodFailed     = "PodFailed"
	ReasonCrashLooping  = "CrashLooping"
	ReasonUnschedulable = "Unschedulable"
)

// pod judges a Pod that stands in Git by itself; pods of workloads are judged through their workload. A container in
// CrashLoopBackOff makes it Failed, as in kstatus: the kubelet goes on trying, but there is nothing to wait for.
func pod(p *corev1.Pod) Health {
	switch p.Status.Phase {
	case corev1.PodSucceeded:
		return Health{Current, ReasonComplete, "ran to its end"}
	case corev1.PodFailed:
		message := "failed"
		if text := oneLine(p.Status.Message); text != "" {
			message += ": " + text
		}
		return Health{Failed, ReasonPodFailed, message}
	}
	for _, c := range p.Status.ContainerStatuses {
		if w := c.State.Waiting; w != nil && w.Reason == "CrashLoopBackOff" {
			return Health{Failed, ReasonCrashLooping, fmt.Sprintf("container %s restarted %s", c.Name, times(c.RestartCount))}
		}
	}
	for _, c := range p.Status.Conditions {
		switch {
		case c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue:
			return Health{Current, ReasonRunning, "ready"}
		case c.Type == corev1.PodScheduled && c.Reason == corev1.PodReasonUnschedulable:
			return Health{InProgress, ReasonUnschedulable, "no node takes it: " + oneLine(c.Message)}
		}
	}
	if p.Status.Phase == corev1.PodRunning {
		return Health{InProgress, ReasonPodsUnavailable, "running, not ready"}
	}
	return Health{InProgress, ReasonStarting, "not running yet"}
}

// times returns "once" or "3 times".
func times(n int32) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
