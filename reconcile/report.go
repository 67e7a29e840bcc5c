package reconcile

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"kilter.dev/kilter/internal/phrase"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
)

// begin opens the Result of a pass.
func (l *Loop) begin() *Result {
	return &Result{Started: l.clock(), Generation: l.sync.Generation, Requested: l.requested, Suspended: l.sync.Spec.Suspend}
}

// timed runs one phase of a pass and keeps how long it took.
func (l *Loop) timed(r *Result, name string, phase func()) {
	start := l.clock()
	phase()
	r.Phases = append(r.Phases, Phase{Name: name, Took: l.clock().Sub(start)})
}

// finish closes the Result, logs what is new in it and hands it on. A pass that was interrupted has no outcome: what it changed is logged,
// and nothing is published.
func (l *Loop) finish(ctx context.Context, r *Result) {
	r.Applied = l.applied
	r.Finished = l.clock()
	if ctx.Err() != nil {
		for _, c := range r.Changes {
			tellChange(context.WithoutCancel(ctx), l.log, c)
		}
		return
	}
	l.told = l.told.tell(l.log, r)
	l.publish(r)
}

// told is what was logged last: a state is logged when it is new, not at every pass.
type told struct {
	reason  Reason
	message string
	objects map[string]bool // what was said of single objects and still holds: "waits Job shop/seed"
}

// tell logs one line per changed object, one per new trouble, and one for the pass when anything is new.
func (t told) tell(log *slog.Logger, r *Result) told {
	ctx := context.Background()
	next := told{reason: r.Reason(), message: r.Message(), objects: map[string]bool{}}
	news := r.NewCommit || next.reason != t.reason || bad(next.reason) && next.message != t.message
	if r.NewCommit {
		tellCommit(ctx, log, r)
	}
	for _, c := range r.Changes {
		if c.Failure == nil && !c.Same || c.Failure != nil && !c.Again {
			news = true
			tellChange(ctx, log, c)
		}
	}
	once := func(level slog.Level, what string, about Trouble) {
		key := what + " " + about.Object.String()
		next.objects[key] = true
		if !t.objects[key] {
			tellTrouble(ctx, log, level, what, about)
		}
	}
	for _, a := range r.Plan.Actions {
		switch a.Op {
		case diff.Drift:
			once(slog.LevelWarn, "drift", Trouble{Object: a.ID, Origin: a.Object.Origin, Message: a.Reason})
		case diff.Keep:
			once(slog.LevelInfo, "kept", Trouble{Object: a.ID, Message: a.Reason})
		}
	}
	for _, b := range r.Blocked {
		once(slog.LevelInfo, "waits", Trouble{Object: b.Object.ID, Origin: b.Object.Origin, Message: "for " + b.By.String() + ": " + b.Reason})
	}
	for _, u := range r.Unwell {
		once(slog.LevelError, "unwell", u)
	}
	if news {
		level := slog.LevelInfo
		if bad(next.reason) {
			level = slog.LevelError
		}
		log.LogAttrs(ctx, level, "pass",
			slog.String("revision", r.Attempted), slog.String("reason", string(next.reason)), slog.String("message", next.message),
			slog.String("took", r.Finished.Sub(r.Started).Round(time.Millisecond).String()))
	}
	return next
}

// tellCommit logs what was found in a commit that was read for the first time.
func tellCommit(ctx context.Context, log *slog.Logger, r *Result) {
	for _, p := range r.Rejected {
		tellTrouble(ctx, log, slog.LevelError, "rejected", troubleIn(p))
	}
	for _, p := range r.Warnings {
		tellTrouble(ctx, log, slog.LevelWarn, "warning", troubleIn(p))
	}
	for _, s := range r.Skipped {
		tellTrouble(ctx, log, slog.LevelInfo, "skipped", Trouble{Origin: s.Origin, Object: s.Object, Message: s.Reason})
	}
}

// tellTrouble logs one line on one object or file.
func tellTrouble(ctx context.Context, log *slog.Logger, level slog.Level, what string, t Trouble) {
	log.LogAttrs(ctx, level, what, about(t.Object, t.Origin, t.Message)...) //nolint:sloglint // what is one of a closed set of words
}

// tellChange logs one change, done or failed.
func tellChange(ctx context.Context, log *slog.Logger, c Change) {
	origin := manifests.Origin{}
	if c.Object != nil {
		origin = c.Object.Origin
	}
	if c.Failure != nil {
		tellTrouble(ctx, log, slog.LevelError, "failed", c.trouble())
		return
	}
	log.LogAttrs(ctx, slog.LevelInfo, done[c.Op], about(c.ID, origin, c.why())...) //nolint:sloglint // a word of the table below
}

// done are the words for what was done.
var done = map[diff.Op]string{
	diff.Create: "created", diff.Update: "updated", diff.Delete: "deleted", diff.Adopt: "adopted", diff.Replace: "replacing",
}

// why says what a change that was done is told with. A first creation explains itself.
func (c Change) why() string {
	why := c.Reason
	switch {
	case c.Op == diff.Adopt && c.From != "":
		why = "from " + c.From
	case c.Op == diff.Create && c.Reason == diff.NotThere, c.Op == diff.Adopt && c.Reason == diff.NotThere:
		why = ""
	case c.Op == diff.Replace:
		why += "; deleted, to be created anew"
	}
	if len(c.Taken) > 0 {
		why = strings.TrimPrefix(why+"; taken over from "+phrase.List(c.Taken), "; ")
	}
	return why
}

// about returns the attributes of a line on one object; those that are empty are left out.
func about(id manifests.ID, origin manifests.Origin, why string) []slog.Attr {
	var attrs []slog.Attr
	for _, a := range []slog.Attr{slog.String("object", id.String()), slog.String("origin", origin.String()), slog.String("why", why)} {
		if strings.TrimSpace(a.Value.String()) != "" {
			attrs = append(attrs, a)
		}
	}
	return attrs
}

// bad reports whether somebody has to act on a reason, or be patient with trouble.
func bad(reason Reason) bool {
	switch reason {
	case Suspended, DependencyNotReady, Progressing, ReconciliationSucceeded:
		return false
	default:
		return true
	}
}
