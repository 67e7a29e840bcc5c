package main

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"
)

// measureRawApply applies the work with several numbers of requests in flight, each time into a new namespace: with all of them in the first
// repetition, and from then on with the two that were fastest.
func (r *repetition) measureRawApply(ctx context.Context) error {
	if !r.groups["apply"] {
		return nil
	}
	best, cpu := 0.0, 0.0
	for _, inFlight := range r.results.fastest(r.n, r.inFlight, 2) {
		took, used, err := r.rawApply(ctx, inFlight)
		if err != nil {
			return err
		}
		r.say("raw apply, %d in flight: %.2f s", inFlight, took)
		r.add(rawApply, subjectRaw, inFlightPart(inFlight), took)
		if best == 0 || took < best {
			best, cpu = took, used
		}
	}
	r.add(rawApply, subjectRaw, "", best)
	r.add(rawServerCPU, subjectRaw, "", cpu)
	return nil
}

// inFlightPart names a number of requests in flight.
func inFlightPart(n int) string { return strconv.Itoa(n) + " in flight" }

// fastest returns the few numbers in flight with which the work was applied fastest so far; all that are given, when it was with none.
func (r *results) fastest(n int, inFlight []int, few int) []int {
	took := map[int]float64{}
	for _, each := range inFlight {
		if known := r.find(n, rawApply, subjectRaw, inFlightPart(each)); known != nil {
			took[each] = slices.Min(slices.Concat(known.Samples...))
		}
	}
	if len(took) == 0 {
		return inFlight
	}
	sorted := slices.SortedFunc(maps.Keys(took), func(a, b int) int { return cmp.Or(cmp.Compare(took[a], took[b]), cmp.Compare(a, b)) })
	return sorted[:min(few, len(sorted))]
}

func (r *repetition) rawApply(ctx context.Context, inFlight int) (took, serverCPU float64, err error) {
	p, err := r.enter(ctx, subjectRaw)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, p.leave(ctx)) }()
	raw, err := newRaw(r.accounts[subjectRaw].config, p.namespace, r.work)
	if err != nil {
		return 0, 0, err
	}
	before, err := r.cluster.read(ctx)
	if err != nil {
		return 0, 0, err
	}
	all := p.expectCount(r.n)
	start := time.Now()
	if err := raw.applyAll(ctx, r.work, inFlight); err != nil {
		return 0, 0, err
	}
	end, err := all.wait(ctx)
	if err != nil {
		return 0, 0, err
	}
	after, err := r.cluster.read(ctx)
	return end.Sub(start).Seconds(), after.since(before).cpu, err
}

// limits are what the quick measures of Kilter are compared with, taken in turns with them: a namespace with the work in it, somebody who
// repairs it without thinking, and a clone of the repository.
type limits struct {
	*repetition
	*place
	raw      *raw
	repairer *repairer
	clone    string
}

// newLimits applies the work once more, as the raw limit does, and clones the repository as deep as Kilter does.
func (r *repetition) newLimits(ctx context.Context) (*limits, error) {
	p, err := r.enter(ctx, subjectRaw)
	if err != nil {
		return nil, err
	}
	l := &limits{repetition: r, place: p}
	if l.raw, err = newRaw(r.accounts[subjectRaw].config, p.namespace, r.work); err != nil {
		return nil, err
	}
	all := p.expectCount(r.n)
	if err := l.raw.applyAll(ctx, r.work, 32); err != nil {
		return nil, err
	}
	if _, err := all.wait(ctx); err != nil {
		return nil, err
	}
	if l.repairer, err = newRepairer(ctx, l.raw); err != nil {
		return nil, err
	}
	l.clone = r.dir + "/clone-" + p.namespace
	_, err = r.repo.Git(ctx, "clone", "--quiet", "--bare", "--depth", "1", r.git.URL("work"), l.clone)
	return l, err
}

func (l *limits) end(ctx context.Context) error {
	return errors.Join(l.repairer.close(), l.leave(ctx))
}

// fetchAndPatch measures what has to be done for a change that was pushed: to fetch it, and to apply one object.
func (l *limits) fetchAndPatch(ctx context.Context, changed object, value string) error {
	start := time.Now()
	if _, err := l.repo.Git(ctx, "-C", l.clone, "ls-remote", "--quiet", "origin", "refs/heads/main"); err != nil {
		return err
	}
	listed := time.Now()
	if _, err := l.repo.Git(ctx, "-C", l.clone, "fetch", "--quiet", "origin", "main"); err != nil {
		return err
	}
	fetched := time.Now()
	body, err := changed.withValue(value).body(l.namespace)
	if err != nil {
		return err
	}
	seen := l.expectValues([]object{changed}, value)
	sent := time.Now()
	if err := l.raw.apply(ctx, changed, body); err != nil {
		return err
	}
	patched, err := seen.wait(ctx)
	if err != nil {
		return err
	}
	l.add("git-ls-remote", subjectRaw, "", milliseconds(listed.Sub(start)))
	l.add("git-fetch", subjectRaw, "", milliseconds(fetched.Sub(listed)))
	l.add("patch", subjectRaw, "", milliseconds(patched.Sub(sent)))
	l.add(fetchAndPatch, subjectRaw, "", milliseconds(fetched.Sub(listed)+patched.Sub(sent)))
	return nil
}

// milliseconds is the unit of what is quick.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
