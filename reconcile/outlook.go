package reconcile

import (
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"kilter.dev/kilter/manifests/schedule"
)

// foresee fills in what becomes of a CronJob's runs, if the step changes them. Before is nil for one that is created: its first run is in the
// future whatever its schedule.
func (t trial) foresee(s *Step, before, after *unstructured.Unstructured) {
	if before == nil || after == nil || s.ID.GroupKind() != batchv1.SchemeGroupVersion.WithKind("CronJob").GroupKind() {
		return
	}
	var live, edited batchv1.CronJob
	converter := runtime.DefaultUnstructuredConverter
	if converter.FromUnstructured(before.Object, &live) != nil || converter.FromUnstructured(after.Object, &edited) != nil {
		return // of a version that Kilter does not know
	}
	edit := schedule.Edit{
		Before: timing(live.Spec), After: timing(edited.Spec), Created: live.CreationTimestamp.Time, Active: len(live.Status.Active), Now: t.now,
	}
	if last := live.Status.LastScheduleTime; last != nil {
		edit.LastRun = last.Time
	}
	if edit.Changes() {
		outlook := edit.Outlook()
		s.Runs = &outlook
	}
}

// timing is what decides when a CronJob's runs start.
func timing(spec batchv1.CronJobSpec) schedule.Spec {
	s := schedule.Spec{Schedule: spec.Schedule, Forbid: spec.ConcurrencyPolicy == batchv1.ForbidConcurrent, Deadline: schedule.NoDeadline}
	if spec.TimeZone != nil {
		s.TimeZone = *spec.TimeZone
	}
	if spec.Suspend != nil {
		s.Suspend = *spec.Suspend
	}
	if spec.StartingDeadlineSeconds != nil {
		s.Deadline = time.Duration(*spec.StartingDeadlineSeconds) * time.Second
	}
	return s
}
