// Command metricspage writes docs/metrics.md from the definitions of the metrics themselves. Run it from the repository's root, by
// `make generate`.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"kilter.dev/kilter/reconcile"
	"kilter.dev/kilter/reconcile/health"
)

const head = `# Metrics

<!-- Written by "make generate" from the code. -->

` + "`kilter run --listen :8080`" + ` serves these at ` + "`/metrics`" + `, with those of the Go runtime (` + "`go_*`" + `) and of the process (` + "`process_*`" + `).
Histograms have native buckets too, for a Prometheus that scrapes them.

A Sync is named by ` + "`namespace` and `sync`" + `. A single object is labelled as kube-state-metrics labels it: there ` + "`namespace`" + ` is the object's own,
and the Sync's is ` + "`sync_namespace`" + `. Scrape with ` + "`honor_labels: true`" + `, or Prometheus renames ` + "`namespace`" + `.

The series of single objects are made at each scrape from what is in Git and in the cluster: nothing is left of what is gone, and the number of
series grows with Jobs, CronJobs and rollouts in Git, never with commits. No label holds a commit, save that of ` + "`kilter_sync_info`" + `; none holds
an error's text or a URL.

| metric | type | labels | meaning |
|---|---|---|---|
`

func main() {
	var page strings.Builder
	page.WriteString(head)
	for _, d := range reconcile.NewMetrics(prometheus.NewRegistry(), "").Definitions() {
		fmt.Fprintf(&page, "| `%s` | %s | %s | %s |\n", d.Name, d.Type, code(d.Labels), d.Help)
	}
	page.WriteString("\n## Values of labels\n\n| label | values |\n|---|---|\n")
	fmt.Fprintf(&page, "| `reason` of `kilter_sync_reason` and `kilter_reconcile_total` | %s |\n", code(reconcile.Reasons()))
	fmt.Fprintf(&page, "| `state` of `kilter_cronjob_state` | %s |\n", code(health.ScheduleStates()))
	fmt.Fprintf(&page, "| `result` of `kilter_apply_total` | %s |\n", code([]reconcile.Class{
		"done", reconcile.Terminal, reconcile.Transient, reconcile.Slow, reconcile.Conflict,
	}))
	if _, err := os.Stdout.WriteString(page.String()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// code lists words in Markdown's code font.
func code[T ~string](words []T) string {
	texts := make([]string, len(words))
	for i, word := range words {
		texts[i] = "`" + string(word) + "`"
	}
	return strings.Join(texts, ", ")
}
