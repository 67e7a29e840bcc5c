package main

import (
	"context"
	"strconv"
	"time"

	"kilter.dev/kilter/reconcile/view"
)

// getJobs lists the Jobs that Syncs keep.
func getJobs(ctx context.Context, o *getOptions) error {
	jobs, err := o.reader.Jobs(ctx, o.where())
	if err != nil {
		return err
	}
	return show(o, listing[view.Job]{
		kind: "jobs", rows: jobs,
		key:    func(j view.Job) (namespace, name string) { return j.Namespace, j.Name },
		header: []string{"JOB", "SYNC", "RUN", "STATE", "RUNS", "OUTCOME", "EXIT", "STARTED", "DURATION", "REVISION"},
		cells:  func(j view.Job) []string { return jobCells(j, o.now) },
	})
}

func jobCells(j view.Job, now time.Time) []string {
	last := view.Run{}
	if j.Last != nil {
		last = *j.Last
	}
	state, runs := j.Reason, ""
	if j.Asked {
		state += ", rerun asked for"
	}
	if j.Runs > 0 {
		runs = strconv.Itoa(j.Runs)
	}
	return []string{
		j.Name, j.Sync, j.Policy, state, runs, string(last.Outcome), exitCell(last), started(last, now), length(last.Took(now)),
		view.ShortRevision(last.Revision),
	}
}

// exitCell is the exit code of a run's last container; nothing where it is not known.
func exitCell(r view.Run) string {
	if r.Container == nil {
		return ""
	}
	return strconv.Itoa(int(r.Container.ExitCode))
}

// started is how long ago a run began; nothing where it has not.
func started(r view.Run, now time.Time) string {
	if r.Start == nil {
		return ""
	}
	return age(r.Start.Time, now)
}
