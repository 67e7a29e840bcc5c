package health

import (
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
)

// Reasons of a CronJob.
const (
	ReasonScheduled         = "Scheduled"
	ReasonScheduleSuspended = "ScheduleSuspended"
)

// cronJob judges the rollout of a CronJob, and that ends when the API server accepts it: it is Current from then on, suspended or
// not. Whether it runs on time and with success is its schedule's health, which needs a clock and its Jobs.
func cronJob(c *batchv1.CronJob) Health {
	message := fmt.Sprintf("schedule %q", oneLine(c.Spec.Schedule))
	if c.Spec.TimeZone != nil {
		message += " " + oneLine(*c.Spec.TimeZone)
	}
	if t := c.Status.LastScheduleTime; t != nil {
		message += ", last scheduled " + t.UTC().Format(time.RFC3339)
	} else {
		message += ", never scheduled"
	}
	if active := len(c.Status.Active); active > 0 {
		message += fmt.Sprintf(", %d running", active)
	}
	if c.Spec.Suspend != nil && *c.Spec.Suspend {
		return Health{Current, ReasonScheduleSuspended, "suspended: " + message}
	}
	return Health{Current, ReasonScheduled, message}
}
