package health

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"

	"kilter.dev/kilter/internal/phrase"
)

// daemonSet judges as `kubectl rollout status` does (k8s.io/kubectl/pkg/polymorphichelpers/rollout_status.go), which covers
// RollingUpdate alone. Under OnDelete the rollout is over once the controller has seen the spec: pods move when somebody deletes
// them, perhaps in weeks, so outdated ones are told and never waited for.
func daemonSet(d *appsv1.DaemonSet) Health {
	h := daemonSetRollout(d)
	if n := d.Status.NumberMisscheduled; n > 0 && (h.Reason == ReasonAvailable || h.Reason == ReasonApplied) {
		h.Reason = ReasonMisscheduled
		h.Message += ", " + phrase.Count(n, "pod") + " where it should not run"
	}
	return h
}

func daemonSetRollout(d *appsv1.DaemonSet) Health {
	s := d.Status
	if d.Generation > s.ObservedGeneration {
		return notObserved(d.Generation, s.ObservedGeneration)
	}
	wanted := phrase.Count(s.DesiredNumberScheduled, "pod")
	outdated := max(0, s.CurrentNumberScheduled-s.UpdatedNumberScheduled)
	switch {
	case d.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType && outdated > 0:
		return Health{Current, ReasonOutdatedPods, fmt.Sprintf("%d of %s outdated until deleted (OnDelete), %d available",
			outdated, wanted, s.NumberAvailable)}
	case d.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType:
		return Health{Current, ReasonApplied, fmt.Sprintf("%d of %s available, none outdated (OnDelete)", s.NumberAvailable, wanted)}
	case s.UpdatedNumberScheduled < s.DesiredNumberScheduled:
		return Health{InProgress, ReasonUpdating, fmt.Sprintf("%d of %s updated, %d available",
			s.UpdatedNumberScheduled, wanted, s.NumberAvailable)}
	case s.NumberAvailable < s.DesiredNumberScheduled:
		return Health{InProgress, ReasonPodsUnavailable, fmt.Sprintf("%d of %s available", s.NumberAvailable, wanted)}
	case s.DesiredNumberScheduled == 0:
		return Health{Current, ReasonAvailable, "no node matches it"}
	}
	return Health{Current, ReasonAvailable, fmt.Sprintf("%d of %s updated and available", s.NumberAvailable, wanted)}
}
