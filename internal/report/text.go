package report

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"strings"

	"kilter.dev/kilter/internal/phrase"
	"kilter.dev/kilter/manifests"
)

// Text renders for people, in the style of a compiler: a line per problem and one of summary.
//
//	prod/jobs.yaml:5:3: error: Job shop/migrate: spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0
//	    5 |   backoffLimit: -1
//	      |   ^
//	39 objects in 12 files: 1 error
type Text struct {
	Paint phrase.Paint // whether the terminal shows colours
	Width int          // the terminal's columns; 0 for what is no terminal, and then no line of a file is shown
}

// Write is a Format.
func (t Text) Write(w io.Writer, r *Report) error {
	out := bufio.NewWriter(w)
	for _, s := range r.Set.Skipped {
		fmt.Fprintln(out, t.line(r.at(s.Origin), t.Paint.In(phrase.Faint, "skipped"), s.Object, s.Reason))
	}
	lines := lines{read: r.Read}
	for _, p := range r.Set.Problems {
		severity := t.Paint.In(phrase.Red, string(p.Severity))
		if p.Severity == manifests.Warning {
			severity = t.Paint.In(phrase.Yellow, string(p.Severity))
		}
		fmt.Fprintln(out, t.line(r.at(p.Origin), severity, p.Object, r.message(p)))
		if line, ok := lines.of(p); ok && t.Width > 0 {
			t.excerpt(out, line, p.Origin)
		}
	}
	fmt.Fprintln(out, t.Paint.In(phrase.Bold, r.Summary()))
	return out.Flush()
}

func (t Text) line(at manifests.Origin, severity string, object manifests.ID, text string) string {
	var b strings.Builder
	if at.File != "" { // a problem of the whole tree has no place
		b.WriteString(t.Paint.In(phrase.Bold, phrase.Printable(at.String())+":") + " ")
	}
	b.WriteString(severity + ": ")
	if object != (manifests.ID{}) {
		b.WriteString(phrase.Printable(object.String()) + ": ")
	}
	b.WriteString(phrase.Printable(text))
	return b.String()
}

// gutter is how many columns stand before a line of a file.
const gutter = 8

// excerpt shows the line that a problem is in, and a caret below the column.
func (t Text) excerpt(out io.Writer, line string, at manifests.Origin) {
	shown, before := clip(line, at.Column, cmp.Or(max(t.Width-gutter, 0), 1))
	if shown == "" {
		return
	}
	fmt.Fprintf(out, "%s %s\n", t.Paint.In(phrase.Faint, fmt.Sprintf("%5d |", at.Line)), shown)
	if before >= 0 {
		fmt.Fprintf(out, "%s %s%s\n", t.Paint.In(phrase.Faint, "      |"), strings.Repeat(" ", before), t.Paint.In(phrase.Green, "^"))
	}
}
