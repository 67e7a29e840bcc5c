package schedule

import "time"

// Spec is the part of a CronJob's spec that decides when runs start.
type Spec struct {
	Schedule string
	TimeZone string
	Suspend  bool
	Forbid   bool          // concurrencyPolicy: Forbid
	Deadline time.Duration // startingDeadlineSeconds; NoDeadline where there is none
}

// NoDeadline lets a run start however late it is.
const NoDeadline time.Duration = -1

// Edit is a change of a CronJob that exists.
type Edit struct {
	Before, After Spec
	Created       time.Time // metadata.creationTimestamp
	LastRun       time.Time // status.lastScheduleTime; zero when it never ran
	Active        int       // how many of its Jobs go on
	Now           time.Time // when the edit is made
}

// Outlook is what an Edit leads to. Times are in the zone of the schedule that they belong to.
type Outlook struct {
	Before, After []time.Time // the next runs, three at most; none while suspended, nor of a schedule that cannot be read
	Late          *Late       // the run that the edit makes up for; nil when there is none
}

// Late is a run that is due already when the edit is made: the newest since the last run, or else since the CronJob was created. Earlier ones
// are passed over.
type Late struct {
	Run   time.Time
	Start Start
	// At is when it starts if the Start is OnOldSchedule, and until when it may if the Start is OnOccasion.
	At time.Time
}

// Start says when the controller starts a late run.
type Start string

// The answers.
const (
	AtOnce        Start = "AtOnce"
	AfterActive   Start = "AfterActive"   // when the Job that goes on has ended: concurrencyPolicy is Forbid
	OnOldSchedule Start = "OnOldSchedule" // at the next run of the schedule before the edit
	OnOccasion    Start = "OnOccasion"    // when the CronJob or one of its Jobs changes again before the next run; or else never
)

// nextRuns is how many runs an Outlook lists.
const nextRuns = 3

// Outlook foresees what the CronJob controller does after the edit. It follows syncCronJob and updateCronJob in
// k8s.io/kubernetes/pkg/controller/cronjob/cronjob_controllerv2.go: an edit makes the controller look for a run that is due at once, unless
// it changes the schedule or the time zone. Then it looks when the new schedule has its next run, or at the time that was fixed before the edit.
func (e Edit) Outlook() Outlook {
	var o Outlook
	before, beforeErr := Parse(e.Before.Schedule, e.Before.TimeZone)
	after, afterErr := Parse(e.After.Schedule, e.After.TimeZone)
	if beforeErr == nil && !e.Before.Suspend {
		o.Before = before.coming(e.since(), e.Now)
	}
	if afterErr != nil || e.After.Suspend {
		return o
	}
	o.After = after.coming(e.since(), e.Now)

	late := Late{Run: after.due(e.earliest(e.Now), e.Now), Start: AtOnce}
	if e.Before.Schedule != e.After.Schedule || e.Before.TimeZone != e.After.TimeZone {
		late.Start = OnOccasion
		if len(o.After) > 0 {
			late.At = o.After[0]
		}
		if len(o.Before) > 0 && (len(o.After) == 0 || o.Before[0].Before(o.After[0])) {
			if at := o.Before[0]; after.due(e.earliest(at), at).Equal(late.Run) {
				late.Start, late.At = OnOldSchedule, at
			}
		}
	}
	if late.Run.IsZero() || late.Run.Unix()/60 == e.LastRun.Unix()/60 { // a Job is named by the minute of its run
		return o
	}
	if e.After.Forbid && e.Active > 0 {
		late.Start, late.At = AfterActive, time.Time{}
	}
	o.Late = &late
	return o
}

// Changes reports whether the edit is one of when runs start.
func (e Edit) Changes() bool { return e.Before != e.After }

// since is when runs begin to count.
func (e Edit) since() time.Time {
	if e.LastRun.IsZero() {
		return e.Created
	}
	return e.LastRun
}

// earliest is the time after which a run still counts at the time of a look.
func (e Edit) earliest(look time.Time) time.Time {
	since := e.since()
	if deadline := look.Add(-e.After.Deadline); e.After.Deadline != NoDeadline && deadline.After(since) {
		return deadline
	}
	return since
}

// coming returns the next runs after now of a schedule that is followed since then. Where the schedule counts from the last run, so does this.
func (s *Schedule) coming(since, now time.Time) []time.Time {
	var runs []time.Time
	from := now
	if _, counts := s.Delay(); counts {
		from = since
		if last := s.due(since, now); !last.IsZero() {
			from = last
		}
	}
	for at := s.Next(from); len(runs) < nextRuns && !at.IsZero(); at = s.Next(at) {
		runs = append(runs, at)
	}
	return runs
}

// due returns the newest run after earliest that is not after now, as the controller finds it: see mostRecentScheduleTime in
// k8s.io/kubernetes/pkg/controller/cronjob/utils.go. It takes the first two runs for the rhythm of all, and steps from there; so of an irregular
// schedule it overlooks a run now and then, and so does this. The result is zero when there is none.
func (s *Schedule) due(earliest, now time.Time) time.Time {
	first := s.Next(earliest)
	if first.IsZero() || now.Before(first) {
		return time.Time{}
	}
	second := s.Next(first)
	if now.Before(second) {
		return first
	}
	rhythm := int64(second.Sub(first).Round(time.Second).Seconds())
	if rhythm < 1 {
		return time.Time{} // it does not repeat, which the controller takes for a mistake
	}
	periods := int64(now.Sub(first).Seconds()) / rhythm
	newest := time.Time{}
	for at := s.Next(first.Add(time.Duration((periods-1)*rhythm) * time.Second)); !at.IsZero() && !at.After(now); at = s.Next(at) {
		newest = at
	}
	return newest
}
