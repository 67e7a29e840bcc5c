package lint

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"

	"kilter.dev/kilter/manifests/schedule"
)

const scheduleField = "spec.schedule"

// scheduleNeverFires asks the parser for the next run, as the controller does: nothing within five years means never.
func scheduleNeverFires(s *subject) {
	if s.schedule != nil && s.schedule.Next(s.Now).IsZero() {
		s.report(scheduleField, "%q never fires: nothing within five years matches it, and no Job is ever created; correct "+
			"the day or the month",
			s.cron.Spec.Schedule)
	}
}

// scheduleEveryMinute finds "* 3 * * *": each minute of one hour. Each minute of neighbouring hours ("* 9-17 * * *") is a
// window, and meant.
func scheduleEveryMinute(s *subject) {
	f, ok := s.fields()
	if !ok || !f.Minute.Star {
		return
	}
	schedule, hour := s.cron.Spec.Schedule, f.Hour.Values()
	switch {
	case !f.Hour.Star && apart(hour, 24):
		s.report(scheduleField, "%q fires 60 times, each minute from %02d:00 to %02d:59: write %q to fire on the hour",
			schedule, hour[0], hour[0], strings.Replace(schedule, f.Minute.Text, "0", 1))
	case f.Hour.Star && f.DayOfWeek.Star && !f.DayOfMonth.Star && apart(f.DayOfMonth.Values(), 31):
		s.report(scheduleField, "%q fires 1440 times on each of its days, once a minute: write %q for once, at midnight",
			schedule, strings.Join(append([]string{"0", "0"}, f.DayOfMonth.Text, f.Month.Text, f.DayOfWeek.Text), " "))
	}
}

// apart reports whether no two of the values, ascending, follow each other in a cycle of n.
func apart(values []int, n int) bool {
	for i, v := range values {
		next := values[(i+1)%len(values)]
		if len(values) > 1 && (v+1)%n == next%n {
			return false
		}
	}
	return len(values) > 0
}

// scheduleDayOrWeekday finds a day of month beside a day of week, of which either suffices.
func scheduleDayOrWeekday(s *subject) {
	f, ok := s.fields()
	if !ok || f.DayOfMonth.Star || f.DayOfWeek.Star {
		return
	}
	s.report(scheduleField, "%q fires when the day of the month (%s) or the day of the week (%s) matches, not when both "+
		"do: make one of them *, "+
		"and test the other in the program", s.cron.Spec.Schedule, f.DayOfMonth.Text, f.DayOfWeek.Text)
}

var starStep = regexp.MustCompile(`^\*/(\d+)$`)

// scheduleUnevenStep finds "*/45": a step starts again with each hour, day or month, so one that does not divide it is uneven.
func scheduleUnevenStep(s *subject) {
	f, ok := s.fields()
	if !ok {
		return
	}
	for _, field := range []struct {
		schedule.Field
		size        int
		unit, whole string
	}{{f.Minute, 60, "minutes", "hour"}, {f.Hour, 24, "hours", "day"}} {
		match := starStep.FindStringSubmatch(field.Text)
		if match == nil {
			continue
		}
		step, err := strconv.Atoi(match[1])
		if err != nil || step == 0 || field.size%step == 0 {
			continue
		}
		values := field.Values()
		if len(values) == 1 {
			s.report(scheduleField, "%s fires once in each %s, not every %d %s: the step starts again at 0; write 0, or a step "+
				"that divides %d",
				field.Text, field.whole, step, field.unit, field.size)
			continue
		}
		last := values[len(values)-1]
		s.report(scheduleField, "%s is not every %d %s: the step starts again with each %s, so after %d come %d %s and not %d; "+
			"use a step that divides %d", field.Text, step, field.unit, field.whole, last, field.size-last, field.unit, step, field.size)
	}
}

// scheduleBelowMinute finds "@every 30s" and "@every -1h", which the parser makes one second.
func scheduleBelowMinute(s *subject) {
	if s.schedule == nil {
		return
	}
	if delay, ok := s.schedule.Delay(); ok && delay < time.Minute {
		s.report(scheduleField, "%q means every %s, and a Job is named after the minute it was due in, so at most one a "+
			"minute can be created: "+
			"write @every 1m or more", s.cron.Spec.Schedule, delay)
	}
}

// Runs that come more often than this are not worth a remark when the clocks change: the next one is never far.
const (
	seldomHours = 4  // of a day
	seldomRuns  = 12 // a day
)

// scheduleDaylightSaving computes the real runs around the zone's changes of the coming year.
func scheduleDaylightSaving(s *subject) {
	f, ok := s.fields()
	if !ok || f.Hour.Count() > seldomHours || f.Hour.Count()*f.Minute.Count() > seldomRuns {
		return
	}
	var said []string
	for _, change := range s.schedule.ClockChanges(s.Now, s.Now.AddDate(1, 0, 0)) {
		turn := fmt.Sprintf(", when the clocks go from %s to %s", change.From.Format("15:04"), change.To.Format("15:04"))
		if len(change.Skipped) > 0 {
			said = append(said, "is not run at "+change.Skipped[0].Format("15:04 on 2006-01-02")+turn)
		}
		if len(change.Repeated) > 0 {
			said = append(said, "is run once more at "+change.Repeated[0].Format("15:04 on 2006-01-02")+turn)
		}
	}
	if len(said) > 0 {
		s.report(scheduleField, "in %s this %s: choose an hour that no change touches, or a timeZone without changes",
			s.schedule.Zone(), strings.Join(said, ", and "))
	}
}

func (s *subject) fields() (schedule.Fields, bool) {
	if s.schedule == nil {
		return schedule.Fields{}, false
	}
	return s.schedule.Fields()
}

// startingDeadlineTooShort finds deadlines below ten seconds. At 0 the controller looks for runs due after now, and finds none.
func startingDeadlineTooShort(s *subject) {
	const field = "spec.startingDeadlineSeconds"
	switch seconds := s.cron.Spec.StartingDeadlineSeconds; {
	case seconds == nil || *seconds >= 10:
	case *seconds == 0:
		s.report(field, "0 means that no run is ever started: every run is already late when the controller looks; write 10 "+
			"or more, or leave it out")
	default:
		s.report(field, "a run that the controller comes to %d s late is dropped, and a restart or a change of leader takes "+
			"longer: write 10 or more",
			*seconds)
	}
}

// forbidWithoutStartingDeadline: under Forbid a run that is due while another works is not dropped but late, and
// startingDeadlineSeconds alone says how late it may be.
func forbidWithoutStartingDeadline(s *subject) {
	if s.cron.Spec.ConcurrencyPolicy == batchv1.ForbidConcurrent && s.cron.Spec.StartingDeadlineSeconds == nil {
		s.report("spec.concurrencyPolicy", "under Forbid a run that is due while another works is put off without limit: it "+
			"starts the moment the other "+
			"ends, at whatever time that is; set startingDeadlineSeconds to how late a run may start")
	}
}

// suspendedWithoutStartingDeadline: the run that was missed last is made up for when suspend ends.
func suspendedWithoutStartingDeadline(s *subject) {
	spec := s.cron.Spec
	if spec.Suspend != nil && *spec.Suspend && spec.StartingDeadlineSeconds == nil {
		s.report("spec.suspend", "without startingDeadlineSeconds a Job starts the moment suspend is lifted, for the run "+
			"that was missed last: "+
			"set startingDeadlineSeconds to how late a run may start")
	}
}

// overlappingRuns compares the time that a run is given with the time to the next.
func overlappingRuns(s *subject) {
	limit := s.job.ActiveDeadlineSeconds
	if s.schedule == nil || s.cron.Spec.ConcurrencyPolicy != "" || limit == nil {
		return // whoever writes Allow means it, and without a limit there is another rule
	}
	const runs = 4 // enough to see the shortest interval of what people write
	interval, ok := s.schedule.ShortestInterval(s.Now, runs)
	if allowed := time.Duration(*limit) * time.Second; ok && allowed > interval {
		s.report(s.jobPath+".activeDeadlineSeconds", "a run may work for %s and the next starts after %s, beside it: set "+
			"concurrencyPolicy to Forbid "+
			"or Replace, or to Allow if runs may overlap", span(allowed), span(interval))
	}
}

func failedHistoryZero(s *subject) {
	if limit := s.cron.Spec.FailedJobsHistoryLimit; limit != nil && *limit == 0 {
		s.report("spec.failedJobsHistoryLimit", "a failed Job is deleted at once, with its pods, their exit codes and their "+
			"logs: keep at least 1")
	}
}
