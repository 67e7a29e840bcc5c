package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// kilterTurn is Kilter's part of a repetition.
type kilterTurn struct {
	*repetition
	*place
	kilter  *kilter
	account *account
	limits  *limits
}

// measureKilter measures everything of Kilter, and the quick limits in turns with it.
func (r *repetition) measureKilter(ctx context.Context) (err error) {
	p, err := r.enter(ctx, subjectKilter)
	if err != nil {
		return err
	}
	t := &kilterTurn{repetition: r, place: p, account: r.accounts[subjectKilter]}
	if t.kilter, err = newKilter(r.cluster, t.account, r.options.kilter, p.namespace, r.dir); err != nil {
		return err
	}
	if err := t.kilter.start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.kilter.stopped(), t.leave(ctx)) }()
	if err := t.firstApply(ctx); err != nil {
		return err
	}
	if r.groups["push"] || r.groups["drift"] {
		if err := t.besideLimits(ctx); err != nil {
			return err
		}
	}
	if err := t.memory(); err != nil {
		return err
	}
	return t.again(ctx)
}

// besideLimits measures what takes milliseconds.
func (t *kilterTurn) besideLimits(ctx context.Context) (err error) {
	if t.limits, err = t.newLimits(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.limits.end(ctx)) }()
	if err := t.cluster.quiet(ctx); err != nil {
		return err
	}
	if t.groups["push"] {
		if err := t.push(ctx); err != nil {
			return err
		}
	}
	if t.groups["drift"] {
		return t.drift(ctx)
	}
	return nil
}

// again measures what is measured of a process that finds everything as it should be.
func (t *kilterTurn) again(ctx context.Context) error {
	if !t.groups["restart"] && !t.groups["rest"] && !t.groups["churn"] {
		return nil
	}
	if err := t.cluster.quiet(ctx); err != nil { // the limits' objects have gone a moment ago
		return err
	}
	if err := t.restart(ctx); err != nil {
		return err
	}
	if t.groups["rest"] || t.groups["churn"] {
		if err := t.kilter.lookEvery(ctx, time.Second); err != nil {
			return err
		}
		if err := t.kilter.settled(ctx, ""); err != nil {
			return err
		}
	}
	if t.groups["rest"] {
		if err := t.rest(ctx); err != nil {
			return err
		}
	}
	if t.groups["churn"] {
		if err := t.churn(ctx); err != nil {
			return err
		}
	}
	return t.memory()
}

// firstApply measures from the Sync's creation until a watcher has seen every object. Kilter is running, and has nothing to do before.
func (t *kilterTurn) firstApply(ctx context.Context) error {
	used, err := usageOf(t.kilter.PID())
	if err != nil {
		return err
	}
	before, err := t.cluster.read(ctx)
	if err != nil {
		return err
	}
	all := t.expectCount(t.n)
	start := time.Now()
	if err := t.kilter.create(ctx, t.git.URL("work")); err != nil {
		return err
	}
	end, err := all.wait(ctx)
	if err != nil {
		return fmt.Errorf("%w; kilter printed:\n%s", err, t.kilter.Output())
	}
	if err := t.kilter.settled(ctx, ""); err != nil {
		return err
	}
	after, err := t.cluster.read(ctx)
	if err != nil {
		return err
	}
	now, err := usageOf(t.kilter.PID())
	if err != nil || !t.groups["apply"] {
		return err
	}
	took := end.Sub(start).Seconds()
	t.say("kilter: first apply %.2f s", took)
	counted := after.since(before)
	t.add("first-apply", subjectKilter, "", took)
	t.add("first-apply-cpu", subjectKilter, "", now.cpu-used.cpu)
	t.add("first-apply-server-cpu", subjectKilter, "", counted.cpu)
	t.add("first-apply-requests", subjectKilter, "", counted.byFlow[t.account.flowSchema])
	return nil
}

// push measures from the request to look at what was pushed until a watcher has seen it in the cluster.
func (t *kilterTurn) push(ctx context.Context) error {
	before, err := t.cluster.read(ctx)
	if err != nil {
		return err
	}
	for range t.samples {
		changed, value, err := t.change(ctx)
		if err != nil {
			return err
		}
		if err := t.limits.fetchAndPatch(ctx, changed, value); err != nil {
			return err
		}
		seen := t.expectValues([]object{changed}, value)
		start := time.Now()
		if err := t.kilter.request(ctx, value); err != nil {
			return err
		}
		end, err := seen.wait(ctx)
		if err != nil {
			return fmt.Errorf("%w; kilter printed:\n%s", err, t.kilter.Output())
		}
		t.add("push", subjectKilter, "", milliseconds(end.Sub(start)))
		if err := t.kilter.settled(ctx, value); err != nil {
			return err
		}
	}
	after, err := t.cluster.read(ctx)
	if err != nil {
		return err
	}
	t.add("push-requests", subjectKilter, "", after.since(before).byFlow[t.account.flowSchema]/float64(t.samples))
	return nil
}

// memory keeps the most that the process has taken since it started.
func (t *kilterTurn) memory() error {
	used, err := usageOf(t.kilter.PID())
	if err == nil && t.groups["memory"] {
		t.add("memory", subjectKilter, "", used.peak)
	}
	return err
}

// restart stops Kilter and starts it again, and measures until its own metrics say that all is well.
func (t *kilterTurn) restart(ctx context.Context) error {
	if err := t.kilter.stopped(); err != nil {
		return err
	}
	before, err := t.cluster.read(ctx)
	if err != nil {
		return err
	}
	start := time.Now()
	if err := t.kilter.start(ctx); err != nil {
		return err
	}
	if err := t.kilter.awaitReady(ctx); err != nil {
		return err
	}
	took := time.Since(start)
	after, err := t.cluster.read(ctx)
	if err != nil || !t.groups["restart"] {
		return err
	}
	counted := after.since(before)
	t.add("restart", subjectKilter, "", took.Seconds())
	t.add("restart-writes", subjectKilter, "", counted.writes())
	t.addRequests("restart-requests", counted, 1)
	return nil
}

// addRequests keeps how many requests Kilter has sent, and those of anybody by verb, for each of so many occasions.
func (t *kilterTurn) addRequests(measure string, counted reading, occasions float64) {
	t.add(measure, subjectKilter, "", counted.byFlow[t.account.flowSchema]/occasions)
	for verb, n := range counted.byVerb {
		if verb != "WATCH" { // counted when it ends, whoever's it is
			t.add(measure, subjectKilter, verb, n/occasions)
		}
	}
}

// rest measures what it costs to look at a repository and a cluster in which nothing has changed, once a second.
func (t *kilterTurn) rest(ctx context.Context) error {
	t.git.Forget()
	counted, used, err := t.during(ctx, func() error {
		select {
		case <-time.After(t.window):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	if err != nil {
		return err
	}
	looks := float64(len(t.git.Requests()))
	if looks == 0 {
		return errors.New("kilter did not look at its repository once a second, as its Sync says")
	}
	t.addRequests("rest-requests", counted, looks)
	t.add("rest-cpu", subjectKilter, "", used/looks*1000)
	return nil
}

// churn measures what status updates of others cost: of CronJobs whose controller has run them, and of Deployments.
func (t *kilterTurn) churn(ctx context.Context) error {
	start := time.Now()
	counted, used, err := t.during(ctx, func() error { return t.updateStatuses(ctx) })
	if err != nil {
		return err
	}
	seconds := time.Since(start).Seconds()
	t.add("churn-requests", subjectKilter, "", counted.byFlow[t.account.flowSchema]/seconds)
	t.add("churn-cpu", subjectKilter, "", used/seconds*1000)
	return nil
}

// during returns what the API server has counted, and the seconds of processor time that Kilter has used, while something was done.
func (t *kilterTurn) during(ctx context.Context, do func() error) (reading, float64, error) {
	before, err := t.cluster.read(ctx)
	if err != nil {
		return reading{}, 0, err
	}
	used, err := usageOf(t.kilter.PID())
	if err != nil {
		return reading{}, 0, err
	}
	if err := do(); err != nil {
		return reading{}, 0, err
	}
	now, err := usageOf(t.kilter.PID())
	if err != nil {
		return reading{}, 0, err
	}
	after, err := t.cluster.read(ctx)
	return after.since(before), now.cpu - used.cpu, err
}
