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
	t.Logf("%d commits: %d objects, %d problems, %d actions", tally.commits, tally.objects, tally.problems, tally.actions)
	if tally.commits == 0 || tally.objects < 2*tally.commits || tally.problems < tally.commits || tally.actions < tally.commits {
		t.Error("the edits say too little")
	}
}

// tally tells whether there was anything to compare.
type tally struct {
	sync.Mutex
	commits, objects, problems, actions int
}

func (a *tally) add(set *manifests.Set, plan diff.Plan) {
	a.Lock()
	defer a.Unlock()
	a.commits++
	a.objects += len(set.Objects)
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
		afresh := newEchoed(t, cluster, manifests.NewLoader(manifests.Options{}))
		got, plan := decided(t, lasting, snapshot, namespace, live)
		want, truth := decided(t, afresh, snapshot, namespace, live, lasting)
		if !reflect.DeepEqual(want, got) || !reflect.DeepEqual(truth, plan) {
			t.Fatalf("-seed %d -sequences 1, after %s:\n-afresh +lasting\n%s%s", seed, strings.Join(repository.done, "; "),
				cmp.Diff(rendered(want), rendered(got)), cmp.Diff(planned(truth), planned(plan)))
		}
		tally.add(got, plan)
		lasting.settleOn(plan, live)
		disturb(random, live)
	}
}

// decided returns what a loop finds in a commit, and what it wants to do about it, when it expects what others know.
func decided(t *testing.T, l *Loop, snapshot source.Snapshot, namespace string, live map[manifests.ID]*diff.Live, knows ...*Loop) (*manifests.Set, diff.Plan) {
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
	for known := range l.sight.all {
		if live[known.ID] == nil {
			l.sight.put(known.ID, nil)
		}
	}
	for id, seen := range live {
		l.sight.put(id, seen)
	}
	plan, err := l.plan(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return l.set, plan
}

// settleOn makes live what it is once a plan was acted on.
func (l *Loop) settleOn(plan diff.Plan, live map[manifests.ID]*diff.Live) {
	for _, action := range plan.Changes() {
		if action.Op == diff.Delete {
			delete(live, action.ID)
		} else {
			live[action.ID] = l.asApplied(action.Object)
		}
	}
}

// disturb has somebody else edit an object, or delete one.
func disturb(random *rand.Rand, live map[manifests.ID]*diff.Live) {
	for _, id := range slices.SortedFunc(maps.Keys(live), manifests.ID.Compare) {
		object := live[id]
		switch random.IntN(12) {
		case 0:
			delete(live, id)
		case 1:
			live[id] = with(object, func(live *diff.Live) { live.Fields, live.ReplicasTaken = "edited", true })
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

func planned(plan diff.Plan) string {
	text := plan.String()
	for _, action := range plan.Actions {
		text += fmt.Sprintf("%s after %s\n", action.ID, action.After)
	}
	return text
}
