package diff

import (
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/health"
)

const worlds = 3000

// The same facts in any order give the same plan, to the letter. Nothing given is changed.
func TestComputeIsDeterministic(t *testing.T) {
	for seed := range uint64(worlds) {
		random := rand.New(rand.NewPCG(seed, 1))
		w := newWorld(random)
		in := w.input()
		given := w.input()
		slices.SortFunc(given.Others, func(a, b *Live) int { return a.ID.Compare(b.ID) })
		want := describe(Compute(in))
		for range 3 {
			again := w.input() // maps that were filled in another order
			random.Shuffle(len(again.Others), func(i, j int) { again.Others[i], again.Others[j] = again.Others[j], again.Others[i] })
			if got := describe(Compute(again)); got != want {
				t.Fatalf("world %d: one plan is\n%s\nand another\n%s", seed, want, got)
			}
		}
		slices.SortFunc(in.Others, func(a, b *Live) int { return a.ID.Compare(b.ID) })
		if !reflect.DeepEqual(given.Desired, in.Desired) || !reflect.DeepEqual(given.Others, in.Others) {
			t.Fatalf("world %d: Compute changed what it was given", seed)
		}
	}
}

// What is done as planned leaves nothing to do, and on the way there nothing is deleted that has to stay: I1, I2 and the limits.
func TestPlansConverge(t *testing.T) {
	for seed := range uint64(worlds) {
		random := rand.New(rand.NewPCG(seed, 2))
		w := newWorld(random)
		for round := 0; ; round++ {
			in := w.input()
			plan := Compute(in)
			checkEdges(t, seed, plan)
			checkDeletions(t, seed, in, plan)
			before := maps.Clone(w.live)
			busy := w.act(plan)
			for _, id := range sortedIDs(before) {
				live := before[id]
				if _, exists := w.live[id]; !exists && live.Health.Word != health.Terminating && (w.wanted(id) || !live.Member || live.Kept != "") {
					t.Fatalf("world %d: %s was deleted along with something; the plan was\n%s", seed, id, describe(plan))
				}
			}
			if !busy {
				break
			}
			if round == 10 {
				t.Fatalf("world %d does not come to rest:\n%s", seed, describe(plan))
			}
		}
		for _, action := range Compute(w.input()).Actions {
			if action.Op != None && action.Op != Keep && action.Op != Skip && action.Op != Conflict && (action.Op != Drift || !w.reportDrift) {
				t.Fatalf("world %d at rest: %s", seed, action)
			}
		}
	}
}

// What is as it should be may be left out of what there is to decide on, all of it or a part: the rest of the plan is the same.
func TestWhatIsAsItShouldBeMayBeLeftOut(t *testing.T) {
	left := 0
	for seed := range uint64(worlds) {
		random := rand.New(rand.NewPCG(seed, 3))
		w := newWorld(random)
		for range random.IntN(3) {
			w.act(Compute(w.input()))
		}
		in := w.input()
		whole := Compute(in)
		in.Desired = slices.DeleteFunc(in.Desired, func(wanted Wanted) bool {
			action, _ := whole.Find(wanted.ID)
			return action.Op == None && random.IntN(4) > 0
		})
		left += len(in.Set) - len(in.Desired)
		part := Compute(in)
		none := func(a Action) bool { return a.Op == None }
		whole.Actions = slices.DeleteFunc(whole.Actions, none)
		part.Actions = slices.DeleteFunc(part.Actions, none)
		if want, got := describe(whole), describe(part); want != got {
			t.Fatalf("world %d: the plan of everything is\n%s\nand without what is as it should be\n%s", seed, want, got)
		}
	}
	if left < worlds {
		t.Errorf("only %d objects were left out of %d worlds", left, worlds)
	}
}

// checkEdges: applies come after applies, and never after themselves; deletions come after nothing, since what has to wait is not deleted.
func checkEdges(t *testing.T, seed uint64, plan Plan) {
	t.Helper()
	at := map[manifests.ID]Action{}
	for _, action := range plan.Actions {
		at[action.ID] = action
	}
	for _, action := range plan.Actions {
		for _, id := range action.After {
			before, known := at[id]
			if !known || id == action.ID || before.Object == nil || action.Object == nil {
				t.Fatalf("world %d: %s comes after %s", seed, action, before)
			}
		}
		if !slices.IsSortedFunc(action.After, manifests.ID.Compare) || len(slices.Compact(slices.Clone(action.After))) != len(action.After) {
			t.Fatalf("world %d: After of %s is not a sorted set", seed, action)
		}
	}
}

// checkDeletions: only members that Git does not want, only from a whole tree, and no more than allowed.
func checkDeletions(t *testing.T, seed uint64, in Input, plan Plan) {
	t.Helper()
	deletions := 0
	for _, action := range plan.Actions {
		if action.Op == Delete {
			deletions++
			if user, ok := needed(action, plan); ok {
				t.Fatalf("world %d: %s although %s still needs it:\n%s", seed, action, user, describe(plan))
			}
			if action.Object != nil || !action.Live.Member || action.Live.Kept != "" || holds(action.ID) && !action.Live.Cascade {
				t.Fatalf("world %d: %s", seed, action)
			}
		}
	}
	switch {
	case deletions == 0:
	case !in.Prune.Enabled, in.Prune.Withheld != "", plan.PruneBlocked != "":
		t.Fatalf("world %d: deletions where none are allowed:\n%s", seed, describe(plan))
	case in.Prune.Limit == nil:
	case len(in.Desired) == 0, deletions > in.Prune.Limit(len(plan.Actions)):
		t.Fatalf("world %d: %d deletions of %d:\n%s", seed, deletions, len(plan.Actions), describe(plan))
	}
}

// needed finds something that is going, is still there, and cannot do without an object that is deleted.
func needed(deleted Action, plan Plan) (manifests.ID, bool) {
	live := map[manifests.ID]Live{}
	for _, action := range plan.Actions {
		going := action.Op == Delete || action.Op == Wait && (action.Live.Health.Word == health.Terminating || strings.Contains(action.Reason, "goes after"))
		if action.Object == nil && going && action.Live.Kept == "" {
			live[action.ID] = *action.Live
		}
	}
	var dependsOn func(user, used manifests.ID) bool
	dependsOn = func(user, used manifests.ID) bool {
		return slices.ContainsFunc(live[user].DependsOn, func(id manifests.ID) bool { return id == used || dependsOn(id, used) })
	}
	id := deleted.ID
	for _, user := range sortedIDs(live) {
		inside := isNamespace(id) && user.Namespace == id.Name || isCRD(id) && strings.HasSuffix(id.Name, "."+user.Group) && user.Group != ""
		works := id.Kind == "ConfigMap" && user.Namespace == id.Namespace && user.Kind == "Job" && !slices.ContainsFunc(sortedIDs(live), func(other manifests.ID) bool {
			return other.Kind == "ConfigMap" && dependsOn(other, user) // then that one goes first, whatever refers to what
		})
		if user != id && (inside || works || dependsOn(user, id) && !holds(user)) {
			return user, true
		}
	}
	return manifests.ID{}, false
}

// world is a model of a cluster and of what Git wants from it.
type world struct {
	desired     []*manifests.Object
	live        map[manifests.ID]Live
	expected    map[manifests.ID]string
	defines     map[manifests.ID]schema.GroupKind
	reportDrift bool
	prune       Prune
}

func newWorld(random *rand.Rand) *world {
	oneIn := func(n int) bool { return random.IntN(n) == 0 }
	w := &world{
		live: map[manifests.ID]Live{}, expected: map[manifests.ID]string{}, defines: map[manifests.ID]schema.GroupKind{},
		reportDrift: oneIn(4),
		prune:       Prune{Enabled: !oneIn(6)},
	}
	if oneIn(6) {
		w.prune.Withheld = "1 problem"
	}
	if !oneIn(4) {
		limit := random.IntN(5)
		w.prune.Limit = func(int) int { return limit }
	}
	for _, id := range w.universe() {
		if oneIn(2) {
			w.desired = append(w.desired, w.object(id, random))
		}
		if oneIn(2) {
			w.live[id] = Live{
				ID: id, Member: !oneIn(6), Applied: []string{"", "v1", "v2"}[random.IntN(3)], Fields: []string{"ours", "edited"}[random.IntN(2)],
				Kept: []string{"", "", "", "kilter.dev/prune: disabled"}[random.IntN(4)], Cascade: random.IntN(4) > 0, Health: health.Health{Word: health.Current},
			}
			if n := len(w.live); oneIn(3) && !holds(id) && n > 1 {
				live := w.live[id]
				if on := sortedIDs(w.live)[random.IntN(n)]; on.Compare(id) < 0 && !holds(on) {
					live.DependsOn = []manifests.ID{on}
				}
				w.live[id] = live
			}
			if live := w.live[id]; !live.Member && oneIn(2) {
				live.Refused = "somebody made it"
				w.live[id] = live
			}
			if oneIn(6) {
				w.live[id] = Live{ID: id, Member: true, Health: health.Health{Word: health.Terminating}}
			}
		}
		if oneIn(2) {
			w.expected[id] = "ours"
		}
	}
	return w
}

// universe lists every object that a world may have, and notes what its CRDs define.
func (w *world) universe() []manifests.ID {
	ids := []manifests.ID{}
	for _, namespace := range []string{"a", "b"} {
		ids = append(ids, manifests.ID{Kind: "Namespace", Name: namespace})
		for _, kind := range []manifests.ID{{Kind: "ConfigMap"}, {Group: "batch", Kind: "Job"}, {Group: "x.org", Kind: "Widget"}} {
			ids = append(ids, manifests.ID{Group: kind.Group, Kind: kind.Kind, Namespace: namespace, Name: "one"})
		}
	}
	for name, kind := range map[string]string{"widgets.x.org": "Widget", "geese.x.org": "Goose"} {
		crd := manifests.ID{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition", Name: name}
		w.defines[crd] = schema.GroupKind{Group: "x.org", Kind: kind}
		ids = append(ids, crd)
	}
	slices.SortFunc(ids, manifests.ID.Compare)
	return append(ids, manifests.ID{Group: "x.org", Kind: "Goose", Name: "gray"})
}

func (w *world) object(id manifests.ID, random *rand.Rand) *manifests.Object {
	object := &manifests.Object{ID: id, Hash: []string{"v1", "v2"}[random.IntN(2)], CreateOnly: random.IntN(6) == 0}
	if defines, ok := w.defines[id]; ok {
		object.Defines = &defines
	}
	if n := len(w.desired); n > 0 && id.Namespace != "" && random.IntN(2) == 0 {
		object.DependsOn = []manifests.ID{w.desired[random.IntN(n)].ID}
	}
	return object
}

func (w *world) wanted(id manifests.ID) bool {
	return slices.ContainsFunc(w.desired, func(o *manifests.Object) bool { return o.ID == id })
}

func (w *world) input() Input {
	return factsByID{Desired: w.desired, Live: w.live, Expected: w.expected, ReportDrift: w.reportDrift, Prune: w.prune}.input()
}

// act does what a plan says, as a cluster would: a Namespace or a CRD takes along all that is in it. It reports whether anything
// happened.
func (w *world) act(plan Plan) (busy bool) {
	for id, live := range w.live {
		if live.Health.Word == health.Terminating {
			delete(w.live, id)
			busy = true
		}
	}
	for _, action := range plan.Changes() {
		busy = true
		if action.Op != Delete {
			w.live[action.ID] = Live{
				ID: action.ID, Member: true, Applied: action.Object.Hash, Fields: "ours", Health: health.Health{Word: health.Current},
			}
			w.expected[action.ID] = "ours"
		}
	}
	for _, action := range plan.Changes() {
		if action.Op == Delete {
			delete(w.live, action.ID)
			maps.DeleteFunc(w.live, func(id manifests.ID, _ Live) bool {
				return action.ID.Kind == "Namespace" && id.Namespace == action.ID.Name || w.defines[action.ID] == id.GroupKind()
			})
		}
	}
	return busy
}
