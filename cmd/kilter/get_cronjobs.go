package main

import (
	"context"
	"time"

	"kilter.dev/kilter/reconcile/view"
)

// getCronJobs lists CronJobs with how their schedules are kept.
func getCronJobs(ctx context.Context, o *getOptions) error {
	found, err := o.reader.CronJobs(ctx, o.where(), o.now)
	if err != nil {
		return err
	}
	rows := make([]cronJobRow, len(found))
	for i, c := range found {
		rows[i] = newCronJobRow(c)
	}
	return show(o, listing[cronJobRow]{
		kind: "cronjobs", rows: rows,
		key:    func(r cronJobRow) (namespace, name string) { return r.Namespace, r.Name },
		header: []string{"NAME", "SCHEDULE", "ZONE", "LAST", "RESULT", "NEXT", "STATE", "WHY"},
		cells:  func(r cronJobRow) []string { return r.cells(o.now) },
	})
}

// cronJobRow is a CronJob as kilter get cronjobs -o json prints it; docs/cronjobs.md says what each field holds.
type cronJobRow struct {
	Namespace          string         `json:"namespace"`
	Name               string         `json:"name"`
	Schedule           string         `json:"schedule"`
	TimeZone           string         `json:"timeZone,omitempty"`
	Zone               string         `json:"zone"`
	State              string         `json:"state"`
	Reason             string         `json:"reason,omitempty"`
	LastScheduleTime   *time.Time     `json:"lastScheduleTime,omitempty"`
	LastSuccessfulTime *time.Time     `json:"lastSuccessfulTime,omitempty"`
	LastResult         string         `json:"lastResult,omitempty"`
	Next               []time.Time    `json:"next"`
	CatchUp            *time.Time     `json:"catchUp,omitempty"`
	Missed             int            `json:"missed"`
	Active             int            `json:"active"`
	Failures           int            `json:"failures"`
	FailuresUnkept     bool           `json:"failuresUnkept,omitempty"`
	Suspension         *suspensionRow `json:"suspension,omitempty"`
}

// suspensionRow says who suspended a CronJob.
type suspensionRow struct {
	Git    bool       `json:"git,omitempty"`
	By     string     `json:"by,omitempty"`
	Until  *time.Time `json:"until,omitempty"`
	Reason string     `json:"reason,omitempty"`
}

func newCronJobRow(c view.CronJob) cronJobRow {
	h := c.ScheduleHealth
	row := cronJobRow{
		Namespace: c.Namespace, Name: c.Name, Schedule: c.Schedule, TimeZone: c.TimeZone, Zone: h.Zone,
		State: string(h.State), Reason: h.Reason,
		LastScheduleTime: inUTC(h.LastSchedule), LastSuccessfulTime: inUTC(h.LastSuccess), LastResult: string(h.LastResult),
		Next: []time.Time{}, CatchUp: inUTC(h.CatchUp),
		Missed: h.Missed, Active: h.Active, Failures: h.Failures, FailuresUnkept: h.Unkept,
	}
	for _, next := range h.Next {
		row.Next = append(row.Next, next.UTC())
	}
	if s := c.Suspension; c.Suspended {
		row.Suspension = &suspensionRow{Git: s.Git, By: s.By, Until: inUTC(s.Until), Reason: s.Reason}
	}
	return row
}

// inUTC returns a time for JSON; nil for none.
func inUTC(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	at = at.UTC()
	return &at
}

func (r cronJobRow) cells(now time.Time) []string {
	last, next := "", ""
	if r.LastScheduleTime != nil {
		last = age(*r.LastScheduleTime, now)
	}
	if len(r.Next) > 0 {
		next = "in " + age(now, r.Next[0])
	}
	return []string{r.Name, r.Schedule, r.Zone, last, r.LastResult, next, r.State, r.Reason}
}
