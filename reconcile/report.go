package reconcile

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"kilter.dev/kilter/internal/phrase"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/reconcile/health"
	"kilter.dev/kilter/reconcile/inventory"
)

// begin opens the Result of a pass.
func (l *Loop) begin() *Result {
	return &Result{Started: l.clock(), Generation: l.sync.Generation, Requested: l.requested, Suspended: l.sync.Spec.Suspend}
}

// timed runs one phase of a pass and keeps how long it took.
func (l *Loop) timed(r *Result, name string, phase func()) {
	start := l.clock()
	phase()
	r.Phases = append(r.Phases, Phase{Name: name, Began: start, Took: l.clock().Sub(start)})
}

// finish closes the Result, tells what is new in it and hands it on. A pass that was interrupted has no outcome: what it changed is told,
// and nothing is published.
func (l *Loop) finish(ctx context.Context, r *Result) {
	r.Applied = l.applied
	r.Finished = l.clock()
	if ctx.Err() != nil {
		for _, c := range r.Changes {
			newsOfChange(c).log(l.log)
		}
		return
	}
	l.sightings.measure(r)
	r.Measures.Fights = l.fights.ongoing(r.Finished)
	var all []news
	first := l.told.reason == ""
	l.told, all = l.told.news(r)
	for _, n := range all {
		n.log(l.log)
	}
	if l.log.Enabled(ctx, slog.LevelDebug) && !slices.ContainsFunc(all, func(n news) bool { return n.pass != nil }) {
		news{level: slog.LevelDebug, what: "pass", why: r.Message(), pass: r}.log(l.log)
	}
	if first && r.Ready() && len(r.Changes) == 0 {
		all = nil // a restart that found everything as it should be writes nothing, not even Events
	}
	l.record(events(all, l.parent.reference()))
	l.publish(r)
}

// told is what was told last: a state is told when it is new, not at every pass.
type told struct {
	reason  Reason
	message string
	objects map[string]bool // what was said of single objects and still holds: "waits Job shop/seed"
}

// news is one thing to tell: a line in the log, and an Event where somebody may look for one.
type news struct {
	level  slog.Level
	what   string // one of a closed set of words
	object manifests.ID
	live   *diff.Live // what the cluster held of the object; nil when nothing
	origin manifests.Origin
	why    string
	drift  bool    // of a change: it put right what somebody had changed
	pass   *Result // of the pass as a whole; nil in news of an object
}

// news returns what is new in a Result, in the order to tell it: the commit, each changed object, each new trouble, and the pass itself when
// anything is new.
func (t told) news(r *Result) (told, []news) {
	next := told{reason: r.Reason(), message: r.Message(), objects: map[string]bool{}}
	var all []news
	if r.NewCommit {
		all = newsOfCommit(r)
	}
	all = slices.Grow(all, len(r.Changes)) // of a first apply, thousands
	told := r.NewCommit || next.reason != t.reason || bad(next.reason) && next.message != t.message
	for _, c := range r.Changes {
		if c.Failure == nil && !c.Same || c.Failure != nil && !c.Again {
			told = true
			all = append(all, newsOfChange(c))
		}
	}
	once := func(n news, more ...string) {
		key := strings.Join(append([]string{n.what, n.object.String()}, more...), " ")
		next.objects[key] = true
		if !t.objects[key] {
			all = append(all, n)
		}
	}
	for _, a := range r.Plan.Actions {
		switch a.Op {
		case diff.Drift:
			once(news{level: slog.LevelWarn, what: "drift", object: a.ID, live: a.Live, origin: a.Object.Origin, why: a.Reason}, a.Reason)
		case diff.Keep:
			once(news{what: "kept", object: a.ID, live: a.Live, why: a.Reason})
		}
	}
	for _, e := range r.Exceptions {
		if e.Until.After(r.Finished) {
			once(news{what: "suspended", object: e.ID, live: e.Live, origin: e.Origin, why: suspendedBy(&e.Exception)}, e.Until.String())
		}
	}
	for _, b := range r.Blocked {
		once(news{what: "waits", object: b.Object.ID, origin: b.Object.Origin, why: "for " + b.By.String() + ": " + b.Reason})
	}
	for _, rollout := range r.Rollouts {
		if rollout.Health.Word == health.Current {
			// Not waited for, or outdated on purpose: without a word it would look like all the rest.
			what := "rollout"
			if rollout.Health.Reason == health.ReasonOutdatedPods {
				what = "outdated"
			}
			once(news{what: what, object: rollout.Object, origin: rollout.Origin, why: rollout.Health.Message})
		}
	}
	for _, u := range r.Unwell {
		once(newsOf(slog.LevelError, "unwell", u))
	}
	if told {
		n := news{what: "pass", why: next.message, pass: r}
		if bad(next.reason) {
			n.level = slog.LevelError
		}
		all = append(all, n)
	}
	return next, all
}

// newsOfCommit tells what was found in a commit that was read for the first time.
func newsOfCommit(r *Result) []news {
	var all []news
	if r.Rewritten != "" {
		all = append(all, news{level: slog.LevelWarn, what: "rewritten", why: "the branch was pushed by force: it does not lead back to " +
			r.Rewritten.Short() + " any more, which was read before"})
	}
	for _, p := range r.Rejected {
		all = append(all, newsOf(slog.LevelError, "rejected", troubleIn(p)))
	}
	for _, p := range r.Warnings {
		all = append(all, newsOf(slog.LevelWarn, "warning", troubleIn(p)))
	}
	for _, s := range r.Skipped {
		all = append(all, news{what: "skipped", object: s.Object, origin: s.Origin, why: s.Reason})
	}
	return all
}

func newsOf(level slog.Level, what string, t Trouble) news {
	return news{level: level, what: what, object: t.Object, origin: t.Origin, why: t.Message}
}

// newsOfChange tells one change, done or failed.
func newsOfChange(c Change) news {
	n := news{object: c.ID, live: c.Live, what: done[c.Op], why: c.why(), drift: c.Drifted}
	if c.Object != nil {
		n.origin = c.Object.Origin
	}
	if c.Failure != nil {
		t := c.trouble()
		n.level, n.what, n.origin, n.why = slog.LevelError, "failed", t.Origin, t.Message
	}
	return n
}

// done are the words for what was done.
var done = map[diff.Op]string{
	diff.Create: "created", diff.Update: "updated", diff.Delete: "deleted", diff.Adopt: "adopted", diff.Replace: "replacing",
}

// why says what a change that was done is told with. A first creation explains itself.
func (c Change) why() string {
	why := c.Reason
	switch {
	case c.Op == diff.Adopt && c.Object.CreateOnly:
		why = "exists already; left as it is"
	case c.Op == diff.Adopt && c.From != "":
		why = "from " + c.From
	case c.Op == diff.Create && c.Reason == diff.NotThere, c.Op == diff.Adopt && c.Reason == diff.NotThere:
		why = ""
	case c.Op == diff.Replace:
		why += "; deleted, to be created anew"
	}
	taken := slices.DeleteFunc(slices.Clone(c.Taken), func(t Taken) bool { // what the reason has not told of
		return slices.ContainsFunc(c.Drift, func(d inventory.Change) bool { return d.Manager == t.Manager })
	})
	if len(taken) > 0 {
		why = strings.TrimPrefix(why+"; taken over from "+phrase.List(taken), "; ")
	}
	return why
}

// log writes the news as one line.
func (n news) log(log *slog.Logger) {
	attrs := about(n.object, n.origin, n.why)
	if r := n.pass; r != nil {
		attrs = []slog.Attr{
			slog.String("revision", r.Attempted), slog.String("reason", string(r.Reason())), slog.String("message", n.why),
			slog.String("took", r.Finished.Sub(r.Started).Round(time.Millisecond).String()),
		}
	}
	log.LogAttrs(context.Background(), n.level, n.what, attrs...) //nolint:sloglint // what is one of a closed set of words
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
