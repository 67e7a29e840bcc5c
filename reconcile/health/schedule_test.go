package health

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kilter.dev/kilter/internal/golden"
)

// when reads "2026-09-01 12:00" or "2026-09-01 12:00:30" as UTC, and with "+0200" after it in that offset.
func when(text string) time.Time {
	for _, layout := range []string{"2006-01-02 15:04", "2006-01-02 15:04:05", "2006-01-02 15:04 -0700", "2006-01-02 15:04:05 -0700"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at
		}
	}
	panic("no time: " + text)
}

// change is one thing that is special in a case.
type change func(*ScheduleInput)

func zone(name string) change      { return func(in *ScheduleInput) { in.TimeZone = name } }
func created(at string) change     { return func(in *ScheduleInput) { in.Created = when(at) } }
func started(at string) change     { return func(in *ScheduleInput) { in.LastSchedule = when(at) } }
func succeeded(at string) change   { return func(in *ScheduleInput) { in.LastSuccess = when(at) } }
func active(jobs ...string) change { return func(in *ScheduleInput) { in.Active = jobs } }
func keeps(failed int) change      { return func(in *ScheduleInput) { in.FailedLimit = failed } }

func policy(p batchv1.ConcurrencyPolicy) change { return func(in *ScheduleInput) { in.Policy = p } }

func deadline(d time.Duration) change { return func(in *ScheduleInput) { in.Deadline = &d } }

func controllerIn(name string) change {
	return func(in *ScheduleInput) {
		zone, err := time.LoadLocation(name)
		if err != nil {
			panic(err)
		}
		in.ControllerZone = zone
	}
}

func suspended(s Suspension) change {
	return func(in *ScheduleInput) { in.Suspended, in.Suspension = true, s }
}

// ran adds a Job of each time that ended a minute later.
func ran(result RunResult, at ...string) change {
	return func(in *ScheduleInput) {
		for _, text := range at {
			run := Run{Name: "job-" + when(text).Format("1504"), Created: when(text).Add(time.Second), Result: result, Finished: when(text).Add(time.Minute)}
			if result == RunFailed {
				run.Reason = "BackoffLimitExceeded"
			}
			in.Runs = append(in.Runs, run)
		}
	}
}

// byHand makes the Job added last one that somebody started.
func byHand(in *ScheduleInput) { in.Runs[len(in.Runs)-1].Manual = true }

// goesOn adds the Job of a time that has not ended.
func goesOn(at string) change {
	return func(in *ScheduleInput) {
		name := "job-" + when(at).Format("1504")
		in.Active = append(in.Active, name)
		in.Runs = append(in.Runs, Run{Name: name, Created: when(at).Add(time.Second)})
	}
}

const (
	berlin   = "Europe/Berlin"       // 2026-03-29 02:00 to 03:00, 2026-10-25 03:00 to 02:00
	newYork  = "America/New_York"    // 2026-03-08 02:00 to 03:00, 2026-11-01 02:00 to 01:00
	lordHowe = "Australia/Lord_Howe" // by half an hour: 2026-04-05 02:00 to 01:30, 2026-10-04 02:00 to 02:30
)

// Unless a case says so, the CronJob was created on 1 January 2026, has no time zone, no deadline and policy Allow, and keeps one failed Job.
var scheduleCases = []struct {
	name     string
	schedule string
	now      string
	changes  []change
}{
	// Nothing was due yet.
	{"never-ran", "0 3 * * *", "2026-09-01 12:00", []change{created("2026-09-01 11:00")}},
	{"never-ran-created-at-the-minute", "0 3 * * *", "2026-09-01 03:00:20", []change{created("2026-09-01 03:00")}},
	{"never-ran-first-run-within-grace", "0 3 * * *", "2026-09-01 03:00:20", []change{created("2026-09-01 02:00")}},
	{"never-ran-first-run-late", "0 3 * * *", "2026-09-01 03:00:40", []change{created("2026-09-01 02:00")}},
	{"never-fires", "0 0 30 2 *", "2026-09-01 12:00", nil},
	{"never-fires-any-more", "0 0 30 2 *", "2026-09-01 12:00", []change{started("2026-08-31 12:00"), ran(RunComplete, "2026-08-31 12:00")}},
	{"never-ran-but-by-hand", "0 3 * * *", "2026-09-01 12:00", []change{created("2026-09-01 11:00"), ran(RunComplete, "2026-09-01 11:30"), byHand}},
	{"never-ran-and-failed-by-hand", "0 3 * * *", "2026-09-01 12:00", []change{created("2026-09-01 11:00"), ran(RunFailed, "2026-09-01 11:30"), byHand}},
	{"leap-day", "0 0 29 2 *", "2026-09-01 12:00", nil},

	// On time.
	{"on-time", "*/15 * * * *", "2026-09-01 12:10", []change{started("2026-09-01 12:00"), succeeded("2026-09-01 12:01"), ran(RunComplete, "2026-09-01 12:00")}},
	{"on-time-running", "*/15 * * * *", "2026-09-01 12:10", []change{started("2026-09-01 12:00"), goesOn("2026-09-01 12:00")}},
	{"on-time-running-beyond-history", "*/15 * * * *", "2026-09-01 12:10", []change{
		started("2026-09-01 12:00"), succeeded("2026-09-01 11:46"), goesOn("2026-09-01 12:00"),
	}},
	{"on-time-within-grace", "*/15 * * * *", "2026-09-01 12:15:29", []change{started("2026-09-01 12:00"), succeeded("2026-09-01 12:01")}},
	{"on-time-success-whose-job-is-gone", "*/15 * * * *", "2026-09-01 12:10", []change{started("2026-09-01 12:00"), succeeded("2026-09-01 12:01")}},
	{"on-time-clock-behind-the-controllers", "*/15 * * * *", "2026-09-01 11:59:58", []change{started("2026-09-01 12:00"), goesOn("2026-09-01 12:00")}},
	{"on-time-every-minute", "* * * * *", "2026-09-01 12:10:59", []change{started("2026-09-01 12:10"), succeeded("2026-09-01 12:10:05")}},
	{"on-time-descriptor", "@daily", "2026-09-01 12:10", []change{started("2026-09-01 00:00"), succeeded("2026-09-01 00:05")}},
	{"on-time-every-counts-from-the-last", "@every 90m", "2026-09-01 12:10", []change{started("2026-09-01 11:13:07"), succeeded("2026-09-01 11:14")}},

	// Late: it may still start.
	{"late", "0 * * * *", "2026-09-01 12:00:31", []change{started("2026-09-01 11:00"), succeeded("2026-09-01 11:01")}},
	{"late-half-an-hour", "0 * * * *", "2026-09-01 12:30", []change{started("2026-09-01 11:00"), succeeded("2026-09-01 11:01")}},
	{"late-within-a-long-deadline", "0 * * * *", "2026-09-01 12:30", []change{
		started("2026-09-01 11:00"), succeeded("2026-09-01 11:01"), deadline(time.Hour),
	}},
	{"late-every", "@every 90m", "2026-09-01 12:44", []change{started("2026-09-01 11:13:07"), succeeded("2026-09-01 11:14")}},
	{"late-while-allowed-run-goes-on", "0 * * * *", "2026-09-01 12:01", []change{started("2026-09-01 11:00"), goesOn("2026-09-01 11:00")}},
	{"late-replace-does-not-wait", "0 * * * *", "2026-09-01 12:01", []change{
		policy(batchv1.ReplaceConcurrent), started("2026-09-01 11:00"), goesOn("2026-09-01 11:00"),
	}},

	// Missed: it will never start.
	{"missed-past-deadline", "0 * * * *", "2026-09-01 12:05", []change{started("2026-09-01 11:00"), succeeded("2026-09-01 11:01"), deadline(time.Minute)}},
	{"missed-past-deadline-of-seconds", "0 * * * *", "2026-09-01 12:00:11", []change{
		started("2026-09-01 11:00"), succeeded("2026-09-01 11:01"), deadline(10 * time.Second),
	}},
	{"missed-not-yet-at-the-deadline", "0 * * * *", "2026-09-01 12:00:10", []change{
		started("2026-09-01 11:00"), succeeded("2026-09-01 11:01"), deadline(10 * time.Second),
	}},
	{"missed-passed-over-for-a-later-one", "0 * * * *", "2026-09-01 14:20", []change{started("2026-09-01 11:00"), succeeded("2026-09-01 11:01")}},
	{"missed-while-the-newest-is-within-grace", "* * * * *", "2026-09-01 12:02:05", []change{started("2026-09-01 12:00"), succeeded("2026-09-01 12:00:30")}},
	{"missed-first-of-all", "0 3 * * *", "2026-09-01 12:00", []change{created("2026-09-01 02:00"), deadline(time.Minute)}},
	{"missed-99", "* * * * *", "2026-09-01 13:40:30", []change{started("2026-09-01 12:00"), succeeded("2026-09-01 12:00:30")}},
	{"missed-more-than-100", "* * * * *", "2026-09-01 15:00:45", []change{started("2026-09-01 12:00"), succeeded("2026-09-01 12:00:30")}},
	{"missed-for-years", "* * * * *", "2036-09-01 15:00:45", []change{started("2026-09-01 12:00"), succeeded("2026-09-01 12:00:30")}},
	{"missed-deadline-hides-all-but-one", "* * * * *", "2026-09-01 15:00:45", []change{
		started("2026-09-01 12:00"), succeeded("2026-09-01 12:00:30"), deadline(50 * time.Second),
	}},
	{"missed-every-with-too-short-a-deadline", "@every 1h", "2026-09-01 12:30", []change{created("2026-09-01 11:00"), deadline(100 * time.Second)}},
	{"never-starts-every-with-too-short-a-deadline", "@every 1h", "2026-09-01 11:30", []change{created("2026-09-01 11:00"), deadline(100 * time.Second)}},
	{"missed-controller-reckons-too-late", "0,1 0 * * *", "2026-09-01 12:00", []change{started("2026-08-31 00:01"), succeeded("2026-08-31 00:02")}},
	{"missed-and-failing", "0 * * * *", "2026-09-01 12:05", []change{
		started("2026-09-01 11:00"), ran(RunFailed, "2026-09-01 11:00"), deadline(time.Minute),
	}},
	{"missed-after-an-edit-to-more-often", "*/5 * * * *", "2026-09-01 12:02", []change{started("2026-08-31 18:00"), succeeded("2026-08-31 18:01")}},

	// Stuck: an earlier run goes on.
	{"stuck-one-run", "*/5 * * * *", "2026-09-01 12:06", []change{policy(batchv1.ForbidConcurrent), started("2026-09-01 12:00"), goesOn("2026-09-01 12:00")}},
	{"stuck-for-hours", "*/5 * * * *", "2026-09-01 14:01", []change{policy(batchv1.ForbidConcurrent), started("2026-09-01 12:00"), goesOn("2026-09-01 12:00")}},
	{"stuck-for-days", "*/5 * * * *", "2026-09-04 14:01", []change{policy(batchv1.ForbidConcurrent), started("2026-09-01 12:00"), goesOn("2026-09-01 12:00")}},
	{"stuck-with-a-deadline", "*/5 * * * *", "2026-09-01 14:04", []change{
		policy(batchv1.ForbidConcurrent), deadline(time.Minute), started("2026-09-01 12:00"), goesOn("2026-09-01 12:00"),
	}},
	{"stuck-not-within-grace", "*/5 * * * *", "2026-09-01 12:05:10", []change{
		policy(batchv1.ForbidConcurrent), started("2026-09-01 12:00"), goesOn("2026-09-01 12:00"),
	}},
	{"stuck-behind-a-job-that-nobody-knows", "*/5 * * * *", "2026-09-01 12:06", []change{
		policy(batchv1.ForbidConcurrent), started("2026-09-01 12:00"), active("old"), ran(RunFailed, "2026-09-01 12:00"),
	}},
	{"stuck-is-not-behind-a-run-by-hand", "*/5 * * * *", "2026-09-01 12:06", []change{
		policy(batchv1.ForbidConcurrent), started("2026-09-01 12:00"), succeeded("2026-09-01 12:01"),
		goesOn("2026-09-01 12:02"), byHand, active(),
	}},

	// Failing, and recovering.
	{"failing-once", "0 * * * *", "2026-09-01 12:10", []change{
		started("2026-09-01 12:00"), succeeded("2026-09-01 11:01"), keeps(3), ran(RunComplete, "2026-09-01 11:00"), ran(RunFailed, "2026-09-01 12:00"),
	}},
	{"failing-in-a-row", "0 * * * *", "2026-09-01 12:10", []change{
		started("2026-09-01 12:00"), succeeded("2026-09-01 09:01"), keeps(5), ran(RunFailed, "2026-09-01 10:00", "2026-09-01 12:00", "2026-09-01 11:00"),
	}},
	{"failing-more-than-are-kept", "0 * * * *", "2026-09-01 12:10", []change{
		started("2026-09-01 12:00"), succeeded("2026-08-01 09:01"), ran(RunFailed, "2026-09-01 12:00"),
	}},
	{"failing-from-the-first", "0 * * * *", "2026-09-01 12:10", []change{started("2026-09-01 12:00"), keeps(3), ran(RunFailed, "2026-09-01 12:00")}},
	{"failing-while-the-next-goes-on", "0 * * * *", "2026-09-01 12:10", []change{
		started("2026-09-01 12:00"), succeeded("2026-09-01 10:01"), keeps(3), ran(RunFailed, "2026-09-01 11:00"), goesOn("2026-09-01 12:00"),
	}},
	{"failing-and-late", "0 * * * *", "2026-09-01 13:10", []change{
		started("2026-09-01 12:00"), succeeded("2026-09-01 11:01"), keeps(3), ran(RunFailed, "2026-09-01 12:00"),
	}},
	{"failing-keeps-no-failed-job", "0 * * * *", "2026-09-01 12:10", []change{started("2026-09-01 12:00"), succeeded("2026-09-01 11:01"), keeps(0)}},
	{"failing-job-deleted-after-an-earlier-failure", "0 * * * *", "2026-09-01 12:10", []change{
		started("2026-09-01 12:00"), succeeded("2026-09-01 10:01"), keeps(3), ran(RunFailed, "2026-09-01 11:00"),
	}},
	{"recovered", "0 * * * *", "2026-09-01 13:10", []change{
		started("2026-09-01 13:00"), succeeded("2026-09-01 13:01"), keeps(3), ran(RunFailed, "2026-09-01 11:00", "2026-09-01 12:00"),
		ran(RunComplete, "2026-09-01 13:00"),
	}},
	{"recovered-by-hand", "0 * * * *", "2026-09-01 12:10", []change{
		started("2026-09-01 12:00"), keeps(3), ran(RunFailed, "2026-09-01 12:00"), ran(RunComplete, "2026-09-01 12:05"), byHand,
	}},
	{"recovered-before-the-controller-noted-it", "0 * * * *", "2026-09-01 12:10", []change{
		started("2026-09-01 12:00"), succeeded("2026-09-01 10:01"), keeps(3), ran(RunFailed, "2026-09-01 11:00"), ran(RunComplete, "2026-09-01 12:00"),
	}},

	// Suspended.
	{"suspended-by-git", "0 * * * *", "2026-09-01 12:10", []change{
		started("2026-09-01 12:00"), succeeded("2026-09-01 12:01"), suspended(Suspension{Git: true}),
	}},
	{"suspended-by-hand", "0 * * * *", "2026-09-01 14:10", []change{
		started("2026-09-01 12:00"), succeeded("2026-09-01 12:01"), suspended(Suspension{By: "hand (kubectl-patch)"}),
	}},
	{"suspended-by-whom-nobody-knows", "0 * * * *", "2026-09-01 14:10", []change{
		started("2026-09-01 12:00"), succeeded("2026-09-01 12:01"), deadline(time.Minute), suspended(Suspension{}),
	}},
	{"suspended-until", "0 * * * *", "2026-09-01 12:10", []change{
		started("2026-09-01 12:00"), succeeded("2026-09-01 12:01"),
		suspended(Suspension{By: "alice", Until: when("2026-09-01 14:20"), Reason: "the database moves"}),
	}},
	{"suspended-until-with-a-deadline", "0 * * * *", "2026-09-01 12:10", []change{
		started("2026-09-01 12:00"), succeeded("2026-09-01 12:01"), deadline(time.Minute), zone(berlin),
		suspended(Suspension{By: "alice", Until: when("2026-09-01 14:20")}),
	}},
	{"suspended-until-is-over", "0 * * * *", "2026-09-01 14:30", []change{
		started("2026-09-01 12:00"), succeeded("2026-09-01 12:01"), suspended(Suspension{By: "alice", Until: when("2026-09-01 14:20")}),
	}},
	{"suspended-and-failing", "0 * * * *", "2026-09-01 12:10", []change{
		started("2026-09-01 12:00"), keeps(3), ran(RunFailed, "2026-09-01 12:00"), suspended(Suspension{Git: true}),
	}},

	// Zones.
	{"zone-of-the-spec", "0 3 * * *", "2026-09-01 01:10", []change{zone(berlin), started("2026-09-01 01:00"), succeeded("2026-09-01 01:01")}},
	{"zone-of-the-controller", "0 3 * * *", "2026-09-01 01:10", []change{controllerIn(berlin), started("2026-09-01 01:00"), succeeded("2026-09-01 01:01")}},
	{"zone-of-the-spec-before-the-controllers", "0 3 * * *", "2026-09-01 01:10", []change{
		zone("Asia/Tokyo"), controllerIn(berlin), started("2026-08-31 18:00"), succeeded("2026-08-31 18:01"),
	}},
	{"zone-within-the-schedule", "TZ=Europe/Berlin 0 3 * * *", "2026-09-01 01:10", []change{started("2026-09-01 01:00"), succeeded("2026-09-01 01:01")}},
	{"zone-of-half-an-hour", "0 3 * * *", "2026-09-01 12:10", []change{zone("Asia/Kolkata"), started("2026-08-31 21:30"), succeeded("2026-08-31 21:31")}},

	// Berlin: the hour that is not there, and the one that comes twice.
	{"berlin-spring-skips", "30 2 * * *", "2026-03-29 12:00", []change{zone(berlin), started("2026-03-28 01:30"), succeeded("2026-03-28 01:31")}},
	{"berlin-spring-skips-with-a-deadline", "30 2 * * *", "2026-03-30 00:29 +0200", []change{
		zone(berlin), deadline(time.Minute), started("2026-03-28 01:30"), succeeded("2026-03-28 01:31"),
	}},
	{"berlin-spring-on-the-new-hour", "0 3 * * *", "2026-03-29 03:00:10 +0200", []change{zone(berlin), started("2026-03-28 02:00"), succeeded("2026-03-28 02:01")}},
	{"berlin-spring-hourly", "30 * * * *", "2026-03-29 03:30:10 +0200", []change{zone(berlin), started("2026-03-29 01:30 +0100"), succeeded("2026-03-29 01:31 +0100")}},
	{"berlin-autumn-between-the-two", "30 2 * * *", "2026-10-25 02:10 +0100", []change{
		zone(berlin), started("2026-10-25 02:30 +0200"), succeeded("2026-10-25 02:31 +0200"),
	}},
	{"berlin-autumn-repeats", "30 2 * * *", "2026-10-25 02:45 +0100", []change{
		zone(berlin), started("2026-10-25 02:30 +0200"), succeeded("2026-10-25 02:31 +0200"),
	}},
	{"berlin-autumn-both-missed", "30 2 * * *", "2026-10-25 09:00 +0100", []change{
		zone(berlin), deadline(time.Minute), started("2026-10-24 02:30 +0200"), succeeded("2026-10-24 02:31 +0200"),
	}},
	{"berlin-autumn-midnight-is-far", "0 0 * * *", "2026-10-25 12:00", []change{zone(berlin), started("2026-10-25 00:00 +0200"), succeeded("2026-10-25 00:01 +0200")}},

	// New York.
	{"new-york-spring-skips", "30 2 * * *", "2026-03-08 12:00 -0400", []change{zone(newYork), started("2026-03-07 02:30 -0500"), succeeded("2026-03-07 02:31 -0500")}},
	{"new-york-spring-weekly-skips-a-week", "30 2 * * 0", "2026-03-08 12:00 -0400", []change{
		zone(newYork), started("2026-03-01 02:30 -0500"), succeeded("2026-03-01 02:31 -0500"),
	}},
	{"new-york-autumn-repeats", "30 1 * * *", "2026-11-01 01:45 -0500", []change{
		zone(newYork), started("2026-11-01 01:30 -0400"), succeeded("2026-11-01 01:31 -0400"),
	}},
	{"new-york-autumn-stuck-over-the-repeat", "30 1 * * *", "2026-11-01 01:45 -0500", []change{
		zone(newYork), policy(batchv1.ForbidConcurrent), started("2026-11-01 01:30 -0400"), goesOn("2026-11-01 01:30 -0400"),
	}},
	{"new-york-autumn-next-runs", "*/30 1 * * *", "2026-11-01 00:50 -0400", []change{
		zone(newYork), started("2026-10-31 01:30 -0400"), succeeded("2026-10-31 01:31 -0400"),
	}},
	{"new-york-suspended-over-the-gap", "30 2 * * *", "2026-03-07 12:00 -0500", []change{
		zone(newYork), started("2026-03-07 02:30 -0500"), succeeded("2026-03-07 02:31 -0500"),
		suspended(Suspension{By: "alice", Until: when("2026-03-08 12:00 -0400")}),
	}},

	// Lord Howe moves its clocks by half an hour.
	{"lord-howe-spring-skips", "15 2 * * *", "2026-10-04 12:00 +1100", []change{zone(lordHowe), started("2026-10-03 02:15 +1030"), succeeded("2026-10-03 02:16 +1030")}},
	{"lord-howe-spring-keeps", "45 2 * * *", "2026-10-04 02:45:10 +1100", []change{
		zone(lordHowe), started("2026-10-03 02:45 +1030"), succeeded("2026-10-03 02:46 +1030"),
	}},
	{"lord-howe-autumn-repeats", "45 1 * * *", "2026-04-05 01:50 +1030", []change{
		zone(lordHowe), started("2026-04-05 01:45 +1100"), succeeded("2026-04-05 01:46 +1100"),
	}},
	{"lord-howe-autumn-does-not-repeat", "15 1 * * *", "2026-04-05 12:00 +1030", []change{
		zone(lordHowe), started("2026-04-05 01:15 +1100"), succeeded("2026-04-05 01:16 +1100"),
	}},
	{"lord-howe-autumn-both-missed", "45 1 * * *", "2026-04-05 12:00 +1030", []change{
		zone(lordHowe), deadline(10 * time.Minute), started("2026-04-04 01:45 +1100"), succeeded("2026-04-04 01:46 +1100"),
	}},

	// What the controller cannot read.
	{"invalid-zone", "0 3 * * *", "2026-09-01 12:00", []change{zone("Mars/Olympus"), started("2026-09-01 03:00"), succeeded("2026-09-01 03:01")}},
	{"invalid-schedule", "0 3 * *", "2026-09-01 12:00", nil},
	{"invalid-zone-within-the-schedule", "TZ=UTC", "2026-09-01 12:00", nil},
	{"invalid-although-suspended", "0 25 * * *", "2026-09-01 12:00", []change{suspended(Suspension{Git: true})}},
}

func TestComputeSchedule(t *testing.T) {
	seen := map[ScheduleState]bool{}
	for _, c := range scheduleCases {
		t.Run(c.name, func(t *testing.T) {
			in := ScheduleInput{Now: when(c.now), Cron: Cron{Schedule: c.schedule, Created: when("2026-01-01 00:00"), FailedLimit: 1}}
			in.Policy = batchv1.AllowConcurrent
			for _, change := range c.changes {
				change(&in)
			}
			h := ComputeSchedule(in)
			seen[h.State] = true
			if h.Reason == "" && h.State != ScheduleOnTime {
				t.Error("no reason is given")
			}
			golden.Check(t, filepath.Join("testdata", "schedule", c.name+".golden"), render(in, h))
		})
	}
	for _, state := range ScheduleStates() {
		if !seen[state] {
			t.Errorf("no case is %s", state)
		}
	}
	if len(seen) != len(ScheduleStates()) {
		t.Errorf("the states are not a closed set: %v", seen)
	}
}

// render shows the question and the answer.
func render(in ScheduleInput, h ScheduleHealth) string {
	var b strings.Builder
	const layout = "Mon 2006-01-02 15:04:05 -0700"
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-13s %s\n", name, value)
		}
	}
	zone := in.Now.Location()
	if found, err := time.LoadLocation(h.Zone); err == nil {
		zone = found
	}
	at := func(when time.Time) string {
		if when.IsZero() {
			return ""
		}
		return when.Format(layout)
	}
	line("schedule", in.Schedule)
	line("now", at(in.Now.In(zone)))
	b.WriteByte('\n')
	line("state", string(h.State))
	line("reason", h.Reason)
	line("zone", h.Zone)
	line("last schedule", at(h.LastSchedule))
	line("last success", at(h.LastSuccess))
	line("last result", string(h.LastResult))
	for _, next := range h.Next {
		line("next", at(next))
	}
	line("catch up", at(h.CatchUp))
	fmt.Fprintf(&b, "%-13s %d missed, %d active, %d failures", "counts", h.Missed, h.Active, h.Failures)
	if h.Unkept {
		b.WriteString(" or more")
	}
	b.WriteByte('\n')
	return b.String()
}

// What is read from the objects, on fixtures that a cluster gave.
func TestReadSchedule(t *testing.T) {
	suspend, zone, seconds, limit := true, berlin, int64(90), int32(2)
	at := metav1.NewTime(when("2026-09-01 12:00"))
	cron := ReadCronJob(&batchv1.CronJob{
		ObjectMeta: metav1.ObjectMeta{CreationTimestamp: at},
		Spec: batchv1.CronJobSpec{
			Schedule: "0 3 * * *", TimeZone: &zone, Suspend: &suspend, StartingDeadlineSeconds: &seconds, FailedJobsHistoryLimit: &limit,
			ConcurrencyPolicy: batchv1.ForbidConcurrent,
		},
		Status: batchv1.CronJobStatus{LastScheduleTime: &at, LastSuccessfulTime: &at, Active: []corev1.ObjectReference{{Name: "report-1"}}},
	})
	got := fmt.Sprintf("%s %s %s %s %d %v %v", cron.Schedule, cron.TimeZone, cron.Deadline, cron.Policy, cron.FailedLimit, cron.Active, cron.Suspended)
	if want := "0 3 * * * Europe/Berlin 1m30s Forbid 2 [report-1] true"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for name, c := range map[string]struct {
		conditions []batchv1.JobCondition
		want       Run
	}{
		"goes on":  {nil, Run{Manual: true}},
		"target":   {[]batchv1.JobCondition{{Type: batchv1.JobFailureTarget, Status: "True"}}, Run{Manual: true}},
		"complete": {[]batchv1.JobCondition{{Type: batchv1.JobComplete, Status: "True", LastTransitionTime: at}}, Run{Manual: true, Result: RunComplete, Finished: at.Time}},
		"failed": {
			[]batchv1.JobCondition{{Type: batchv1.JobFailed, Status: "True", Reason: "MadeUp", LastTransitionTime: at}},
			Run{Manual: true, Result: RunFailed, Finished: at.Time, Reason: ReasonJobFailed},
		},
	} {
		job := batchv1.Job{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{ManualAnnotation: "manual"}}}
		job.Status.Conditions = c.conditions
		if got := ReadRun(&job); got != c.want {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}

// The shortcuts agree with going through all runs one by one, in any zone and over any change of the clocks.
func TestTimetableAgreesWithEveryRun(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(all ...string) string { return all[random.IntN(len(all))] }
	field := func(size int) string {
		return pick("*", "*/7", fmt.Sprint(random.IntN(size)), fmt.Sprintf("%d,%d", random.IntN(size), random.IntN(size)))
	}
	for range 2000 {
		in := ScheduleInput{Now: when("2026-01-01 00:00").Add(time.Duration(random.IntN(365*24*3600)) * time.Second)}
		in.Schedule = strings.Join([]string{field(60), field(24), pick("*", "*", "1-7"), "*", pick("*", "*", "0", "6")}, " ")
		if random.IntN(10) == 0 {
			in.Schedule = fmt.Sprintf("@every %ds", 1+random.IntN(9999))
		}
		in.TimeZone = pick("UTC", berlin, newYork, lordHowe, "America/Santiago", "Asia/Tokyo")
		in.LastSchedule = in.Now.Add(-time.Duration(random.IntN(3*24*3600)) * time.Second)
		if random.IntN(2) == 0 {
			limit := time.Duration(random.IntN(7200)) * time.Second
			in.Deadline = &limit
		}
		table, err := newTimetable(in, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		var every []time.Time
		for at := table.Next(in.LastSchedule); !at.IsZero() && !at.After(in.Now); at = table.Next(at) {
			every = append(every, at)
		}
		var last time.Time
		if len(every) > 0 {
			last = every[len(every)-1]
		}
		question := fmt.Sprintf("%q in %s, from %s to %s", in.Schedule, in.TimeZone, in.LastSchedule, in.Now)
		if got := table.newest(in.Now); !got.Equal(last) {
			t.Errorf("%s: the newest run is %s, want %s", question, got, last)
		}
		if got := table.runs(in.Now.Add(time.Nanosecond)); got.count != min(len(every), MaxMissed) || got.count > 0 && !got.last.Equal(last) {
			t.Errorf("%s: %d runs, the last at %s; want %d, %s", question, got.count, got.last, len(every), last)
		}
		got := table.startable(in.Now)
		if !got.IsZero() && in.Deadline != nil && got.Add(*in.Deadline).Before(in.Now) {
			t.Errorf("%s: the run of %s would start after its deadline", question, got)
		}
		if _, delayed := table.Delay(); !got.IsZero() && !delayed && !got.Equal(last) {
			t.Errorf("%s: the run of %s would start, and the newest is %s", question, got, last)
		}
	}
}
