package reconcile

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"kilter.dev/kilter/internal/golden"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
)

// spansOf draws the spans of one pass, each below its parent, in the order in which they ended.
func spansOf(r *Result) string {
	recorder := tracetest.NewSpanRecorder()
	NewTraces(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)), "v1.2.3").Observe(batch(), r)
	var b strings.Builder
	var draw func(parent trace.SpanID, indent string)
	draw = func(parent trace.SpanID, indent string) {
		for _, s := range recorder.Ended() {
			if s.Parent().SpanID() != parent {
				continue
			}
			fmt.Fprintf(&b, "%s%s  %s +%s", indent, s.Name(), s.StartTime().UTC().Format("05.000"), s.EndTime().Sub(s.StartTime()))
			if s.SpanKind() != trace.SpanKindInternal {
				fmt.Fprintf(&b, " (%s)", s.SpanKind())
			}
			b.WriteByte('\n')
			for _, a := range s.Attributes() {
				fmt.Fprintf(&b, "%s  - %s: %s\n", indent, a.Key, a.Value.String())
			}
			if s.Status().Code == codes.Error {
				fmt.Fprintf(&b, "%s  ! %s\n", indent, s.Status().Description)
			}
			draw(s.SpanContext().SpanID(), indent+"  ")
		}
	}
	draw(trace.SpanID{}, "")
	return b.String()
}

// lasting gives a Result one phase after the other, of 10 ms each; the look at the repository was before the pass. What was written was so one
// after the other as well, and deleted after that.
func lasting(names ...string) func(*Result) {
	return func(r *Result) {
		next := r.Started
		for _, name := range names {
			began := next
			if name == "fetch" {
				began = r.Started.Add(-200 * time.Millisecond)
			} else {
				next = next.Add(10 * time.Millisecond)
			}
			r.Phases = append(r.Phases, Phase{Name: name, Began: began, Took: 10 * time.Millisecond})
		}
		for i, change := range r.Changes {
			r.Changes[i].Done = r.Started.Add(time.Duration(35+i) * time.Millisecond)
			if change.Op == diff.Delete {
				r.Changes[i].Done = r.Started.Add(45 * time.Millisecond)
			}
		}
	}
}

func TestTraces(t *testing.T) {
	drifted := func(r *Result) {
		id := manifests.ID{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "web"}
		r.Changes = append(r.Changes, Change{
			Action: diff.Action{Op: diff.Update, ID: id, Drifted: true, Object: &manifests.Object{ID: id, Origin: manifests.Origin{File: "web.yaml", Line: 1, Column: 1}}},
			Tried:  true, Took: 4 * time.Millisecond,
		})
	}
	waiting := func(r *Result) { r.Changes[0].Tried = false }
	for name, changes := range map[string][]func(*Result){
		"a commit":     {drifted, failing(diff.Update, Terminal), failing(diff.Delete, Slow), lasting("fetch", "load", "observe", "plan", "apply", "prune", "record")},
		"no server":    {unfetched, lasting("fetch", "load", "observe", "plan", "apply")},
		"drift":        {drifted, lasting("load", "observe", "plan", "apply", "prune", "record")},
		"not due yet":  {failing(diff.Update, Slow), waiting, lasting("load", "observe", "plan", "apply")},
		"suspended":    {suspended},
		"nothing new":  {lasting("fetch", "load", "observe", "plan", "apply", "prune", "record")},
		"no reference": {func(r *Result) { r.Attempted = "sha1:0123456789abcdef0123456789abcdef01234567" }},
	} {
		t.Run(name, func(t *testing.T) {
			golden.Check(t, filepath.Join("testdata", "traces", strings.ReplaceAll(name, " ", "-")+".txt"), spansOf(succeeded(changes...)))
		})
	}
}

// Without a collector nobody is told, and nothing fails.
func TestNoTraces(*testing.T) {
	var none *Traces
	none.Observe(batch(), succeeded(lasting("apply")))
}
