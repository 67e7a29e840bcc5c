package reconcile

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/internal/phrase"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
)

// pass is one look at everything and one step towards what Git says. It is the table of contents of this program.
//
// A commit that cannot be read or is not valid leaves the last good one in force: its objects are still looked after. A nil look means
// that the repository has not been looked at since the last pass.
func (l *Loop) pass(ctx context.Context, found *look) *Result {
	r := l.begin()
	defer l.finish(ctx, r)
	if r.Suspended {
		return r
	}

	if !l.decide(ctx, r, found) {
		return r
	}
	if err := l.parent.widen(ctx, l.parent.covering(l.sight.covered()), l.set); err != nil {
		r.ClusterError = err
		return r
	}

	l.attempts.keep(r.Plan)
	l.timed(r, "apply", func() {
		out := l.apply(ctx, r.Plan, l.places)
		r.Changes, r.Blocked = out.changes, out.blocked
	})
	whole := l.appliedWhole(r)
	if whole {
		l.applied = l.revision
		l.timed(r, "prune", func() { r.Changes = append(r.Changes, l.prune(ctx, r.Plan, l.places)...) })
	}

	l.sight.refresh(l.observer)
	l.timed(r, "record", func() { r.ClusterError = l.keepRecords(ctx, whole && *l.sync.Spec.Prune && r.Plan.PruneBlocked == "") })

	l.sight.refresh(l.observer)
	l.rollouts.overlay(l.sight, r)
	l.outcome(r)
	l.observer.words.quotes(r)
	l.sightings.runs(r, l.sight)
	if err := l.settleInventory(ctx, r); err != nil {
		r.ClusterError = err
	}
	return r
}

// decide is the half of a pass that changes nothing: what Git says, what the cluster says, and what has to be done about the difference.
// It returns false when there is nothing to act on. A commit that could not be loaded yet is a ClusterError of r although the one before it is
// acted on.
func (l *Loop) decide(ctx context.Context, r *Result, found *look) bool {
	l.take(r, found)
	l.timed(r, "load", func() { r.ClusterError = l.load(ctx, r) })
	if l.set == nil {
		return false
	}
	var err error
	l.timed(r, "observe", func() { err = l.observe(ctx, r) })
	if err == nil {
		l.timed(r, "plan", func() { r.Plan, err = l.plan(ctx, r) })
	}
	if err != nil {
		r.ClusterError = err
		return false
	}
	return true
}

// take takes over what a look at the repository found.
func (l *Loop) take(r *Result, found *look) {
	if found != nil {
		l.looks.taken(found)
		l.requested, l.fetchError = found.answers, found.err
		r.Phases = append(r.Phases, Phase{Name: "fetch", Began: found.began, Took: found.took})
		l.autoscaled.asked = "" // nobody tells when an autoscaler that is not ours goes
		r.Looked = true
		if found.err == nil {
			l.sightings.see(found, l.clock())
			r.Fetched = true
			l.snapshot = found.snapshot
		}
	}
	r.FetchError, r.Requested = l.fetchError, l.requested
}

// load turns a new snapshot into the set to enforce, if all of it is valid. It fails when the cluster cannot say which kinds it has, or a
// file cannot be read; then the commit is loaded by a later pass.
func (l *Loop) load(ctx context.Context, r *Result) error {
	defer func() {
		r.Attempted, r.Enforced = l.snapshot.Revision, l.revision
		if l.loaded == l.snapshot.Commit {
			r.Rejected, r.Warnings, r.Skipped = l.rejected, l.warnings, l.skipped
		}
	}()
	if l.snapshot.Commit == "" || l.loaded == l.snapshot.Commit && !l.kindsDue() {
		return nil
	}
	scope := l.cluster.scope()
	set, err := l.loader.Load(ctx, l.snapshot.Tree, manifests.Target{
		Paths: []string{l.snapshot.Path}, DefaultNamespace: l.defaultNamespace(), Scope: scope.of, Name: l.name,
	})
	switch {
	case scope.err != nil:
		return scope.err
	case err != nil:
		return fmt.Errorf("cannot read the files of %s: %w", l.snapshot.Revision, err)
	}
	if set, err = l.appeal(ctx, set); err != nil {
		return err
	}
	set = l.confined(set)
	if r.NewCommit = l.loaded != l.snapshot.Commit; r.NewCommit {
		r.Rewritten = l.snapshot.Rewritten
	}
	l.loaded, l.skipped = l.snapshot.Commit, set.Skipped
	l.rejected, l.warnings = nil, nil
	for _, p := range set.Problems {
		if p.Severity == manifests.Error {
			l.rejected = append(l.rejected, p)
		} else {
			l.warnings = append(l.warnings, p)
		}
	}
	if set.Rejected() && l.sync.Spec.Invalid != v1alpha1.InvalidSkipObject {
		return nil
	}
	l.set, l.commit, l.revision = set, l.snapshot.Commit, l.snapshot.Revision
	l.sight.follow(set)
	l.waiting.keep(set, nil)
	l.fights.keep(set)
	l.placesDue = true
	return nil
}

// observe makes the watches cover what is desired and what may still be there, and takes over what they have seen. A place that Kilter may not
// look into is left out, with the objects that belong there: the rest goes on. Any other trouble ends the pass.
func (l *Loop) observe(ctx context.Context, r *Result) error {
	if err := l.parent.load(ctx); err != nil {
		return err
	}
	unrecordable := l.recordable(ctx)
	if (unrecordable != nil) != l.unrecordable {
		l.unrecordable, l.placesDue = !l.unrecordable, true
	}
	if l.placesDue || len(l.unresolved) > 0 {
		l.sight.refresh(l.observer)
		if err := l.choosePlaces(); err != nil {
			return err
		}
	}
	if err := l.observer.watch(ctx, l.places); err != nil {
		return err
	}
	l.blind = map[place]bool{}
	if trouble := l.forbidden.trouble(); trouble != nil {
		r.Blind = append(r.Blind, *trouble)
	}
	all := l.observer.unseen()
	for _, u := range all {
		failure := newFailure(u.err, l.cluster.host)
		if failure.Class != Slow || len(all) == len(l.places) {
			return fmt.Errorf("cannot watch %s: %w", u.place, failure)
		}
		l.blind[u.place] = true
		r.Blind = append(r.Blind, Trouble{Reason: failure.Reason, Message: fmt.Sprintf("cannot watch %s: %s", u.place, failure.Text)})
	}
	if unrecordable != nil {
		r.Blind = append(r.Blind, *unrecordable)
	}
	l.listed = l.observer.synced(l.listed)
	l.sight.refresh(l.observer)
	l.byPods(ctx, r)
	return nil
}

// choosePlaces lists every place where an object of the set is wanted or may be. Objects that are no longer wanted may be in any place that
// the inventory covers, until it was listed once; from then on, what was observed there tells.
func (l *Loop) choosePlaces() error {
	places := map[place]resource{}
	var outside forbidden
	var unresolved []schema.GroupKind
	add := func(kind schema.GroupKind, namespace string) error {
		found, err := l.cluster.resolve(kind, "")
		switch {
		case meta.IsNoMatchError(err):
			// Its CRD comes with this commit, or is gone: nothing can be observed, and nothing is taken for deleted.
			unresolved = append(unresolved, kind)
		case err != nil:
			return newFailure(err, l.cluster.host)
		case found.namespaced != (namespace != ""):
		case l.tenancy.bars(l.sync.Namespace, place{kind, namespace}):
			outside = append(outside, place{kind, namespace})
		default:
			places[place{kind, namespace}] = found
		}
		return nil
	}
	for p := range l.sight.covered() {
		if err := add(p.kind, p.namespace); err != nil {
			return err
		}
	}
	for _, kind := range l.parent.stored.GroupKinds {
		for _, namespace := range append([]string{""}, l.parent.stored.Namespaces...) {
			if l.listed[place{kind, namespace}] {
				continue
			}
			if err := add(kind, namespace); err != nil {
				return err
			}
		}
	}
	for p := range places {
		if p.kind == jobKind && l.recordsServed() {
			places[place{jobRunKind, p.namespace}] = jobRuns
		}
	}
	l.places, l.forbidden, l.unresolved, l.placesDue = places, outside, unresolved, false
	return nil
}

// plan gathers what the plan depends on, and computes it.
func (l *Loop) plan(ctx context.Context, r *Result) (diff.Plan, error) {
	wanted, err := l.wanted(ctx)
	if err != nil {
		return diff.Plan{}, err
	}
	in := diff.Input{
		Set: l.visible(), Desired: wanted, Others: slices.Collect(maps.Values(l.sight.others)),
		ReportDrift: l.sync.Spec.Drift == v1alpha1.DriftReport,
		Prune:       diff.Prune{Enabled: *l.sync.Spec.Prune, Limit: l.sync.Spec.PruneLimit},
	}
	if l.allows == string(l.loaded) {
		in.Prune.Limit = nil
	}
	switch {
	case len(r.Rejected) > 0:
		in.Prune.Withheld = fmt.Sprintf("%s in %s", phrase.Count(len(r.Rejected), "problem"), l.snapshot.Revision)
	case len(r.Blind) > 0:
		in.Prune.Withheld = "not every kind can be looked at"
	}
	return l.named(ctx, in), nil
}

// visible returns the objects of the set that may be looked at.
func (l *Loop) visible() []*manifests.Object {
	if len(l.blind) == 0 && !l.unrecordable {
		return l.set.Objects
	}
	return slices.DeleteFunc(slices.Clone(l.set.Objects), l.invisible)
}

// invisible reports whether the place of an object, or of the records of its runs, is blind.
func (l *Loop) invisible(o *manifests.Object) bool {
	return len(l.blind) > 0 && (l.blind[placeOf(o.ID)] || o.Run != nil && l.blind[place{jobRunKind, o.ID.Namespace}]) ||
		l.unrecordable && o.Run != nil
}

// appliedWhole reports whether every object of the newest commit is as Git says, so that what left Git may go.
func (l *Loop) appliedWhole(r *Result) bool {
	return r.FetchError == nil && !l.set.Rejected() && len(r.Blind) == 0 && len(r.Blocked) == 0 && len(r.Failures()) == 0
}

// settleInventory narrows the inventory to what is desired or still there.
func (l *Loop) settleInventory(ctx context.Context, r *Result) error {
	contents := l.parent.covering(l.sight.covered(), l.unresolved...)
	if contents.Equal(l.parent.stored) || len(r.Blind) > 0 {
		return nil
	}
	l.placesDue = true
	return l.parent.narrow(ctx, contents)
}
