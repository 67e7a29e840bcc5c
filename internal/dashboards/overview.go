package main

// overview is where one begins: is everything as Git says, and if not, which Sync is not?
func overview() board {
	return board{
		name: "overview", title: "Overview", description: "Every Sync: is the cluster as Git says? A click on a Sync leads to its own dashboard.",
		variables: chooseSyncs(true)[:1],
		rows: []row{
			{"Now", []panel{
				number("Syncs", "Syncs that Kilter works for.", "short", `count(max by (namespace, sync) (kilter_sync_ready{namespace=~"$namespace"}))`, 0,
					"KilterAbsent"),
				number("Not ready", "Syncs whose objects are not, or not yet, as the newest commit says.", "short",
					countOr0(`max by (namespace, sync) (kilter_sync_ready{namespace=~"$namespace"}) == 0`), 1, "KilterSyncFailed", "KilterSyncStalled"),
				number("Objects", "Objects that Git asks for.", "short", `sum(kilter_sync_objects{namespace=~"$namespace"})`, 0),
				number("Objects failed", "Objects that are in the cluster and do not work.", "short",
					`sum(kilter_sync_objects{namespace=~"$namespace", health="Failed"})`, 1, "KilterSyncFailed"),
				number("Alerts", "Alerts of Kilter that fire now, of all namespaces.", "short", countOr0(`ALERTS{alertname=~"Kilter.+", alertstate="firing"}`), 1),
				{
					kind: stat, title: "Version", description: "The version of Kilter; two while it is upgraded.", unit: "short", width: 4, height: 4,
					queries: []query{{expr: "count by (version) (kilter_build_info)", legend: "{{version}}"}}, runbooks: []string{"KilterAbsent"},
				},
				syncTable(),
				{
					kind: stateTimeline, title: "Ready", description: "When each Sync was as its newest commit said.", unit: "short", width: 24, height: 8,
					queries: []query{{expr: `max by (namespace, sync) (kilter_sync_ready{namespace=~"$namespace"})`, legend: "{{namespace}}/{{sync}}"}},
					words:   []word{{0, "not ready", "red"}, {1, "ready", "green"}}, runbooks: []string{"KilterSyncFailed"},
				},
			}},
			{"What happens", []panel{
				byHealth(`namespace=~"$namespace"`),
				writes(`namespace=~"$namespace"`),
				drift(`namespace=~"$namespace"`),
				problems(`namespace=~"$namespace"`),
			}},
		},
	}
}

// syncTable has a line for each Sync.
func syncTable() panel {
	column := func(title, unit, expr string, words ...word) query {
		return query{column: title, unit: unit, words: words, expr: expr}
	}
	of := func(metric string) string {
		return `max by (namespace, sync) (` + metric + `{namespace=~"$namespace"})`
	}
	return panel{
		kind: table, title: "Syncs", description: "One line for each Sync. A commit is pending from the moment it is known until all of it is applied.", width: 24, height: 8,
		labels: []string{"namespace", "sync"}, link: "/d/kilter-sync?var-namespace=${__data.fields.Namespace}&var-sync=${__data.fields.Sync}",
		queries: []query{
			column("Ready", "short", of("kilter_sync_ready"), word{0, "no", "red"}, word{1, "yes", "green"}),
			column("Commit pending", "short", of("kilter_sync_commit_pending"), yesNo...),
			column("Objects", "short", `sum by (namespace, sync) (kilter_sync_objects{namespace=~"$namespace"})`),
			column("Problems", "short", `sum by (namespace, sync) (kilter_sync_problems{namespace=~"$namespace"}) or 0 * `+of("kilter_sync_ready")),
			column("Repository read", "s", "time() - "+of("kilter_sync_last_fetch_timestamp_seconds")),
			column("As Git said", "s", "time() - "+of("kilter_sync_last_success_timestamp_seconds")),
		},
		runbooks: []string{"KilterCommitPending", "KilterFetchStale"},
	}
}

// The panels below are on the overview and on the dashboard of one Sync; selector chooses the Syncs.

func byHealth(selector string) panel {
	p := lines("Objects by health", "What Git asks for, by how it is in the cluster: Current is as it should be, InProgress on its way there.", "short",
		query{expr: "sum by (health) (kilter_sync_objects{" + selector + "})", legend: "{{health}}"})
	p.stacked = true
	return p.about("KilterSyncFailed")
}

func writes(selector string) panel {
	return lines("Writes", "Requests that change an object, by operation and result. There are none at rest.", "ops",
		query{expr: "sum by (op, result) (rate(kilter_apply_total{" + selector + "}[$__rate_interval]))", legend: "{{op}}: {{result}}"})
}

func drift(selector string) panel {
	return lines("Drift", "Objects that somebody else changed or deleted, by kind, in each step of the graph.", "short",
		query{expr: "sum by (kind) (increase(kilter_drift_total{" + selector + "}[$__rate_interval]))", legend: "{{kind}}"}).
		about("KilterDriftFight", "KilterDriftNotRepaired")
}

func problems(selector string) panel {
	return lines("Problems", "What is wrong, by reason: rejected manifests, refused requests, objects that do not work. `kilter status` names them.", "short",
		query{expr: "sum by (reason) (kilter_sync_problems{" + selector + "})", legend: "{{reason}}"}).
		about("KilterCommitRejected", "KilterSyncFailed")
}
