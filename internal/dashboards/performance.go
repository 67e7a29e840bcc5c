package main

// performance is how fast Kilter is, and what it costs.
func performance() board {
	return board{
		name: "performance", title: "Performance", description: "How fast pushes and repairs arrive, how long passes take, and what Kilter costs.",
		variables: chooseSyncs(true),
		rows: []row{
			{"How fast", []panel{
				lines("From a push to the cluster", "From the look that found a commit until all of it was applied. What waits for a Job or a rollout takes as long as those do.", "s",
					quantiles("kilter_commit_applied_duration_seconds", ofSync)...).about("KilterCommitPending"),
				lines("From drift to repair", "From the pass that found a drift to the answer to the write that repaired it.", "s",
					quantiles("kilter_drift_repair_duration_seconds", ofSync)...).about("KilterDriftNotRepaired"),
				lines("Passes", "How long a pass takes.", "s", quantiles("kilter_reconcile_duration_seconds", ofSync+`, phase="pass"`)...).about("KilterPassSlow"),
				lines("Phases of a pass", "How long each phase takes on average.", "s", query{legend: "{{phase}}", expr: classicOrNative(
					"sum by (phase) (rate(%[1]s_sum{%[2]s}[$__rate_interval])) / sum by (phase) (rate(%[1]s_count{%[2]s}[$__rate_interval]))",
					"histogram_sum(sum by (phase) (rate(%[1]s{%[2]s}[$__rate_interval]))) / histogram_count(sum by (phase) (rate(%[1]s{%[2]s}[$__rate_interval])))",
					"kilter_reconcile_duration_seconds", ofSync+`, phase!="pass"`)}).about("KilterPassSlow"),
			}},
			{"Which Kilter works, and for which Syncs", []panel{
				lines("Leader", "1 for the pod that holds the Lease and works, 0 for those that stand by. Empty without --leader-elect.", "short",
					query{expr: ofKilter("leader_election_master_status"), legend: "{{instance}}"}).about("KilterNoLeader"),
				lines("Changed Syncs", "Syncs that were created, changed or deleted and wait, and how long the slowest has taken so far to be followed as it is now.", "short",
					query{expr: "sum(" + ofKilter(`workqueue_depth{name="syncs"}`) + ")", legend: "waiting"},
					query{expr: "max(" + ofKilter(`workqueue_longest_running_processor_seconds{name="syncs"}`) + ")", legend: "seconds of the slowest"},
				).about("KilterQueueStuck"),
				lines("From a change to its loop", "How long a changed Sync waits, and how long it takes to end its loop and start another, on average.", "s",
					average("workqueue_queue_duration_seconds", "waits"), average("workqueue_work_duration_seconds", "is worked on")).about("KilterQueueStuck"),
			}},
			{"Requests to the API server", []panel{
				lines("Requests", "By method and status. At rest there are only watches.", "reqps", query{
					expr: "sum by (method, code) (" + ofKilter("rate(rest_client_requests_total[$__rate_interval])") + ")", legend: "{{method}} {{code}}",
				}).about("KilterClusterUnreachable"),
				lines("Latency", "How long the API server takes to answer 95 of 100 requests, by verb.", "s", query{legend: "{{verb}}", expr: classicOrNative(
					"histogram_quantile(0.95, sum by (le, verb) ("+ofKilter("rate(%s_bucket[$__rate_interval])")+"))",
					"histogram_quantile(0.95, sum by (verb) ("+ofKilter("rate(%s[$__rate_interval])")+"))", "rest_client_request_duration_seconds")}),
			}},
			{"What it costs", []panel{
				lines("Memory", "Of each pod: what the kernel counts, and what Go uses of it.", "bytes",
					query{expr: ofKilter("process_resident_memory_bytes"), legend: "{{instance}} resident"},
					query{expr: ofKilter("go_memstats_heap_inuse_bytes"), legend: "{{instance}} heap"}),
				lines("CPU", "Of each pod, in cores.", "short",
					query{expr: ofKilter("rate(process_cpu_seconds_total[$__rate_interval])"), legend: "{{instance}}"}),
				lines("Goroutines", "Of each pod. It follows the number of Syncs and of kinds in Git; it does not grow with time.", "short",
					query{expr: ofKilter("go_goroutines"), legend: "{{instance}}"}),
				lines("Series", "What a scrape of each pod returns. It follows the number of workloads in Git; it does not grow with commits.", "short",
					query{expr: ofKilter("scrape_samples_scraped"), legend: "{{instance}}"}).about("KilterAbsent"),
			}},
		},
	}
}

// average is the mean of a histogram of the queue of changed Syncs, whether it was scraped with classic or with native buckets.
func average(histogram, legend string) query {
	return query{legend: legend, expr: classicOrNative(
		"sum("+ofKilter(`rate(%[1]s_sum{name="syncs"}[$__rate_interval])`)+") / sum("+ofKilter(`rate(%[1]s_count{name="syncs"}[$__rate_interval])`)+")",
		"histogram_sum(sum("+ofKilter(`rate(%[1]s{name="syncs"}[$__rate_interval])`)+")) / histogram_count(sum("+ofKilter(`rate(%[1]s{name="syncs"}[$__rate_interval])`)+"))",
		histogram)}
}
