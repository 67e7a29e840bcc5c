package main

import (
	"math"
	"slices"
	"time"
)

// subjectKilter and subjectRaw are two of those who are measured; the others are the names of tools.
const (
	subjectKilter = "kilter"
	subjectRaw    = "raw"
)

// results are everything that was found, of each number of objects by the last run that measured it. Their JSON is described in
// docs/performance.
type results struct {
	Runs     []taking `json:"runs"` // one of each number of objects, sorted by it
	Subjects []string `json:"subjects"`
	Rows     []*row   `json:"rows"`
}

// taking is how one number of objects was measured.
type taking struct {
	N     int       `json:"n"`
	Taken time.Time `json:"taken"`
	Cores int       `json:"cores"`
	Load  float64   `json:"load"` // the machine's load average before anything of ours ran
	Reps  int       `json:"reps"`
	Flags string    `json:"flags"` // of the command
}

// of returns how a number of objects was measured; nil when it was not.
func (r *results) of(n int) *taking {
	i := slices.IndexFunc(r.Runs, func(t taking) bool { return t.N == n })
	if i < 0 {
		return nil
	}
	return &r.Runs[i]
}

// keep takes over what an earlier run has found of numbers of objects that this one did not measure.
func (r *results) keep(earlier *results) {
	for _, run := range earlier.Runs {
		if r.of(run.N) != nil {
			continue
		}
		r.Runs = append(r.Runs, run)
		for _, row := range earlier.Rows {
			if row.N != run.N {
				continue
			}
			r.Rows = append(r.Rows, row)
			if !slices.Contains(r.Subjects, row.Subject) {
				r.Subjects = append(r.Subjects, row.Subject)
			}
		}
	}
	slices.SortFunc(r.Runs, func(a, b taking) int { return a.N - b.N })
	slices.SortStableFunc(r.Rows, func(a, b *row) int { return a.N - b.N })
}

// row is one measure of one subject at one number of objects.
type row struct {
	N       int    `json:"n"`
	Measure string `json:"measure"`
	Subject string `json:"subject"`
	// Part is set where a measure has parts: the number in flight of a raw apply, the verb of requests.
	Part string `json:"part,omitempty"`
	Unit string `json:"unit,omitempty"`
	// Samples are one list for each repetition.
	Samples [][]float64 `json:"samples"`

	Median float64 `json:"median"` // of all samples
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
	// Ratio is the median, over the repetitions, of the ratio to the limit in the same repetition; absent where there is no limit.
	Ratio float64 `json:"ratio,omitempty"`
}

// find returns a row, or nil.
func (r *results) find(n int, measure, subject, part string) *row {
	i := slices.IndexFunc(r.Rows, func(row *row) bool {
		return row.N == n && row.Measure == measure && row.Subject == subject && row.Part == part
	})
	if i < 0 {
		return nil
	}
	return r.Rows[i]
}

// sample is one number that was measured.
type sample struct {
	n, rep  int
	measure string
	subject string
	part    string
	value   float64
}

// add takes in a sample.
func (r *results) add(s sample) {
	found := r.find(s.n, s.measure, s.subject, s.part)
	if found == nil {
		found = &row{N: s.n, Measure: s.measure, Subject: s.subject, Part: s.part, Samples: make([][]float64, r.of(s.n).Reps)}
		r.Rows = append(r.Rows, found)
	}
	found.Samples[s.rep] = append(found.Samples[s.rep], s.value)
}

// summarize fills in what follows from the samples.
func (r *results) summarize() {
	byID := map[string]measure{}
	for _, m := range measures() {
		byID[m.id] = m
	}
	for _, row := range r.Rows {
		row.Unit = byID[row.Measure].unit
		all := slices.Concat(row.Samples...)
		row.Median, row.Low, row.High = median(all), slices.Min(all), slices.Max(all)
		limit := r.find(row.N, byID[row.Measure].limit, subjectRaw, "")
		if limit == nil {
			continue
		}
		var ratios []float64
		for rep, samples := range row.Samples {
			if len(samples) > 0 && len(limit.Samples[rep]) > 0 {
				ratios = append(ratios, median(samples)/median(limit.Samples[rep]))
			}
		}
		if len(ratios) > 0 {
			row.Ratio = median(ratios)
		}
	}
}

// exponent returns how a measure grows with the number of objects: the slope of a line through the logarithms of its medians, by least
// squares. It is false where there are fewer than two numbers of objects, or a median is not positive.
func (r *results) exponent(measure, subject string) (float64, bool) {
	var xs, ys []float64
	for _, row := range r.Rows {
		if row.Measure == measure && row.Subject == subject && row.Part == "" {
			if row.Median <= 0 {
				return 0, false
			}
			xs, ys = append(xs, math.Log(float64(row.N))), append(ys, math.Log(row.Median))
		}
	}
	if len(xs) < 2 {
		return 0, false
	}
	meanX, meanY := mean(xs), mean(ys)
	var covariance, variance float64
	for i := range xs {
		covariance += (xs[i] - meanX) * (ys[i] - meanY)
		variance += (xs[i] - meanX) * (xs[i] - meanX)
	}
	return covariance / variance, true
}

func mean(all []float64) float64 {
	sum := 0.0
	for _, x := range all {
		sum += x
	}
	return sum / float64(len(all))
}

// median returns the middle of some numbers, or what is halfway between the two in the middle.
func median(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
