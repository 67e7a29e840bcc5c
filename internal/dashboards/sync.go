package main

import "kilter.dev/kilter/reconcile"

// oneSync is one Sync: what it follows, what it waits for, what is wrong.
func oneSync() board {
	reason, words := states("kilter_sync_reason", ofSync, "reason", "namespace, sync", reconcile.Reasons(), map[reconcile.Reason]string{
		reconcile.ReconciliationSucceeded: "green",
		reconcile.Progressing:             "blue",
		reconcile.DependencyNotReady:      "blue",
		reconcile.ProgressingWithRetry:    "yellow",
		reconcile.Suspended:               "text",
	})
	gauge := func(metric string) string { return "max(" + metric + "{" + ofSync + "})" }
	return board{
		name: "sync", title: "Sync", description: "One Sync: what it follows, what it waits for, and what is wrong.",
		variables: chooseSyncs(false),
		rows: []row{
			{"Now", []panel{
				{
					kind: stat, title: "Applied revision", description: "The commit that the cluster follows.", unit: "short", width: 12, height: 4,
					queries: []query{{expr: "max by (revision) (kilter_sync_info{" + ofSync + "})", legend: "{{revision}}"}}, runbooks: []string{"KilterCommitPending"},
				},
				{
					kind: stat, title: "Reason", description: "The reason of the Ready condition, as in `kubectl get syncs`.", unit: "short", width: 12, height: 4,
					queries:  []query{{expr: "max by (reason) (kilter_sync_reason{" + ofSync + "} == 1)", legend: "{{reason}}"}},
					runbooks: []string{"KilterSyncFailed", "KilterCommitRejected", "KilterFetchFailing", "KilterClusterUnreachable"},
				},
				yes(number("Commit pending", "Whether a commit is known that is not applied as a whole.", "short", gauge("kilter_sync_commit_pending"), 1, "KilterCommitPending")),
				yes(number("Prune blocked", "Whether objects that left Git are not deleted.", "short", gauge("kilter_sync_prune_blocked"), 1, "KilterPruneBlocked")),
				number("As Git said", "Time since a pass found everything as the newest commit says.", "s",
					"time() - "+gauge("kilter_sync_last_success_timestamp_seconds"), 3600, "KilterSyncFailed"),
				number("Repository read", "Time since the repository was read without an error.", "s",
					"time() - "+gauge("kilter_sync_last_fetch_timestamp_seconds"), 3600, "KilterFetchStale"),
				number("Last pass", "Time since the last pass ended, whatever it found.", "s",
					"time() - "+gauge("kilter_sync_last_pass_timestamp_seconds"), 3600, "KilterSyncStalled"),
				number("Warnings", "Warnings on the manifests of the newest commit. `kilter validate` lists them.", "short", gauge("kilter_sync_warnings"), 0),
				{
					kind: stateTimeline, title: "Reason over time", description: "How the Sync came to be where it is.", unit: "short", width: 24, height: 5,
					queries: []query{{expr: reason, legend: "{{namespace}}/{{sync}}"}}, words: words, runbooks: []string{"KilterSyncFailed"},
				},
			}},
			{"Objects", []panel{
				byHealth(ofSync),
				lines("Waiting", "Objects that wait: for another one before they are applied, or to be gone after they left Git. `kilter tree` shows for what.", "short",
					query{expr: gauge("kilter_sync_blocked_objects"), legend: "blocked"},
					query{expr: gauge("kilter_sync_leaving_objects"), legend: "leaving"}).about("KilterCommitPending", "KilterPruneBlocked"),
				lines("Other hands", "Objects that are not as Git says by somebody's doing: drift that is not repaired, fights over a field, exceptions that were made on purpose.", "short",
					query{expr: gauge("kilter_sync_drifted_objects"), legend: "drifted"},
					query{expr: gauge("kilter_sync_fights"), legend: "fought over"},
					query{expr: gauge("kilter_sync_exceptions"), legend: "exceptions"}).about("KilterDriftNotRepaired", "KilterDriftFight", "KilterExceptionOverdue"),
				problems(ofSync),
			}},
			{"Work", []panel{
				writes(ofSync),
				drift(ofSync),
				lines("Looks at the repository", "By result: done, or the class of what went wrong.", "ops",
					query{expr: "sum by (result) (rate(kilter_fetch_total{" + ofSync + "}[$__rate_interval]))", legend: "{{result}}"}).about("KilterFetchFailing"),
				lines("Passes", "By the reason they ended with.", "ops",
					query{expr: "sum by (reason) (rate(kilter_reconcile_total{" + ofSync + "}[$__rate_interval]))", legend: "{{reason}}"}).about("KilterSyncStalled"),
			}},
		},
	}
}

// yes shows a number of 0 or 1 as a word.
func yes(p panel) panel {
	p.words = yesNo
	return p
}
