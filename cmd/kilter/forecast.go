package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/internal/phrase"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile"
	"kilter.dev/kilter/reconcile/diff"
)

// forecast is a plan as it is shown; its JSON is what `kilter plan -o json` prints. Empty values are left out.
type forecast struct {
	Sync         string         `json:"sync"` // namespace/name
	Revision     string         `json:"revision"`
	Summary      planSummary    `json:"summary"`
	Problems     []planProblem  `json:"problems"` // errors for which the commit would be refused
	Steps        []forecastStep `json:"steps"`    // what is not as Git says, by namespace, kind and name
	PruneBlocked string         `json:"pruneBlocked,omitempty"`
}

// planSummary counts the objects by what would become of them.
type planSummary struct {
	Create    int `json:"create"`
	Adopt     int `json:"adopt"`
	Update    int `json:"update"`
	Delete    int `json:"delete"`
	Refused   int `json:"refused"`
	Conflict  int `json:"conflict"` // belongs to somebody else
	Waiting   int `json:"waiting"`  // nothing can be done before something else has happened
	Kept      int `json:"kept"`     // left Git, and stays
	Skipped   int `json:"skipped"`  // differs, and is left alone as its manifest asks
	Drifted   int `json:"drifted"`  // differs, and is only reported
	Unchanged int `json:"unchanged"`
}

type planProblem struct {
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Object  string `json:"object,omitempty"`
	Reason  string `json:"reason"`
	Message string `json:"message"`

	text string // all of it on one line
}

type forecastStep struct {
	Op      string      `json:"op"` // create, adopt, update, delete, wait, keep, drift, skip, conflict; "refused" when the server would refuse it
	Object  planObject  `json:"object"`
	File    string      `json:"file,omitempty"`
	Line    int         `json:"line,omitempty"`
	Reason  string      `json:"reason,omitempty"`
	Message string      `json:"message,omitempty"` // of a refusal, or why it could not be tried
	Fields  []planField `json:"fields,omitempty"`
}

type planObject struct {
	Group     string `json:"group,omitempty"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

type planField struct {
	Path   string `json:"path"`
	Before string `json:"before,omitempty"` // JSON, shortened; "(hidden)" in a Secret
	After  string `json:"after,omitempty"`
}

func newForecast(sync *v1alpha1.Sync, found *reconcile.Forecast) *forecast {
	f := &forecast{
		Sync: sync.Namespace + "/" + sync.Name, Revision: found.Attempted, PruneBlocked: found.Plan.PruneBlocked,
		Problems: []planProblem{}, Steps: []forecastStep{},
	}
	for _, p := range found.Troubles() {
		problem := planProblem{
			File: p.Origin.File, Line: p.Origin.Line, Column: p.Origin.Column, Reason: p.Reason, Message: p.Message, text: p.String(),
		}
		if p.Object != (manifests.ID{}) {
			problem.Object = p.Object.String()
		}
		f.Problems = append(f.Problems, problem)
	}
	for _, s := range found.Steps {
		f.add(s)
	}
	return f
}

// add counts a step, and keeps what is not as Git says.
func (f *forecast) add(s reconcile.Step) {
	op := string(s.Op)
	step := forecastStep{Reason: s.Reason, Message: s.Untried}
	switch {
	case s.Op == diff.Conflict:
		if s.Refused != nil {
			step.Message = s.Refused.Text
		}
		f.Summary.Conflict++
	case s.Refused != nil:
		op, step.Message = "refused", s.Refused.Text
		f.Summary.Refused++
	case s.Idle():
		f.Summary.Unchanged++
		return
	case s.Op == diff.Create:
		f.Summary.Create++
	case s.Op == diff.Adopt:
		f.Summary.Adopt++
	case s.Op == diff.Update:
		f.Summary.Update++
	case s.Op == diff.Delete:
		f.Summary.Delete++
	case s.Op == diff.Keep:
		f.Summary.Kept++
	case s.Op == diff.Skip:
		f.Summary.Skipped++
	case s.Op == diff.Drift:
		f.Summary.Drifted++
	default:
		f.Summary.Waiting++
	}
	step.Op = op
	step.Object = planObject{Group: s.ID.Group, Kind: s.ID.Kind, Namespace: s.ID.Namespace, Name: s.ID.Name}
	if s.Object != nil {
		step.File, step.Line = s.Object.Origin.File, s.Object.Origin.Line
	}
	if s.Refused != nil && s.Refused.Where.File != "" {
		step.File, step.Line = s.Refused.Where.File, s.Refused.Where.Line
	}
	for _, field := range s.Fields {
		step.Fields = append(step.Fields, planField{Path: field.Path, Before: field.Before, After: field.After})
	}
	f.Steps = append(f.Steps, step)
}

// changes counts what would be written.
func (s planSummary) changes() int { return s.Create + s.Adopt + s.Update + s.Delete }

// String renders the summary as one line.
func (s planSummary) String() string {
	var parts []string
	for _, each := range []struct {
		n    int
		text string
	}{
		{s.Create, "to create"},
		{s.Adopt, "to adopt"},
		{s.Update, "to update"},
		{s.Delete, "to delete"},
		{s.Refused, "refused"},
		{s.Conflict, "in conflict"},
		{s.Waiting, "waiting"},
		{s.Drifted, "drifted"},
		{s.Kept, "kept"},
		{s.Skipped, "skipped"},
		{s.Unchanged, "unchanged"},
	} {
		if each.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", each.n, each.text))
		}
	}
	if len(parts) == 0 {
		return "nothing to do"
	}
	return strings.Join(parts, ", ")
}

func (o planObject) String() string {
	return manifests.ID{Group: o.Group, Kind: o.Kind, Namespace: o.Namespace, Name: o.Name}.String()
}

func (s forecastStep) origin() string { return manifests.Origin{File: s.File, Line: s.Line}.String() }

// title is the step on one line.
func (s forecastStep) title() string {
	text := s.Object.String()
	if at := s.origin(); at != "" {
		text += "  " + at
	}
	if s.Reason != "" {
		text += "  (" + s.Reason + ")"
	}
	return phrase.Printable(text)
}

// texts are the lines of a forecast's steps, with a mark in front: "-" for what goes, "+" for what comes, "!" for what is said.
func (s forecastStep) lines(yield func(mark, text string)) {
	for _, field := range s.Fields {
		if field.Before != "" {
			yield("-", phrase.Printable(field.Path+": "+field.Before))
		}
		if field.After != "" {
			yield("+", phrase.Printable(field.Path+": "+field.After))
		}
	}
	if s.Message != "" {
		yield("!", phrase.Printable(s.Message))
	}
}

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

func writePlanText(to io.Writer, f *forecast) error {
	out := &output{Writer: to}
	out.printf("Sync %s at %s\n\n", f.Sync, f.Revision)
	for _, p := range f.Problems {
		out.printf("  %-8s %s\n", "rejected", phrase.Printable(p.text))
	}
	for _, s := range f.Steps {
		out.printf("  %-8s %s\n", s.Op, s.title())
		s.lines(func(mark, text string) { out.printf("           %s %s\n", mark, text) })
	}
	if f.PruneBlocked != "" {
		out.printf("  prune is blocked: %s\n", phrase.Printable(f.PruneBlocked))
	}
	if len(f.Problems)+len(f.Steps) > 0 {
		out.printf("\n")
	}
	out.printf("%s\n", f.Summary)
	return out.err
}

func writePlanJSON(to io.Writer, f *forecast) error {
	encoder := json.NewEncoder(to)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(f)
}

// writePlanMarkdown writes a comment for a pull request: a summary that is seen, and details that unfold. Text of others stands in fences
// only, which no manifest can close: a line of theirs never begins with one.
func writePlanMarkdown(to io.Writer, f *forecast) error {
	out := &output{Writer: to}
	out.printf("**Kilter** would bring `%s` to `%s`: %s.\n", f.Sync, f.Revision, f.Summary)
	if len(f.Problems) > 0 {
		out.printf("\nThe commit would be refused:\n\n```text\n")
		for _, p := range f.Problems {
			out.printf("  %s\n", phrase.Printable(p.text))
		}
		out.printf("```\n")
	}
	if len(f.Steps) > 0 {
		out.printf("\n<details>\n<summary>%s</summary>\n\n```diff\n", phrase.Count(len(f.Steps), "object"))
		for _, s := range f.Steps {
			out.printf("@@ %s %s @@\n", s.Op, s.title())
			s.lines(func(mark, text string) { out.printf("%s %s\n", mark, text) })
		}
		out.printf("```\n\n</details>\n")
	}
	if f.PruneBlocked != "" {
		out.printf("\nPrune is blocked: %s.\n", phrase.Printable(f.PruneBlocked))
	}
	return out.err
}
