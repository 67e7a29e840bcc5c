package health

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"kilter.dev/kilter/internal/phrase"
)

// at words a time of the schedule, in its zone; with seconds only where the schedule has them.
func (t timetable) at(when time.Time) string {
	layout := "2006-01-02 15:04 MST"
	if _, every := t.Delay(); every {
		layout = "2006-01-02 15:04:05 MST"
	}
	return when.In(t.Zone()).Format(layout)
}

// ofRuns words a number of runs that were not started.
func ofRuns(n int) string {
	if n >= MaxMissed {
		return fmt.Sprintf("%d runs or more", MaxMissed)
	}
	return phrase.Count(n, "run")
}

// suspension says who suspended the schedule, until when, and what happens then.
func (t timetable) suspension(in ScheduleInput, catchUp time.Time) string {
	s := in.Suspension
	who := "by hand"
	switch {
	case s.Git:
		who = "by Git"
	case s.By != "":
		who = "by " + oneLine(s.By)
	}
	then := "; resumed now,"
	switch {
	case s.Until.IsZero():
	case s.Until.After(in.Now):
		who += fmt.Sprintf(" until %s, for %s more", t.at(s.Until), duration.HumanDuration(s.Until.Sub(in.Now).Round(time.Second)))
		then = "; then"
	default:
		who += fmt.Sprintf(" until %s, which is %s ago: Kilter has yet to end it", t.at(s.Until), duration.HumanDuration(in.Now.Sub(s.Until)))
	}
	if s.Reason != "" {
		who += ": " + oneLine(s.Reason)
	}
	if !catchUp.IsZero() {
		who += fmt.Sprintf("%s the run of %s starts at once", then, t.at(catchUp))
	}
	return who
}

func (t timetable) stuck(in ScheduleInput, overdue due, catchUp time.Time) string {
	were := "was"
	if overdue.count > 1 {
		were = "were"
	}
	text := fmt.Sprintf("%s %s due since %s while %s goes on, and concurrencyPolicy is Forbid",
		ofRuns(overdue.count), were, t.at(overdue.first), oneLine(phrase.Few(in.Active, 3)))
	if !catchUp.IsZero() {
		text += fmt.Sprintf("; when it ends, the run of %s starts at once", t.at(catchUp))
	}
	return text
}

func (t timetable) missed(h *ScheduleHealth, overdue due) string {
	text := fmt.Sprintf("the run of %s did not start", t.at(overdue.first))
	if h.Missed > 1 {
		text = fmt.Sprintf("%s since %s did not start", ofRuns(h.Missed), t.at(overdue.first))
	}
	switch {
	case t.never():
		return text + ", " + t.noneWill()
	case t.deadline != nil && h.CatchUp.IsZero():
		text += fmt.Sprintf(" within startingDeadlineSeconds of %d", int(t.deadline.Seconds()))
	}
	switch {
	case !h.CatchUp.IsZero():
		text += fmt.Sprintf("; that of %s may still start", t.at(h.CatchUp))
	case len(h.Next) > 0:
		text += fmt.Sprintf("; the next is due at %s", t.at(h.Next[0]))
	}
	return text
}

func (t timetable) late(now, run time.Time) string {
	return fmt.Sprintf("the run of %s has not started after %s", t.at(run), duration.HumanDuration(now.Sub(run)))
}

// noneWill says why no run is ever started; see never.
func (t timetable) noneWill() string {
	delay, _ := t.Delay()
	return fmt.Sprintf("and none will: startingDeadlineSeconds of %d is less than the delay of %s", int(t.deadline.Seconds()), delay)
}

// fresh words what a schedule comes to that has not run yet.
func (t timetable) fresh(h *ScheduleHealth) string {
	switch {
	case t.never():
		return "no run has started, " + t.noneWill()
	case len(h.Next) == 0:
		return "nothing within five years matches the schedule"
	case !h.CatchUp.IsZero():
		return "the first run was due at " + t.at(h.CatchUp)
	}
	return "the first run is due at " + t.at(h.Next[0])
}

func (t timetable) onTime(h *ScheduleHealth) string {
	var parts []string
	switch {
	case h.Active > 0:
		parts = append(parts, fmt.Sprintf("%d running", h.Active))
	case h.LastResult == RunComplete:
		parts = append(parts, "the last run completed")
	}
	if len(h.Next) == 0 {
		parts = append(parts, "nothing within five years matches the schedule any more")
	}
	return strings.Join(parts, "; ")
}

// failures words how many runs in a row did not succeed.
func (h *ScheduleHealth) failures() string {
	text := phrase.Count(h.Failures, "run")
	if h.Failures > 1 {
		text += " in a row"
	}
	if h.Unkept {
		text += " or more"
	}
	return text + " failed"
}

// failing is failures after a reason that has to do with something else.
func (h *ScheduleHealth) failing() string {
	if h.Failures == 0 {
		return ""
	}
	return "; " + h.failures()
}

// failed says of a schedule that runs on time what its runs come to.
func (h *ScheduleHealth) failed(in ScheduleInput, t timetable) string {
	text := h.failures()
	if h.LastResult == RunGone {
		text += fmt.Sprintf(": that of %s ended without success and its Job is gone", t.at(in.LastSchedule))
	}
	var last Run
	for _, run := range in.Runs {
		if run.Result == RunFailed && run.Finished.After(last.Finished) {
			last = run
		}
	}
	if last.Name != "" {
		text += fmt.Sprintf("; %s ended with %s at %s", oneLine(last.Name), last.Reason, t.at(last.Finished))
	}
	if h.LastSuccess.IsZero() {
		return text + "; no run has succeeded yet"
	}
	return text + "; the last success was at " + t.at(h.LastSuccess)
}
