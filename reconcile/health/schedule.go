package health

import (
	"sort"
	"time"

	batchv1 "k8s.io/api/batch/v1"

	"kilter.dev/kilter/manifests/schedule"
)

// ScheduleState is one word for how a CronJob's schedule is kept, from a closed set: a metric may have it as a label.
type ScheduleState string

// The states, in the order in which they win.
//
//	Invalid    the controller cannot read the schedule, or does not know its zone: nothing runs
//	Suspended  nothing is meant to run
//	Stuck      a run is overdue because an earlier one goes on and concurrencyPolicy is Forbid
//	Missed     a run was due and will never start: past its deadline, or passed over for a later one
//	Failing    the last run that ended did not succeed
//	Late       a run is overdue that the controller may still start
//	NeverRan   no run was due yet
//	OnTime     the last run that was due has started
const (
	ScheduleInvalid   ScheduleState = "Invalid"
	ScheduleSuspended ScheduleState = "Suspended"
	ScheduleStuck     ScheduleState = "Stuck"
	ScheduleMissed    ScheduleState = "Missed"
	ScheduleFailing   ScheduleState = "Failing"
	ScheduleLate      ScheduleState = "Late"
	ScheduleNeverRan  ScheduleState = "NeverRan"
	ScheduleOnTime    ScheduleState = "OnTime"
)

// ScheduleStates lists every ScheduleState.
func ScheduleStates() []ScheduleState {
	return []ScheduleState{
		ScheduleInvalid, ScheduleSuspended, ScheduleStuck, ScheduleMissed, ScheduleFailing, ScheduleLate, ScheduleNeverRan, ScheduleOnTime,
	}
}

// LateAfter is how long after its time a run counts as overdue. The controller starts runs within a second when it is idle; a busy
// one, or one that has just been elected, takes some more. A shorter startingDeadlineSeconds counts instead: what has not started by
// then never will.
const LateAfter = 30 * time.Second

// MaxMissed bounds how many missed runs are counted, as the controller bounds it.
const MaxMissed = 100

// nextRuns is how many runs to come are told.
const nextRuns = 3

// Cron is what of a CronJob its schedule's health depends on: some hundred bytes of it.
type Cron struct {
	Created      time.Time
	Schedule     string
	TimeZone     string         // empty: the zone of the controller manager
	Deadline     *time.Duration // after which a run is not started any more; nil: never
	Policy       batchv1.ConcurrencyPolicy
	FailedLimit  int       // how many failed Jobs are kept
	LastSchedule time.Time // when the run was due that was started last; zero: never
	LastSuccess  time.Time // when a run last ended with success; zero: never
	Active       []string  // the Jobs that the controller has in status.active. One started by hand is not among them.
	Suspended    bool
	Suspension   Suspension // of a suspended one
}

// Suspension says who suspended a CronJob.
type Suspension struct {
	Git    bool      // Git says so
	By     string    // a person, or a field manager; empty when that is not known
	Until  time.Time // when Kilter ends it; zero: nobody does
	Reason string    // why, as the person said
}

// ReadCronJob reduces a CronJob. Who suspended it is for those who know its owners to add.
func ReadCronJob(c *batchv1.CronJob) Cron {
	cron := Cron{
		Created: c.CreationTimestamp.Time, Schedule: c.Spec.Schedule, Policy: c.Spec.ConcurrencyPolicy,
		Suspended: c.Spec.Suspend != nil && *c.Spec.Suspend,
	}
	if c.Spec.TimeZone != nil {
		cron.TimeZone = *c.Spec.TimeZone
	}
	if seconds := c.Spec.StartingDeadlineSeconds; seconds != nil {
		deadline := time.Duration(*seconds) * time.Second
		cron.Deadline = &deadline
	}
	if limit := c.Spec.FailedJobsHistoryLimit; limit != nil {
		cron.FailedLimit = int(*limit)
	}
	if at := c.Status.LastScheduleTime; at != nil {
		cron.LastSchedule = at.Time
	}
	if at := c.Status.LastSuccessfulTime; at != nil {
		cron.LastSuccess = at.Time
	}
	for _, job := range c.Status.Active {
		cron.Active = append(cron.Active, job.Name)
	}
	return cron
}

// RunResult is how a run ended.
type RunResult string

// The results. A run whose Job is gone without a recorded success is Gone: it failed and was not kept, or somebody deleted it.
const (
	RunComplete RunResult = "Complete"
	RunFailed   RunResult = "Failed"
	RunGone     RunResult = "Gone"
)

// Run is what of a Job that a CronJob controls its schedule's health depends on.
type Run struct {
	Name     string
	Created  time.Time
	Finished time.Time // zero while it goes on
	Result   RunResult // empty while it goes on
	Reason   string    // why it failed, in the Job's own word
	Manual   bool      // started by hand
}

// ManualAnnotation on a Job of a CronJob, with the value "manual", says that somebody started it by hand, as kubectl create job --from
// does.
const ManualAnnotation = "cronjob.kubernetes.io/instantiate"

// ReadRun reduces a Job.
func ReadRun(j *batchv1.Job) Run {
	run := Run{Name: j.Name, Created: j.CreationTimestamp.Time, Manual: j.Annotations[ManualAnnotation] == "manual"}
	for _, c := range j.Status.Conditions {
		switch {
		case c.Status != "True":
		case c.Type == batchv1.JobComplete:
			run.Result, run.Finished = RunComplete, c.LastTransitionTime.Time
		case c.Type == batchv1.JobFailed:
			run.Result, run.Finished, run.Reason = RunFailed, c.LastTransitionTime.Time, jobFailed(j, c).Reason
		}
	}
	return run
}

// ScheduleInput is all that the health of a schedule depends on.
type ScheduleInput struct {
	Cron
	Runs []Run // the Jobs that the CronJob controls, in any order
	Now  time.Time
	// ControllerZone is that of the controller manager's process, in which schedules without a time zone are read; nil: UTC.
	ControllerZone *time.Location
}

// ScheduleHealth is the judgement on one schedule. Times are in the schedule's zone.
type ScheduleHealth struct {
	State        ScheduleState
	Reason       string // one line for people
	Zone         string // in which the schedule is read
	LastSchedule time.Time
	LastSuccess  time.Time
	LastResult   RunResult   // of the run that ended last; empty when none has
	Next         []time.Time // the next three runs; fewer when there are no more. Those during a suspension are left out.
	// CatchUp is a run that is past due and that the controller starts as soon as it can: now, or when the suspension or the run before
	// it ends. Zero when there is none.
	CatchUp  time.Time
	Missed   int // runs that were due since LastSchedule and will never start; MaxMissed stands for more
	Active   int
	Failures int // runs in a row that ended without success
	// Unkept says that there may have been more failures in a row: the CronJob keeps no more failed Jobs.
	Unkept bool
	// Until is when time alone may change State, Next or Missed; zero: never.
	Until time.Time
}

// ComputeSchedule judges whether a CronJob runs when it should, and with success. It is a pure function, and follows what the
// controller does (k8s.io/kubernetes/pkg/controller/cronjob): the newest run that was missed is made up for within
// startingDeadlineSeconds, those before it never are.
func ComputeSchedule(in ScheduleInput) ScheduleHealth {
	zone := in.ControllerZone
	if zone == nil {
		zone = time.UTC
	}
	h := ScheduleHealth{Active: len(in.Active)}
	h.results(in)
	t, err := newTimetable(in, zone)
	if err != nil {
		h.State, h.Zone, h.LastSchedule, h.LastSuccess = ScheduleInvalid, in.TimeZone, in.LastSchedule, in.LastSuccess
		h.Reason = "the controller cannot read the schedule, and starts nothing: " + oneLine(err.Error())
		return h
	}
	h.Zone = t.Zone().String()
	h.LastSchedule, h.LastSuccess = t.local(in.LastSchedule), t.local(in.LastSuccess)
	if in.Suspended {
		h.suspended(in, t)
	} else {
		h.running(in, t)
	}
	return h
}

// suspended fills in what is known of a schedule that does not run.
func (h *ScheduleHealth) suspended(in ScheduleInput, t timetable) {
	h.State = ScheduleSuspended
	end := in.Now
	if until := in.Suspension.Until; !until.IsZero() {
		if until.After(in.Now) {
			end, h.Until = until, until
		} else {
			h.Until = in.Now
		}
		h.Next = t.next(end)
	}
	h.CatchUp = t.startable(end)
	h.Reason = t.suspension(in, h.CatchUp) + h.failing()
}

// running judges a schedule that is not suspended.
func (h *ScheduleHealth) running(in ScheduleInput, t timetable) {
	h.Next = t.next(in.Now)
	h.CatchUp = t.startable(in.Now)
	h.Until = t.until(in.Now)
	overdue := t.runs(in.Now.Add(-t.grace()))
	held := in.Policy == batchv1.ForbidConcurrent && h.Active > 0
	h.Missed = overdue.count
	if 0 < h.Missed && h.Missed < MaxMissed && h.CatchUp.Equal(overdue.last) {
		h.Missed-- // the newest may still start
	}
	switch {
	case overdue.count > 0 && held:
		h.State, h.Reason = ScheduleStuck, t.stuck(in, overdue, h.CatchUp)+h.failing()
	case h.Missed > 0:
		h.State, h.Reason = ScheduleMissed, t.missed(h, overdue)+h.failing()
	case h.Failures > 0:
		h.State, h.Reason = ScheduleFailing, h.failed(in, t)
	case overdue.count > 0:
		h.State, h.Reason = ScheduleLate, t.late(in.Now, overdue.last)
	case in.LastSchedule.IsZero():
		h.State, h.Reason = ScheduleNeverRan, t.fresh(h)
	default:
		h.State, h.Reason = ScheduleOnTime, t.onTime(h)
	}
}

// results reads how the last runs ended from the Jobs that are left, and from what the controller recorded.
func (h *ScheduleHealth) results(in ScheduleInput) {
	var last Run
	failed, started := 0, false
	for _, run := range in.Runs {
		// The controller names a Job after the minute in which it was due.
		started = started || !run.Manual && !run.Created.Before(in.LastSchedule.Truncate(time.Minute))
		if run.Finished.After(last.Finished) {
			last = run
		}
		if run.Result == RunFailed {
			failed++
		}
	}
	succeeded := in.LastSuccess
	for _, run := range in.Runs {
		if run.Result == RunComplete && run.Finished.After(succeeded) {
			succeeded = run.Finished
		}
	}
	for _, run := range in.Runs {
		if run.Result == RunFailed && run.Finished.After(succeeded) {
			h.Failures++
		}
	}
	h.LastResult = last.Result
	if !succeeded.IsZero() && !last.Finished.After(succeeded) {
		h.LastResult = RunComplete // whether or not its Job is left
	}
	h.Unkept = h.Failures > 0 && h.Failures == failed && failed >= in.FailedLimit
	if !in.LastSchedule.IsZero() && h.Active == 0 && !started && succeeded.Before(in.LastSchedule) {
		h.LastResult, h.Failures, h.Unkept = RunGone, h.Failures+1, true
	}
}

// timetable is a schedule with the CronJob that it belongs to.
type timetable struct {
	*schedule.Schedule
	base     time.Time // runs up to then are done with: the last one that was started, or the CronJob's creation
	deadline *time.Duration
}

func newTimetable(in ScheduleInput, controller *time.Location) (timetable, error) {
	parsed, err := schedule.ParseStored(in.Schedule, in.TimeZone, controller)
	t := timetable{Schedule: parsed, base: in.Created, deadline: in.Deadline}
	if !in.LastSchedule.IsZero() {
		t.base = in.LastSchedule
	}
	return t, err
}

// grace is how long after its time a run counts as overdue.
func (t timetable) grace() time.Duration {
	if t.deadline != nil {
		return min(LateAfter, *t.deadline)
	}
	return LateAfter
}

// until returns when time alone may change the judgement of a schedule that runs: when a run is due, when one that is due counts as overdue, or
// when it will never start. Zero: never.
func (t timetable) until(now time.Time) time.Time {
	due := t.newest(now)
	if due.IsZero() {
		return t.Next(t.base)
	}
	first := t.Next(due)
	// A run is still on time at the very end of its grace, and past its deadline at the very end of that.
	turns := []time.Time{due.Add(t.grace() + time.Nanosecond)}
	if t.deadline != nil {
		turns = append(turns, due.Add(*t.deadline))
	}
	if !t.Next(t.base).Equal(due) {
		// Of several runs the controller may find another by its shortcut as time goes on: see startable. It counts from run to run, all of
		// which are at whole minutes, or as much as the deadline after them.
		turns = append(turns, now.Truncate(time.Minute).Add(time.Minute))
		if t.deadline != nil {
			turns = append(turns, now.Add(-*t.deadline).Truncate(time.Minute).Add(time.Minute+*t.deadline))
		}
	}
	for _, at := range turns {
		if at.After(now) && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}

// local returns a time in the schedule's zone; the zero time as it is.
func (t timetable) local(at time.Time) time.Time {
	if at.IsZero() {
		return at
	}
	return at.In(t.Zone())
}

// due are runs that were due and did not start: the first, the last, and how many; MaxMissed stands for more.
type due struct {
	first, last time.Time
	count       int
}

// runs returns the runs after base that were due before a time.
func (t timetable) runs(before time.Time) due {
	var d due
	for at := t.Next(t.base); !at.IsZero() && at.Before(before); at = t.Next(at) {
		if d.count == 0 {
			d.first = at
		}
		d.last = at
		if d.count++; d.count == MaxMissed {
			d.last = t.newest(before.Add(-time.Nanosecond))
			break
		}
	}
	return d
}

// newest returns the last run after base and not after a time; zero when there is none. It searches by halves rather than to go
// through all runs: there may be a million.
func (t timetable) newest(now time.Time) time.Time {
	if delay, every := t.Delay(); every {
		if n := now.Sub(t.base) / delay; n > 0 {
			return t.base.Add(n * delay).In(t.Zone())
		}
		return time.Time{}
	}
	after := func(seconds int) time.Time { return t.Next(t.base.Add(time.Duration(seconds) * time.Second)) }
	none := sort.Search(max(0, int(now.Sub(t.base).Seconds())), func(seconds int) bool {
		at := after(seconds)
		return at.IsZero() || at.After(now)
	})
	if none == 0 {
		return time.Time{}
	}
	return after(none - 1)
}

// next returns the next runs after a time, if nothing keeps them from starting.
func (t timetable) next(after time.Time) []time.Time {
	from := after
	if t.base.After(after) { // by a clock ahead of ours
		from = t.base
	} else if _, every := t.Delay(); every {
		if from = t.newest(after); from.IsZero() {
			from = t.base
		}
	}
	var runs []time.Time
	if t.never() {
		return runs
	}
	for at := t.Next(from); len(runs) < nextRuns && !at.IsZero(); at = t.Next(at) {
		runs = append(runs, at)
	}
	return runs
}

// startable returns the run that the controller starts at a time if nothing holds it back, or the zero time. It follows
// mostRecentScheduleTime in k8s.io/kubernetes/pkg/controller/cronjob/utils.go, with its shortcut: the controller reckons from the
// first two runs where the newest must be, and with uneven intervals it can look too late and find nothing.
func (t timetable) startable(now time.Time) time.Time {
	from := t.base
	if t.deadline != nil && now.Add(-*t.deadline).After(from) {
		from = now.Add(-*t.deadline)
	}
	first := t.Next(from)
	if first.IsZero() || now.Before(first) {
		return time.Time{}
	}
	second := t.Next(first)
	if second.IsZero() { // the controller takes this for a schedule that makes no sense
		return time.Time{}
	}
	if now.Before(second) {
		return first
	}
	interval := second.Sub(first).Round(time.Second)
	if interval < time.Second {
		return time.Time{}
	}
	reckoned := first.Add(now.Sub(first).Truncate(time.Second)/interval*interval - interval)
	var newest time.Time
	for at := t.Next(reckoned); !at.IsZero() && !at.After(now); at = t.Next(at) {
		newest = at
	}
	return newest
}

// never reports that no run is ever started: the controller counts from no earlier than the deadline before now, and the delay of an
// "@every" schedule is longer.
func (t timetable) never() bool {
	delay, every := t.Delay()
	return every && t.deadline != nil && *t.deadline < delay
}
