package main

import (
	"fmt"
	"strings"
	"time"

	"kilter.dev/kilter/internal/phrase"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/manifests/schedule"
	"kilter.dev/kilter/reconcile"
)

// forecast is a plan as it is shown; its JSON is what `kilter plan -o json` prints, as docs/plan.schema.json says. Fields are added, never
// renamed or removed. Empty values are left out.
type forecast struct {
	Sync         string         `json:"sync,omitempty"`      // namespace/name; empty when no Sync enforces the directory
	Revision     string         `json:"revision,omitempty"`  // of the commit
	Directory    string         `json:"directory,omitempty"` // that stands in for a commit
	Notes        []string       `json:"notes,omitempty"`     // what else has to be known of the plan
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
	Replace   int `json:"replace"`
	Delete    int `json:"delete"`
	Refused   int `json:"refused"`
	Conflict  int `json:"conflict"` // belongs to somebody else
	Waiting   int `json:"waiting"`  // nothing can be done before something else has happened
	Skipped   int `json:"skipped"`  // differs, and is left as it is
	Kept      int `json:"kept"`     // left Git, and stays
	Drifted   int `json:"drifted"`  // differs, and is only reported
	Unchanged int `json:"unchanged"`
}

// What a step is that the server would refuse, whatever it was to be, and one whose object is somebody else's.
const (
	refusedOp  = "refused"
	conflictOp = "conflict"
)

// planOps are the operations of steps, in the order of a summary. What is none of them waits.
var planOps = []struct {
	op, text string
	color    phrase.Color
	count    func(*planSummary) *int
}{
	{"create", "to create", phrase.Green, func(s *planSummary) *int { return &s.Create }},
	{"adopt", "to adopt", phrase.Green, func(s *planSummary) *int { return &s.Adopt }},
	{"update", "to update", phrase.Yellow, func(s *planSummary) *int { return &s.Update }},
	{"replace", "to replace", phrase.Yellow, func(s *planSummary) *int { return &s.Replace }},
	{"delete", "to delete", phrase.Red, func(s *planSummary) *int { return &s.Delete }},
	{refusedOp, "refused", phrase.Red, func(s *planSummary) *int { return &s.Refused }},
	{conflictOp, "in conflict", phrase.Red, func(s *planSummary) *int { return &s.Conflict }},
	{"wait", "waiting", phrase.Faint, func(s *planSummary) *int { return &s.Waiting }},
	{"skip", "skipped", phrase.Faint, func(s *planSummary) *int { return &s.Skipped }},
	{"drift", "drifted", phrase.Yellow, func(s *planSummary) *int { return &s.Drifted }},
	{"keep", "kept", phrase.Faint, func(s *planSummary) *int { return &s.Kept }},
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
	Op      string      `json:"op"` // one of planOps
	Object  planObject  `json:"object"`
	File    string      `json:"file,omitempty"`
	Line    int         `json:"line,omitempty"`
	Reason  string      `json:"reason,omitempty"`
	Message string      `json:"message,omitempty"` // of a refusal, or why it could not be tried
	Fields  []planField `json:"fields,omitempty"`
	Runs    *planRuns   `json:"runs,omitempty"` // of a CronJob whose runs change

	outlook *schedule.Outlook
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

// planRuns are the next runs of a CronJob; times are in UTC.
type planRuns struct {
	Before []time.Time `json:"before"` // without the change
	After  []time.Time `json:"after"`  // with it
	Late   *planLate   `json:"late,omitempty"`
}

// planLate is a run that the change makes up for.
type planLate struct {
	Run   time.Time      `json:"run"`
	Start schedule.Start `json:"start"`
	At    *time.Time     `json:"at,omitempty"`
}

func newForecast(of *subject, found *reconcile.Forecast) *forecast {
	f := &forecast{
		Directory: of.directory, Notes: of.notes, PruneBlocked: found.Plan.PruneBlocked,
		Problems: []planProblem{}, Steps: []forecastStep{},
	}
	if of.owned {
		f.Sync = of.sync.Namespace + "/" + of.sync.Name
	}
	if of.directory == "" {
		f.Revision = found.Attempted
	}
	if of.sync.Spec.Suspend {
		f.Notes = append(f.Notes, "The Sync is suspended: none of this happens before spec.suspend is false.")
	}
	for _, p := range found.Troubles() {
		p.Origin = of.place(p.Origin)
		problem := planProblem{
			File: p.Origin.File, Line: p.Origin.Line, Column: p.Origin.Column, Reason: p.Reason, Message: p.Message, text: p.String(),
		}
		if p.Object != (manifests.ID{}) {
			problem.Object = p.Object.String()
		}
		f.Problems = append(f.Problems, problem)
	}
	for _, s := range found.Steps {
		f.add(of, s)
	}
	if f.Summary.Delete > 0 && f.Summary.Refused+f.Summary.Conflict > 0 {
		f.Notes = append(f.Notes, "Nothing is deleted while anything is refused or in conflict: what left Git stays until then.")
	}
	return f
}

// place returns a place with its file called as people call it.
func (s *subject) place(at manifests.Origin) manifests.Origin {
	if s.name != nil && at.File != "" {
		at.File = s.name(at.File)
	}
	return at
}

// add counts a step, and keeps what is not as Git says.
func (f *forecast) add(of *subject, s reconcile.Step) {
	if s.Idle() {
		f.Summary.Unchanged++
		return
	}
	step := forecastStep{Op: string(s.Op), Reason: s.Reason, Message: s.Untried, Runs: runsOf(s.Runs), outlook: s.Runs}
	var at manifests.Origin
	if s.Object != nil {
		at = s.Object.Origin
	}
	if s.Refused != nil {
		step.Op, step.Message = refusedOp, s.Refused.Text
		if s.Refused.Reason == string(reconcile.OwnershipConflict) {
			step.Op = conflictOp
		}
		if s.Refused.Where.File != "" {
			at = s.Refused.Where
		}
	}
	at = of.place(at)
	step.File, step.Line = at.File, at.Line
	step.Object = planObject{Group: s.ID.Group, Kind: s.ID.Kind, Namespace: s.ID.Namespace, Name: s.ID.Name}
	for _, field := range s.Fields {
		step.Fields = append(step.Fields, planField{Path: field.Path, Before: field.Before, After: field.After})
	}
	f.Steps = append(f.Steps, step)
	for _, each := range planOps {
		if each.op == step.Op {
			*each.count(&f.Summary)++
		}
	}
}

func runsOf(o *schedule.Outlook) *planRuns {
	if o == nil {
		return nil
	}
	utc := func(times []time.Time) []time.Time {
		all := make([]time.Time, len(times))
		for i, each := range times {
			all[i] = each.UTC()
		}
		return all
	}
	runs := &planRuns{Before: utc(o.Before), After: utc(o.After)}
	if o.Late == nil {
		return runs
	}
	runs.Late = &planLate{Run: o.Late.Run.UTC(), Start: o.Late.Start}
	if !o.Late.At.IsZero() {
		at := o.Late.At.UTC()
		runs.Late.At = &at
	}
	return runs
}

// failures counts what the server or its owner would not let be written.
func (s planSummary) failures() int { return s.Refused + s.Conflict }

// changes counts what would be written.
func (s planSummary) changes() int { return s.Create + s.Adopt + s.Update + s.Replace + s.Delete }

// String renders the summary as one line.
func (s planSummary) String() string {
	var parts []string
	for _, each := range planOps {
		if n := *each.count(&s); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, each.text))
		}
	}
	if s.Unchanged > 0 {
		parts = append(parts, fmt.Sprintf("%d unchanged", s.Unchanged))
	}
	if len(parts) == 0 {
		return "nothing to do"
	}
	return strings.Join(parts, ", ")
}

func (o planObject) String() string {
	return manifests.ID{Group: o.Group, Kind: o.Kind, Namespace: o.Namespace, Name: o.Name}.String()
}
