package health

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"

	"kilter.dev/kilter/internal/phrase"
)

// ReasonHeldByPod is a StatefulSet's: a broken pod of an older template keeps the update from going on, until somebody deletes it.
const ReasonHeldByPod = "HeldByBrokenPod"

// StatefulPods is all that the judgement on a StatefulSet by its pods depends on.
type StatefulPods struct {
	StatefulSet *appsv1.StatefulSet
	Pods        []Pod
	Nodes       []Node // those that the pods are on, as far as they may be read
	Now         time.Time
}

// StatefulSetByStatus judges a StatefulSet whose pods may not be read.
func StatefulSetByStatus(s *appsv1.StatefulSet) Rollout {
	r := Rollout{
		Health: statefulSet(s), Pods: 1, Done: int(min(s.Status.UpdatedReplicas, s.Status.AvailableReplicas)),
		OutdatedPods: int(max(0, s.Status.Replicas-s.Status.UpdatedReplicas)),
	}
	if s.Spec.Replicas != nil {
		r.Pods = int(*s.Spec.Replicas)
	}
	return r
}

// Judge names the pods that a rollout waits for, and those that are outdated: under OnDelete until somebody deletes them, below the
// partition on purpose. The word is always that of the status, since each of a StatefulSet's pods is wanted wherever it can run.
//
// Under OrderedReady the controller looks at no pod before all with a lower ordinal are available, and updates none before all are
// (processReplica in k8s.io/kubernetes/pkg/controller/statefulset/stateful_set_control.go). So a pod that a bad template broke is not
// replaced when the template is mended: https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback.
func (in StatefulPods) Judge() Rollout {
	s := in.StatefulSet
	r := StatefulSetByStatus(s)
	if s.Status.ObservedGeneration == 0 || s.Generation > s.Status.ObservedGeneration {
		return r
	}
	r.Done = 0
	run := statefulRun{StatefulPods: in, ordered: s.Spec.PodManagementPolicy != appsv1.ParallelPodManagement}
	run.assess(&r)
	r.OutdatedPods = len(r.Outdated)
	switch {
	case s.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType:
		if len(r.Outdated) > 0 {
			r.Health = Health{Current, ReasonOutdatedPods, fmt.Sprintf("%d of %s outdated until deleted (OnDelete), %d available; outdated: %s",
				len(r.Outdated), phrase.Count(r.Pods, "pod"), run.available, few(r.Outdated, podName))}
		}
		r.Waits = nil
	case r.Health.Word != InProgress:
		r.Waits = nil
	case len(r.Waits) > 0:
		r.Health.Message += "; waits for " + few(r.Waits, Place.byPod)
		if run.held != "" {
			r.Health.Reason = ReasonHeldByPod
			r.Health.Message += fmt.Sprintf("; under OrderedReady a pod of an older template that does not get ready is not replaced: "+
				"kubectl delete pod %s -n %s", run.held, s.Namespace)
		}
	}
	return r
}

// statefulRun is one judgement.
type statefulRun struct {
	StatefulPods
	ordered   bool
	available int    // pods, of whatever template
	held      string // the broken pod that has to be deleted, or nothing
}

// assess goes over the pods that the StatefulSet wants, in the order of their ordinals.
func (run *statefulRun) assess(r *Rollout) {
	s := run.StatefulSet
	start := 0
	if s.Spec.Ordinals != nil {
		start = int(s.Spec.Ordinals.Start)
	}
	byName := map[string]Pod{}
	for _, p := range run.Pods {
		byName[p.Name] = p
	}
	for i := range r.Pods {
		name := s.Name + "-" + strconv.Itoa(start+i)
		pod, exists := byName[name]
		place := Place{Pod: name, Node: pod.Node}
		outdated := exists && !pod.Terminating && pod.Revision != s.Status.UpdateRevision
		available := exists && pod.available(s.Spec.MinReadySeconds, run.Now)
		if available {
			run.available++
		}
		kept := i < int(partition(s))
		switch {
		case !exists:
			place.State = Missing
		case pod.Terminating:
			place.State, place.Why = Leaving, run.onDeadNode(pod, "Terminating")
		case available && !outdated:
			r.Done++
			continue
		case outdated:
			place.State = Outdated
			if kept {
				place.Why = "kept by the partition"
			}
			if !available {
				place.Why = run.onDeadNode(pod, "outdated, "+pod.unavailable(s.Spec.MinReadySeconds))
			}
			r.Outdated = append(r.Outdated, place)
		default:
			place.State, place.Why = Unavailable, run.onDeadNode(pod, pod.unavailable(s.Spec.MinReadySeconds))
		}
		first := len(r.Waits) == 0
		if available || run.ordered && !first {
			continue // outdated, and its turn is still to come; or not looked at before the first is available
		}
		r.Waits = append(r.Waits, place)
		if run.ordered && outdated && !kept && pod.Broken {
			run.held = name
		}
	}
}

// onDeadNode adds to why a pod is not available that its node is not ready: then nobody deletes or replaces the pod before the node is
// back, deleted, or tainted node.kubernetes.io/out-of-service.
func (run *statefulRun) onDeadNode(pod Pod, why string) string {
	i := slices.IndexFunc(run.Nodes, func(n Node) bool { return n.Name == pod.Node })
	if i < 0 || run.Nodes[i].NotReady.IsZero() {
		return why
	}
	return fmt.Sprintf("%s on %s, which is %s: it moves once the Node is back, deleted, or tainted node.kubernetes.io/out-of-service",
		why, pod.Node, run.Nodes[i].notReady(run.Now))
}

// podName names an outdated pod, with what else is the matter.
func podName(p Place) string {
	if why := strings.TrimPrefix(p.Why, "outdated, "); why != "" {
		return p.Pod + " (" + why + ")"
	}
	return p.Pod
}
