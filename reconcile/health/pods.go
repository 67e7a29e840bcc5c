package health

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"kilter.dev/kilter/internal/phrase"
)

// Pod is what a rollout has to know of one of its pods.
type Pod struct {
	Name        string
	Node        string // where it runs, or where a DaemonSet wants it to; empty when neither is known
	Revision    string // of the template it was made from; a ControllerRevision's name or hash
	Generation  string // of a DaemonSet's template, as its controller counted before there were revisions
	Terminating bool
	Trouble     string    // why it is not ready, in words; empty when it is
	Broken      bool      // what troubles it does not pass by waiting: its image, its settings, a container that ends again and again
	ReadySince  time.Time // zero when it is not ready
}

// PodOf reduces a pod to the facts that decide.
func PodOf(p *corev1.Pod) Pod {
	pod := Pod{
		Name: p.Name, Node: nodeOf(p),
		Revision:    p.Labels[appsv1.ControllerRevisionHashLabelKey],
		Generation:  p.Labels["pod-template-generation"], // k8s.io/kubernetes/pkg/controller/daemon/util
		Terminating: p.DeletionTimestamp != nil,
	}
	for _, c := range p.Status.Conditions {
		switch {
		case c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue && p.Status.Phase == corev1.PodRunning:
			pod.ReadySince = c.LastTransitionTime.Time
			return pod
		case c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse:
			pod.Trouble = oneLine(c.Reason) // Unschedulable, or SchedulingGated
		}
	}
	if pod.Trouble == "" {
		pod.Trouble, pod.Broken = trouble(p)
	}
	return pod
}

// nodeOf returns the node of a pod. The scheduler places a DaemonSet's pods, each by an affinity that names its node; see
// ReplaceDaemonSetPodNodeNameNodeAffinity in k8s.io/kubernetes/pkg/controller/daemon/util.
func nodeOf(p *corev1.Pod) string {
	if p.Spec.NodeName != "" {
		return p.Spec.NodeName
	}
	if a := p.Spec.Affinity; a != nil && a.NodeAffinity != nil && a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution != nil {
		for _, term := range a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
			for _, f := range term.MatchFields {
				if f.Key == "metadata.name" && f.Operator == corev1.NodeSelectorOpIn && len(f.Values) == 1 {
					return f.Values[0]
				}
			}
		}
	}
	return ""
}

// trouble says why a pod that has a node, or needs none yet, is not ready, and whether it is broken.
func trouble(p *corev1.Pod) (why string, broken bool) {
	if p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded {
		if p.Status.Reason != "" {
			return oneLine(p.Status.Reason), false // Evicted, for one: its controller makes another
		}
		return "ended", false
	}
	starting := ""
	restarts := int32(0)
	for _, containers := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for _, c := range containers {
			switch w := c.State.Waiting; {
			case w == nil:
			case w.Reason == "ContainerCreating" || w.Reason == "PodInitializing":
				starting = w.Reason
			case w.Reason != "":
				return oneLine(w.Reason), true
			}
			if !c.Ready {
				restarts += c.RestartCount
			}
		}
	}
	switch {
	case restarts > 0:
		return "not ready, restarted " + phrase.Count(restarts, "time"), true
	case starting != "":
		return starting, false
	case p.Status.Phase == corev1.PodRunning:
		return "not ready", false
	}
	return "Pending", false
}

// available reports whether the pod has been ready for long enough.
func (p Pod) available(minReadySeconds int32, now time.Time) bool {
	return !p.Terminating && p.Trouble == "" && !p.ReadySince.Add(time.Duration(minReadySeconds)*time.Second).After(now)
}

// unavailable says why the pod is not available.
func (p Pod) unavailable(minReadySeconds int32) string {
	if p.Trouble == "" {
		return fmt.Sprintf("ready for less than %d s", minReadySeconds)
	}
	return p.Trouble
}
