package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"kilter.dev/kilter/internal/phrase"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/manifests/schedule"
)

// output collects the first error of many writes.
type output struct {
	io.Writer
	err error
}

func (o *output) printf(format string, args ...any) {
	if o.err == nil {
		_, o.err = fmt.Fprintf(o.Writer, format, args...)
	}
}

// title is the step on one line, without its operation.
func (s forecastStep) title() string {
	text := s.Object.String()
	if at := (manifests.Origin{File: s.File, Line: s.Line}).String(); at != "" {
		text += "  " + at
	}
	if s.Reason != "" {
		text += "  (" + s.Reason + ")"
	}
	return phrase.Printable(text)
}

// lines are what there is to say of a step, with a mark in front: "-" for what goes, "+" for what comes, "!" for what needs attention.
func (s forecastStep) lines(yield func(mark, text string)) {
	for _, field := range s.Fields {
		if field.Before != "" {
			yield("-", phrase.Printable(field.Path+": "+field.Before))
		}
		if field.After != "" {
			yield("+", phrase.Printable(field.Path+": "+field.After))
		}
	}
	if s.outlook != nil {
		yield(" ", "next runs: "+moments(s.outlook.After)+"; were: "+moments(s.outlook.Before))
		if s.outlook.Late != nil {
			yield("!", lateRun(s.outlook.Late))
		}
	}
	if s.Message != "" {
		yield("!", phrase.Printable(s.Message))
	}
}

// moments writes times of one zone: "2026-09-01 13:00, 2026-09-01 13:30 UTC".
func moments(times []time.Time) string {
	if len(times) == 0 {
		return "none"
	}
	texts := make([]string, len(times))
	for i, each := range times {
		texts[i] = moment(each)
	}
	return strings.Join(texts, ", ") + " " + times[0].Location().String()
}

// moment writes a time without its zone, to the minute where that says all.
func moment(t time.Time) string {
	if t.Second() == 0 {
		return t.Format("2006-01-02 15:04")
	}
	return t.Format(time.DateTime)
}

// lateRun says when a run starts that is due already.
func lateRun(l *schedule.Late) string {
	run, zone := moment(l.Run), l.Run.Location().String()
	switch l.Start {
	case schedule.AtOnce:
		return fmt.Sprintf("fires at once: the run of %s %s is due and was not started", run, zone)
	case schedule.AfterActive:
		return fmt.Sprintf("fires as soon as the Job that goes on has ended: the run of %s %s is due", run, zone)
	case schedule.OnOldSchedule:
		return fmt.Sprintf("fires at %s %s, when the schedule before would have: the run of %s %s is due by the new one",
			moment(l.At), l.At.Location(), run, zone)
	}
	text := fmt.Sprintf("may fire early: the run of %s %s is due, and starts when the CronJob or one of its Jobs changes again", run, zone)
	if !l.At.IsZero() {
		text += " before " + moment(l.At)
	}
	return text
}

// subject names what is planned, for people.
func (f *forecast) subject() string {
	switch {
	case f.Sync == "":
		return f.Directory + ", which no Sync enforces"
	case f.Directory != "":
		return "Sync " + f.Sync + " with " + f.Directory + " in place of its newest commit"
	}
	return "Sync " + f.Sync + " at " + f.Revision
}

func writePlanText(to io.Writer, f *forecast) error {
	_, paint := terminal(to)
	return planText{paint}.write(to, f)
}

// planText renders for people.
type planText struct{ phrase.Paint }

// markColors are the colours of lines by their mark.
var markColors = map[string]phrase.Color{"-": phrase.Red, "+": phrase.Green, "!": phrase.Yellow}

func (p planText) write(to io.Writer, f *forecast) error {
	out := &output{Writer: to}
	out.printf("%s\n\n", p.In(phrase.Bold, phrase.Printable(f.subject())))
	for _, note := range f.Notes {
		out.printf("  %s %s\n", p.In(phrase.Yellow, "note    "), phrase.Printable(note))
	}
	for _, problem := range f.Problems {
		out.printf("  %s %s\n", p.In(phrase.Red, "rejected"), phrase.Printable(problem.text))
	}
	colors := map[string]phrase.Color{}
	for _, each := range planOps {
		colors[each.op] = each.color
	}
	for _, s := range f.Steps {
		out.printf("  %s %s\n", p.In(colors[s.Op], fmt.Sprintf("%-8s", s.Op)), s.title())
		s.lines(func(mark, text string) { out.printf("           %s\n", p.In(markColors[mark], mark+" "+text)) })
	}
	if f.PruneBlocked != "" {
		out.printf("  %s\n", p.In(phrase.Yellow, "prune is blocked: "+phrase.Printable(f.PruneBlocked)))
	}
	if len(f.Notes)+len(f.Problems)+len(f.Steps) > 0 {
		out.printf("\n")
	}
	out.printf("%s\n", p.In(phrase.Bold, f.Summary.String()))
	return out.err
}

func writePlanJSON(to io.Writer, f *forecast) error {
	encoder := json.NewEncoder(to)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(f)
}
