package reconcile

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/reconcile/health"
	"kilter.dev/kilter/reconcile/inventory"
	"kilter.dev/kilter/source"
)

var (
	sequences = flag.Int("sequences", 1000, "sequences of edits that TestIncrementalEqualsFull makes")
	seed      = flag.Uint64("seed", 0, "the first sequence of TestIncrementalEqualsFull; 0: by the clock")
)

const editsPerSequence = 5

// TestIncrementalEqualsFull follows random edits of a repository with one loop, which remembers what it read, and asks a new one, which
// remembers nothing, after each: both find the same Set, down to the last Problem, and decide the same, down to the text.
func TestIncrementalEqualsFull(t *testing.T) {
	first := *seed
	if first == 0 {
		first = uint64(time.Now().UnixNano())
	}
	t.Logf("go test ./reconcile -run TestIncrementalEqualsFull -seed %d", first)
	cluster := connectEcho(t)
	var tally tally
	t.Run("sequence", func(t *testing.T) {
		for i := range *sequences {
			t.Run(fmt.Sprint(first+uint64(i)), func(t *testing.T) {
				t.Parallel()
				follow(t, cluster, first+uint64(i), &tally)
			})
		}
	})
	t.Logf("%d looks: %d objects, %d of them at rest, %d problems, %d actions", tally.looks, tally.objects, tally.resting, tally.problems, tally.actions)
	if tally.looks == 0 || tally.objects < 2*tally.looks || tally.resting < tally.objects/10 || tally.problems < tally.looks || tally.actions < tally.looks/4 {
		t.Error("the edits say too little")
	}
}

// tally tells whether there was anything to compare.
type tally struct {
	sync.Mutex
	looks, objects, resting, problems, actions int
}

func (a *tally) add(set *manifests.Set, plan diff.Plan) {
	a.Lock()
	defer a.Unlock()
	a.looks++
	a.objects += len(set.Objects)
	a.resting += len(set.Objects) - len(plan.Actions)
	a.problems += len(set.Problems)
	a.actions += len(plan.Changes())
}

// follow makes one sequence of edits.
func follow(t *testing.T, cluster *Cluster, seed uint64, tally *tally) {
	random := rand.New(rand.NewPCG(seed, 0))
	repository := newEdited(random)
	lasting := newEchoed(t, cluster, manifests.NewLoader(manifests.Options{}))
	live := map[manifests.ID]*diff.Live{}
	namespace := ""
	for step := range editsPerSequence + 1 {
		if step > 0 {
			repository.edit()
		}
		if random.IntN(5) == 0 {
			namespace = of(random, "", "one", "two")
			repository.done = append(repository.done, "target namespace "+namespace)
		}
		snapshot := source.Snapshot{Commit: source.Commit(fmt.Sprint(step)), Revision: fmt.Sprint(step), Tree: newGitTree(repository.files), Path: root}
		for range 3 { // what the first has done is found by the second, and is known by the third
			afresh := newEchoed(t, cluster, manifests.NewLoader(manifests.Options{}))
			got, found := lookedAt(t, lasting, snapshot, namespace, live)
			want, truth := lookedAt(t, afresh, snapshot, namespace, live, lasting)
			if !reflect.DeepEqual(want, got) || judged(truth) != judged(found) {
				t.Fatalf("-seed %d -sequences 1, after %s:\n-afresh +lasting\n%s%s", seed, strings.Join(repository.done, "; "),
					cmp.Diff(rendered(want), rendered(got)), cmp.Diff(judged(truth), judged(found)))
			}
			tally.add(got, found.Plan)
			lasting.settleOn(found.Plan, live)
		}
		disturb(random, live)
	}
}

// lookedAt returns what a loop finds in a commit, and what it makes of it and of what there is in the cluster, when it expects what others know.
func lookedAt(t *testing.T, l *Loop, snapshot source.Snapshot, namespace string, live map[manifests.ID]*diff.Live, knows ...*Loop) (*manifests.Set, *Result) {
	t.Helper()
	l.sync.Spec.TargetNamespace, l.snapshot = namespace, snapshot
	r := l.begin()
	if err := l.load(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	for _, other := range knows {
		for i, object := range l.set.Objects {
			if at, wanted := other.sight.index(object.ID); wanted {
				l.sight.objects[i].expected = other.sight.objects[at].expected
			}
		}
	}
	l.see(live)
	var err error
	if r.Plan, err = l.plan(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	l.outcome(r)
	l.sightings.runs(r, l.sight)
	return l.set, r
}

// see shows a loop what is new in the cluster: objects, and records of runs.
func (l *Loop) see(live map[manifests.ID]*diff.Live) {
	known := maps.Clone(l.sight.own)
	for object := range l.sight.all {
		known[object.ID] = object
	}
	for id := range known {
		if live[id] == nil {
			l.sight.show(id, nil, l.ledger.sync)
		}
	}
	for id, object := range live {
		if known[id] != object {
			l.sight.show(id, object, l.ledger.sync)
		}
	}
}

// settleOn makes live what it is once a plan was acted on.
func (l *Loop) settleOn(plan diff.Plan, live map[manifests.ID]*diff.Live) {
	for _, action := range plan.Changes() {
		if action.Op == diff.Delete {
			delete(live, action.ID)
			continue
		}
		live[action.ID] = l.asApplied(action.Object)
		if before := action.Live; before != nil && before.ReplicasTaken && !names(action.Object, inventory.Replicas) {
			live[action.ID].ReplicasTaken = true
		}
		if record := l.recordOf(live[action.ID]); record != nil {
			live[record.ID] = record
		}
	}
}

// disturb has others edit objects, delete them, decide for a time, or do what becomes of them.
func disturb(random *rand.Rand, live map[manifests.ID]*diff.Live) {
	for _, id := range slices.SortedFunc(maps.Keys(live), manifests.ID.Compare) {
		change := func(change func(*diff.Live)) { live[id] = with(live[id], change) }
		is := func(word health.Word) {
			change(func(live *diff.Live) { live.Health = health.Health{Word: word, Reason: "Test"} })
		}
		switch choice := random.IntN(48); {
		case choice == 0:
			delete(live, id)
		case id.GroupKind() == jobRunKind:
			if choice < 4 {
				run := *live[id].Run
				run.Outcome = of(random, diff.Complete, diff.Failed, diff.Deleted, "")
				change(func(live *diff.Live) { live.Run = &run })
			}
		case choice == 1:
			change(func(live *diff.Live) { live.Fields, live.ReplicasTaken = "edited", true })
		case choice > 45:
			change(func(live *diff.Live) { live.ReplicasTaken = !live.ReplicasTaken })
		case choice < 5:
			is(of(random, health.InProgress, health.Failed, health.Current, health.Terminating))
		case choice == 5:
			until := time.Now().Add(time.Duration(random.IntN(3)-1) * time.Hour)
			change(func(live *diff.Live) { live.Exception = &diff.Exception{Until: until} })
		case choice == 6:
			change(func(live *diff.Live) { live.SuspendTaken, live.Exception = !live.SuspendTaken, nil })
		case choice < 10 && live[id].Job != nil:
			job := *live[id].Job
			job.Outcome = of(random, diff.Complete, diff.Failed, "")
			change(func(live *diff.Live) { live.Job = &job })
		}
	}
}

// rendered renders a set for people.
func rendered(set *manifests.Set) string {
	var b strings.Builder
	for _, p := range set.Problems {
		fmt.Fprintf(&b, "%+v\n", p)
	}
	for _, o := range set.Objects {
		fmt.Fprintf(&b, "%s %s %s %s %v %v\n", o.ID, o.Origin, o.Origin.BuiltBy, o.JSON, o.DependsOn, o.Uses)
	}
	for _, s := range set.Skipped {
		fmt.Fprintf(&b, "%+v\n", s)
	}
	return b.String()
}

// judged renders what a pass is about to do, and what it makes of everything. That something is as it should be is not told of each object: a
// loop that knows it does not decide again.
func judged(r *Result) string {
	var b strings.Builder
	b.WriteString(r.Plan.String())
	for _, action := range r.Plan.Actions {
		if action.Op != diff.None {
			fmt.Fprintf(&b, "%s after %s\n", action.ID, action.After)
		}
	}
	for _, e := range r.Exceptions {
		fmt.Fprintf(&b, "exception of %s until %s\n", e.ID, e.Until)
	}
	for _, run := range r.Measures.LastRuns {
		fmt.Fprintf(&b, "last run of %s: %s\n", run.Job, run.Outcome)
	}
	fmt.Fprintf(&b, "%d objects: %v, %d leaving, unseen %t, unrecorded %t\n%v\n", r.Objects, r.Health, r.Leaving, r.Unseen, r.Unrecorded, r.Unwell)
	return b.String()
}
