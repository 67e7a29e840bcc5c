package reconcile

import (
	"context"
	"sync"

	"k8s.io/client-go/applyconfigurations"
	"k8s.io/client-go/kubernetes/scheme"

	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/manifests/schedule"
	"kilter.dev/kilter/reconcile/diff"
)

// Forecast is what the next pass would do.
type Forecast struct {
	*Result        // as far as the plan; nothing was changed
	Steps   []Step // one per action of the plan, in its order
}

// Step is one action with what only the server can tell of it.
type Step struct {
	diff.Action
	Fields  []diff.Field      // what would change in the live object, after defaulting and merging
	Refused *Failure          // why the server would refuse it; nil when it would not
	Untried string            // why the server could not be asked, in words; or ""
	Runs    *schedule.Outlook // of a CronJob whose runs the step changes; nil for every other
}

// Idle reports whether the step would leave the object as it is: nothing is to be done, or the server says that it would change nothing.
func (s Step) Idle() bool {
	return s.Op == diff.None || s.Op == diff.Update && !s.Ends && s.Refused == nil && s.Untried == "" && len(s.Fields) == 0
}

// Forecast looks at the repository and the cluster once, and says what a pass would do. It shares every line with a pass up to the plan, and
// changes nothing. Each object that would be created, updated or replaced costs a GET and at most one dry run; the others cost nothing.
//
// The Loop is not running and cannot be run afterwards. The error says that ctx was done.
func (l *Loop) Forecast(ctx context.Context) (*Forecast, error) {
	ctx, stop := context.WithCancel(ctx)
	l.rehearses = true
	l.observer = newObserver(ctx, l.cluster, l.ledger.cluster, l.parent.ID(), l.ledger.sync)
	defer l.observer.wait()
	defer l.looks.wait()
	defer stop()

	l.looks.start(ctx)
	var found look
	select {
	case found = <-l.looks.found:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	f := &Forecast{Result: l.begin()}
	if l.decide(ctx, f.Result, &found) {
		f.Steps = l.steps(ctx, f.Plan)
	}
	return f, ctx.Err()
}

// steps asks the server about every action that would apply something.
func (l *Loop) steps(ctx context.Context, plan diff.Plan) []Step {
	steps := make([]Step, len(plan.Actions))
	t := trial{loop: l, now: l.clock(), schemas: applyconfigurations.NewTypeConverter(scheme.Scheme), creates: map[manifests.ID]bool{}}
	for _, action := range plan.Actions {
		t.creates[action.ID] = action.Op == diff.Create
	}
	var asking sync.WaitGroup
	slots := make(chan struct{}, firstLimit)
	for i, action := range plan.Actions {
		steps[i] = Step{Action: action}
		if action.Object == nil || !action.Writes() {
			continue
		}
		slots <- struct{}{}
		asking.Go(func() {
			defer func() { <-slots }()
			t.try(ctx, &steps[i])
		})
	}
	asking.Wait()
	return steps
}
