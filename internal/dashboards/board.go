package main

import (
	"fmt"
	"strings"
)

// documents is where Kilter's pages are, as in the alerts' runbook_url.
const documents = "https://kilter.dev/docs/"

// board is one dashboard.
type board struct {
	name        string // "kilter-" and this is its uid
	title       string
	description string
	variables   []variable
	rows        []row
}

// variable lets the reader choose among the values of a label.
type variable struct {
	name, label string
	series      string // whose label
	of          string // the label's name
	many        bool   // several, or all, can be chosen
}

type row struct {
	title  string
	panels []panel
}

// kind is a kind of panel, as Grafana calls it.
type kind string

const (
	stat          kind = "stat"
	timeSeries    kind = "timeseries"
	table         kind = "table"
	stateTimeline kind = "state-timeline"
)

type panel struct {
	kind          kind
	title         string
	description   string // what it shows, and what to make of it
	unit          string // as Grafana calls it; of a table, each query has its own
	width, height int
	queries       []query
	words         []word   // instead of numbers
	bad           float64  // from here on the value is red; 0: never
	stacked       bool     // a timeseries whose values add up
	labels        []string // a table's columns that are labels
	link          string   // where the column Sync leads to
	runbooks      []string // the alerts on what is shown
}

// query is a question to Prometheus. In a table its answer is a column.
type query struct {
	expr   string
	legend string

	column string
	unit   string
	words  []word
}

// word stands for a number.
type word struct {
	value int
	text  string
	color string
}

// chooseSyncs lets the reader choose Syncs by namespace and name.
func chooseSyncs(many bool) []variable {
	return []variable{
		{name: "namespace", label: "Namespace", series: "kilter_sync_ready", of: "namespace", many: many},
		{name: "sync", label: "Sync", series: `kilter_sync_ready{namespace=~"$namespace"}`, of: "sync", many: many},
	}
}

var yesNo = []word{{0, "no", "green"}, {1, "yes", "red"}}

const (
	// ofSync chooses series of Syncs by the variables, ofObject those of single objects: there namespace is the object's own.
	ofSync   = `namespace=~"$namespace", sync=~"$sync"`
	ofObject = `sync_namespace=~"$namespace", sync=~"$sync"`
)

// number is a stat of a few columns. A value of bad or more is red.
func number(title, description, unit, expr string, bad float64, runbooks ...string) panel {
	return panel{
		kind: stat, title: title, description: description, unit: unit, width: 4, height: 4, queries: []query{{expr: expr}}, bad: bad, runbooks: runbooks,
	}
}

// lines is a timeseries of half the width.
func lines(title, description, unit string, queries ...query) panel {
	return panel{kind: timeSeries, title: title, description: description, unit: unit, width: 12, height: 8, queries: queries}
}

// about links the panel to the runbooks of alerts.
func (p panel) about(alerts ...string) panel {
	p.runbooks = alerts
	return p
}

// countOr0 counts series, of which there may be none.
func countOr0(series string) string { return fmt.Sprintf("count(%s) or vector(0)", series) }

// quantiles are the median and the slow end of a histogram's values, whether it was scraped with classic or with native buckets.
func quantiles(histogram, selector string) []query {
	queries := make([]query, 0, 2)
	for _, q := range []struct{ quantile, legend string }{{"0.5", "median"}, {"0.95", "95 of 100"}} {
		queries = append(queries, query{expr: classicOrNative(
			"histogram_quantile("+q.quantile+", sum by (le) (rate(%s_bucket{%s}[$__rate_interval])))",
			"histogram_quantile("+q.quantile+", sum(rate(%s{%s}[$__rate_interval])))", histogram, selector), legend: q.legend})
	}
	return queries
}

// classicOrNative asks for a histogram in both ways, of which one has an answer: args are those of both formats.
func classicOrNative(classic, native string, args ...any) string {
	return fmt.Sprintf(classic, args...) + " or " + fmt.Sprintf(native, args...)
}

// ofKilter leaves those of the series that Kilter's own process exports: other programs have series of the same name.
func ofKilter(series string) string { return series + " and on (job, instance) kilter_build_info" }

// states turns a metric of which the series of the current state alone is 1 into one series for each object, whose value is the number of
// its state, and returns the words for the numbers. A state that has no colour is red.
func states[T ~string](metric, selector, label, by string, all []T, colors map[T]string) (expr string, words []word) {
	parts := make([]string, 0, len(all))
	for i, state := range all {
		color, ok := colors[state]
		if !ok {
			color = "red"
		}
		words = append(words, word{i, string(state), color})
		parts = append(parts, fmt.Sprintf("max by (%s) (%s{%s, %s=%q} == 1) * %d", by, metric, selector, label, state, i))
	}
	return strings.Join(parts, " or "), words
}
