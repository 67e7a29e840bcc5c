package view

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/internal/phrase"
	"kilter.dev/kilter/reconcile/health"
)

// judge says where a live object stands, as the loop does; of ReplicaSets and Pods, which the loop leaves to their workloads, it says more.
func judge(u *unstructured.Unstructured) health.Health {
	found := health.Compute(u)
	if found.Word == health.Terminating {
		return found
	}
	switch u.GroupVersionKind().GroupKind() {
	case replicaSetKind:
		var set appsv1.ReplicaSet
		if runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &set) == nil {
			return replicaSet(&set)
		}
	case podKind:
		var pod corev1.Pod
		if runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &pod) == nil {
			found.Message = strings.Join(append([]string{found.Message}, podDetails(&pod)...), ", ")
		}
	}
	return found
}

func replicaSet(r *appsv1.ReplicaSet) health.Health {
	want := int32(1)
	if r.Spec.Replicas != nil {
		want = *r.Spec.Replicas
	}
	message := fmt.Sprintf("%d of %s available", r.Status.AvailableReplicas, phrase.Count(want, "pod"))
	if r.Status.AvailableReplicas < want {
		return health.Health{Word: health.InProgress, Reason: health.ReasonPodsUnavailable, Message: message}
	}
	return health.Health{Word: health.Current, Reason: health.ReasonAvailable, Message: message}
}

// retired reports whether an object is the trace of an earlier rollout: a ReplicaSet that is kept for a rollback and has no pods.
func retired(u *unstructured.Unstructured) bool {
	if u.GroupVersionKind().GroupKind() != replicaSetKind {
		return false
	}
	wanted, _, _ := unstructured.NestedInt64(u.Object, "spec", "replicas")
	there, _, _ := unstructured.NestedInt64(u.Object, "status", "replicas")
	return wanted+there == 0
}

// podDetails returns how its containers ended or why they do not start, how often they were restarted, and the node. Init containers come first.
func podDetails(pod *corev1.Pod) []string {
	var details []string
	restarts, crashing := int32(0), false // of which health tells the restarts itself
	for _, c := range append(append([]corev1.ContainerStatus(nil), pod.Status.InitContainerStatuses...), pod.Status.ContainerStatuses...) {
		restarts += c.RestartCount
		ended := c.State.Terminated
		if ended == nil {
			ended = c.LastTerminationState.Terminated
		}
		crashing = crashing || c.State.Waiting != nil && c.State.Waiting.Reason == "CrashLoopBackOff"
		switch {
		case ended != nil && ended.ExitCode != 0:
			details = append(details, "container "+c.Name+" "+exitText(ended.ExitCode, ended.Reason))
		case c.State.Waiting != nil && c.State.Waiting.Reason != "" && c.State.Waiting.Reason != "PodInitializing":
			details = append(details, "container "+c.Name+" waits: "+c.State.Waiting.Reason)
		}
	}
	if restarts > 0 && !crashing {
		details = append(details, phrase.Count(restarts, "restart"))
	}
	if pod.Spec.NodeName != "" {
		details = append(details, "on "+pod.Spec.NodeName)
	}
	return details
}

// exitText returns "exited with 3" or, where the reason says more, "exited with 137 (OOMKilled)".
func exitText(code int32, reason string) string {
	text := fmt.Sprintf("exited with %d", code)
	if reason != "" && reason != "Error" {
		text += " (" + reason + ")"
	}
	return text
}

// runText says of a record which run it is of and how that ended: "run 3 Failed: BackoffLimitExceeded, exited with 3".
func runText(run *v1alpha1.JobRun) string {
	text := "its run"
	if n := Number(run); n > 0 {
		text = "run " + strconv.Itoa(n)
	}
	text += " " + cmp.Or(string(run.Status.Outcome), "has not ended")
	if run.Status.Reason != "" && run.Status.Reason != string(run.Status.Outcome) {
		text += ": " + run.Status.Reason
	}
	if c := run.Status.Container; c != nil && c.ExitCode != 0 {
		text += ", " + exitText(c.ExitCode, c.Reason)
	}
	return text
}

// splitPlace parts "file:line", or "file:line:column"; without a line it returns 0.
func splitPlace(text string) (file string, line int) {
	file, rest, ok := strings.Cut(text, ":")
	if !ok {
		return text, 0
	}
	number, _, _ := strings.Cut(rest, ":")
	line, err := strconv.Atoi(number)
	if err != nil {
		return text, 0
	}
	return file, line
}
