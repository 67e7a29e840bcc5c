package main

import (
	"fmt"

	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/reconcile/health"
)

// workloads are Jobs, CronJobs, and rollouts that wait for somebody.
func workloads() board {
	return board{
		name: "workloads", title: "Jobs and CronJobs", description: "Runs, schedules, and pods that wait for somebody to delete them.",
		variables: chooseSyncs(true),
		rows: []row{
			{"Now", []panel{
				wide(number("Jobs failed", "Jobs whose last run failed. None is run again by itself.", "short",
					countOr0(`max by (namespace, job_name) (kilter_job_last_run_outcome{`+ofObject+`, outcome="Failed"}) == 1`), 1, "KilterJobFailed")),
				wide(number("CronJobs failing", "CronJobs whose last run that ended did not succeed.", "short",
					countOr0(`max by (namespace, cronjob) (kilter_cronjob_consecutive_failures{`+ofObject+`}) > 0`), 1, "KilterCronJobFailing")),
				wide(number("CronJobs off schedule", "CronJobs that are late, stuck behind an earlier run, have missed one, or cannot be read by their controller.", "short",
					countOr0(`max by (namespace, cronjob) (kilter_cronjob_state{`+ofObject+`, state=~"Late|Stuck|Missed|Invalid"}) == 1`), 1,
					"KilterCronJobLate", "KilterCronJobStuck", "KilterCronJobMissed", "KilterCronJobInvalid")),
				wide(number("Outdated pods", "Pods of DaemonSets and StatefulSets that run an older template: with OnDelete until somebody deletes them.", "short",
					fmt.Sprintf("sum(kilter_daemonset_outdated_pods{%[1]s} or kilter_statefulset_outdated_pods{%[1]s}) or vector(0)", ofObject), 1, "KilterDaemonSetOutdated")),
			}},
			{"Jobs", jobs()},
			{"CronJobs", cronJobs()},
			{"Rollouts", []panel{
				lines("Outdated pods", "Pods that do not run the newest template, for each rollout that is not simply done.", "short",
					query{expr: "max by (namespace, daemonset) (kilter_daemonset_outdated_pods{" + ofObject + "})", legend: "DaemonSet {{namespace}}/{{daemonset}}"},
					query{expr: "max by (namespace, statefulset) (kilter_statefulset_outdated_pods{" + ofObject + "})", legend: "StatefulSet {{namespace}}/{{statefulset}}"}).
					about("KilterDaemonSetOutdated"),
			}},
		},
	}
}

func jobs() []panel {
	const by = "namespace, job_name"
	outcome, words := states("kilter_job_last_run_outcome", ofObject, "outcome", by,
		[]diff.Outcome{"Running", diff.Complete, diff.Failed, diff.Replaced, diff.Deleted, diff.Unknown},
		map[diff.Outcome]string{"Running": "blue", diff.Complete: "green", diff.Replaced: "text", diff.Deleted: "yellow", diff.Unknown: "yellow"})
	of := func(metric string) string { return "max by (" + by + ") (" + metric + "{" + ofObject + "})" }
	return []panel{
		{
			kind: table, title: "Last runs", description: "The last run of each Job in Git. `kilter history` has the exit code and the last lines of the log.",
			width: 24, height: 8, labels: []string{"namespace", "job_name"}, runbooks: []string{"KilterJobFailed"},
			queries: []query{
				{column: "Outcome", unit: "short", words: words, expr: outcome},
				{column: "Started", unit: "dateTimeFromNow", expr: "1000 * " + of("kilter_job_last_run_start_timestamp_seconds")},
				{column: "Ended", unit: "dateTimeFromNow", expr: "1000 * " + of("kilter_job_last_run_completion_timestamp_seconds")},
				{column: "Took", unit: "s", expr: of("kilter_job_last_run_duration_seconds")},
			},
		},
		{
			kind: stateTimeline, title: "Outcome over time", description: "The outcome of each Job's last run.", unit: "short", width: 24, height: 8,
			queries: []query{{expr: outcome, legend: "{{namespace}}/{{job_name}}"}}, words: words, runbooks: []string{"KilterJobFailed"},
		},
		lines("Runs that ended", "By outcome, in each step of the graph.", "short",
			query{expr: "sum by (outcome) (increase(kilter_job_runs_total{" + ofSync + "}[$__rate_interval]))", legend: "{{outcome}}"}).about("KilterJobFailed"),
		lines("Duration of the last run", "How long the last run of each Job took.", "s",
			query{expr: of("kilter_job_last_run_duration_seconds"), legend: "{{namespace}}/{{job_name}}"}),
	}
}

func cronJobs() []panel {
	const by = "namespace, cronjob"
	state, words := states("kilter_cronjob_state", ofObject, "state", by, health.ScheduleStates(), map[health.ScheduleState]string{
		health.ScheduleOnTime: "green", health.ScheduleNeverRan: "blue", health.ScheduleSuspended: "text", health.ScheduleLate: "yellow",
	})
	of := func(metric string) string { return "max by (" + by + ") (" + metric + "{" + ofObject + "})" }
	return []panel{
		{
			kind: table, title: "Schedules", description: "Each CronJob in Git. `kilter get cronjobs` says in a sentence how its schedule stands.",
			width: 24, height: 8, labels: []string{"namespace", "cronjob"},
			runbooks: []string{"KilterCronJobFailing", "KilterCronJobMissed", "KilterCronJobLate", "KilterCronJobStuck", "KilterCronJobInvalid"},
			queries: []query{
				{column: "State", unit: "short", words: words, expr: state},
				{column: "Last success", unit: "dateTimeFromNow", expr: "1000 * " + of("kilter_cronjob_last_success_timestamp_seconds")},
				{column: "Next run", unit: "dateTimeFromNow", expr: "1000 * " + of("kilter_cronjob_next_run_timestamp_seconds")},
				{column: "Failures in a row", unit: "short", expr: of("kilter_cronjob_consecutive_failures")},
				{column: "Missed runs", unit: "short", expr: of("kilter_cronjob_missed_runs")},
			},
		},
		{
			kind: stateTimeline, title: "State over time", description: "How each schedule stood.", unit: "short", width: 24, height: 8,
			queries: []query{{expr: state, legend: "{{namespace}}/{{cronjob}}"}}, words: words, runbooks: []string{"KilterCronJobFailing", "KilterCronJobMissed"},
		},
		lines("Failures in a row", "Runs in a row that ended without success.", "short",
			query{expr: of("kilter_cronjob_consecutive_failures"), legend: "{{namespace}}/{{cronjob}}"}).about("KilterCronJobFailing"),
		lines("Time since the last success", "How old the newest good result of each CronJob is.", "s",
			query{expr: "time() - " + of("kilter_cronjob_last_success_timestamp_seconds"), legend: "{{namespace}}/{{cronjob}}"}).about("KilterCronJobFailing"),
	}
}

// wide makes four stats fill a line.
func wide(p panel) panel {
	p.width = columns / 4
	return p
}
