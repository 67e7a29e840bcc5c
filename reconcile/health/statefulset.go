package health

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"

	"kilter.dev/kilter/internal/phrase"
)

// ReasonPartitioned is a StatefulSet's: the rollout is through as far as its partition lets it go.
const ReasonPartitioned = "Partitioned"

// statefulSet judges as `kubectl rollout status` does (k8s.io/kubectl/pkg/polymorphichelpers/rollout_status.go), with two
// additions: with minReadySeconds a pod counts when it is available, not when it is ready; and OnDelete, which kubectl refuses to
// judge, is done once the controller has seen the spec.
func statefulSet(s *appsv1.StatefulSet) Health {
	if s.Status.ObservedGeneration == 0 || s.Generation > s.Status.ObservedGeneration {
		return notObserved(s.Generation, s.Status.ObservedGeneration)
	}
	replicas := int32(1)
	if s.Spec.Replicas != nil {
		replicas = *s.Spec.Replicas
	}
	pods, up, updated := phrase.Count(replicas, "pod"), s.Status.ReadyReplicas, s.Status.UpdatedReplicas
	upWord := "ready"
	if s.Spec.MinReadySeconds > 0 {
		up, upWord = s.Status.AvailableReplicas, "available"
	}
	if s.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType {
		if outdated := max(0, s.Status.Replicas-updated); outdated > 0 {
			return Health{
				Current, ReasonOutdatedPods,
				fmt.Sprintf("%d of %s outdated until deleted (OnDelete), %d %s", outdated, pods, up, upWord),
			}
		}
		return Health{Current, ReasonApplied, fmt.Sprintf("%d of %s %s, none outdated (OnDelete)", up, pods, upWord)}
	}

	wanted := max(0, replicas-partition(s)) // pods that the rolling update has to reach
	switch {
	case updated < wanted:
		return Health{InProgress, ReasonUpdating, fmt.Sprintf("%d of %s updated, %d %s", updated, phrase.Count(wanted, "pod"), up, upWord)}
	case up < replicas:
		return Health{InProgress, ReasonPodsUnavailable, fmt.Sprintf("%d of %s %s", up, pods, upWord)}
	case updated < replicas:
		return Health{Current, ReasonPartitioned, fmt.Sprintf("%d of %s updated, the partition keeps %d on the older template",
			updated, pods, replicas-updated)}
	case replicas == 0:
		return Health{Current, ReasonAvailable, "scaled to zero"}
	}
	return Health{Current, ReasonAvailable, fmt.Sprintf("%d of %s updated and %s", up, pods, upWord)}
}

// partition returns the ordinal below which pods keep the older template; 0 lets the update reach them all.
func partition(s *appsv1.StatefulSet) int32 {
	if r := s.Spec.UpdateStrategy.RollingUpdate; r != nil && r.Partition != nil {
		return *r.Partition
	}
	return 0
}
