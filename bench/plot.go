package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
)

// plotted are the measures that are drawn, each with its limit.
func plotted() []string { return []string{"first-apply", "push", "drift-edit", "memory"} }

// draw writes a plot of each of the plotted measures into a directory: medians and ranges over the number of objects, both axes logarithmic.
func (r *results) draw(dir string) error {
	for _, m := range measures() {
		if !slices.Contains(plotted(), m.id) {
			continue
		}
		p := r.plot(m)
		if len(p.Lines) == 0 {
			continue
		}
		var svg strings.Builder
		if err := plotTemplate.Execute(&svg, p); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, m.id+".svg"), []byte(svg.String()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// The plot's size, and where its axes are, in pixels.
const (
	plotWidth, plotHeight     = 640, 360
	plotLeft, plotRight       = 70, 470
	plotTop, plotBottom       = 50, 310
	plotLegend, plotLegendRow = 490, 24
)

// plot is what the template draws; all coordinates are pixels.
type plot struct {
	Title          string
	XTicks, YTicks []tick
	Lines          []plotLine
}

type tick struct {
	At    float64
	Label string
}

type plotLine struct {
	Name, Color string
	LegendY     int
	Points      []point
}

// Path is the line through the points.
func (l plotLine) Path() string {
	var path []string
	for _, p := range l.Points {
		path = append(path, fmt.Sprintf("%.1f,%.1f", p.X, p.Y))
	}
	return strings.Join(path, " ")
}

type point struct{ X, Y, Low, High float64 }

// plot places one measure of everybody, and its limit.
func (r *results) plot(m measure) plot {
	p := plot{Title: fmt.Sprintf("%s (%s) over the number of objects", m.title, m.unit)}
	rows := map[string][]*row{}
	var values, sizes []float64
	names := append([]string{}, r.Subjects...)
	for _, row := range r.Rows {
		limit := row.Measure == m.limit && row.Subject == subjectRaw
		if row.Part != "" || row.Low <= 0 || !limit && (row.Measure != m.id || row.Subject == subjectRaw) {
			continue
		}
		rows[row.Subject] = append(rows[row.Subject], row)
		values, sizes = append(values, row.Low, row.High), append(sizes, float64(row.N))
	}
	if len(values) == 0 {
		return p
	}
	x := newAxis(sizes, plotLeft+20, plotRight-20)
	y := newAxis(values, plotBottom, plotTop)
	for _, run := range r.Runs {
		p.XTicks = append(p.XTicks, tick{x.at(float64(run.N)), fmt.Sprint(run.N)})
	}
	p.YTicks = y.ticks()
	colors := []string{"#0072b2", "#999999", "#d55e00", "#009e73", "#cc79a7", "#e69f00"}
	for i, name := range names {
		if len(rows[name]) == 0 {
			continue
		}
		line := plotLine{Name: name, Color: colors[i%len(colors)], LegendY: plotTop + plotLegendRow*len(p.Lines)}
		if name == subjectRaw {
			line.Name = "limit"
		}
		for _, row := range rows[name] {
			line.Points = append(line.Points, point{x.at(float64(row.N)), y.at(row.Median), y.at(row.Low), y.at(row.High)})
		}
		p.Lines = append(p.Lines, line)
	}
	return p
}

// axis maps values to pixels by their logarithm.
type axis struct{ low, high, from, to float64 }

func newAxis(values []float64, from, to float64) axis {
	a := axis{math.Log10(slices.Min(values)), math.Log10(slices.Max(values)), from, to}
	if a.high-a.low < 0.5 { // too flat to read
		middle := (a.low + a.high) / 2
		a.low, a.high = middle-0.25, middle+0.25
	}
	return a
}

func (a axis) at(value float64) float64 {
	return a.from + (math.Log10(value)-a.low)/(a.high-a.low)*(a.to-a.from)
}

// ticks are at 1, 2 and 5 times the powers of ten.
func (a axis) ticks() []tick {
	var ticks []tick
	for power := math.Floor(a.low); power <= a.high; power++ {
		for _, digit := range []float64{1, 2, 5} {
			value := digit * math.Pow(10, power)
			if log := math.Log10(value); log >= a.low && log <= a.high {
				ticks = append(ticks, tick{a.at(value), fmt.Sprintf("%g", math.Round(value*1e6)/1e6)})
			}
		}
	}
	return ticks
}

var plotTemplate = template.Must(template.New("plot").Parse(fmt.Sprintf(
	`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %[1]d %[2]d" font-family="sans-serif" font-size="12">
<rect width="%[1]d" height="%[2]d" fill="white"/>
<text x="%[3]d" y="24" font-size="14">{{.Title}}</text>
{{range .YTicks -}}
<line x1="%[3]d" x2="%[4]d" y1="{{printf "%%.1f" .At}}" y2="{{printf "%%.1f" .At}}" stroke="#dddddd"/>
<text x="%[7]d" y="{{printf "%%.1f" .At}}" dy="4" text-anchor="end">{{.Label}}</text>
{{end}}{{range .XTicks -}}
<text x="{{printf "%%.1f" .At}}" y="%[8]d" text-anchor="middle">{{.Label}}</text>
{{end -}}
<line x1="%[3]d" x2="%[4]d" y1="%[6]d" y2="%[6]d" stroke="black"/>
<line x1="%[3]d" x2="%[3]d" y1="%[5]d" y2="%[6]d" stroke="black"/>
{{range $line := .Lines -}}
<polyline points="{{.Path}}" fill="none" stroke="{{.Color}}" stroke-width="2"/>
{{range .Points -}}
<line x1="{{printf "%%.1f" .X}}" x2="{{printf "%%.1f" .X}}" y1="{{printf "%%.1f" .Low}}" y2="{{printf "%%.1f" .High}}" stroke="{{$line.Color}}"/>
<circle cx="{{printf "%%.1f" .X}}" cy="{{printf "%%.1f" .Y}}" r="4" fill="{{$line.Color}}"/>
{{end -}}
<text x="%[9]d" y="{{.LegendY}}" fill="{{.Color}}">{{html .Name}}</text>
{{end -}}
</svg>
`, plotWidth, plotHeight, plotLeft, plotRight, plotTop, plotBottom, plotLeft-8, plotBottom+20, plotLegend)))
