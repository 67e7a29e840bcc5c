package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/client-go/applyconfigurations"
	"k8s.io/client-go/kubernetes/scheme"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/reconcile/inventory"
)

// Forecast is what the next pass would do.
type Forecast struct {
	*Result        // as far as the plan; nothing was changed
	Steps   []Step // one per action of the plan, in its order
}

// Step is one action with what only the server can tell of it.
type Step struct {
	diff.Action
	Fields  []diff.Field // what would change in the live object, after defaulting and merging
	Refused *Failure     // why the server would refuse it; nil when it would not
	Untried string       // why the server could not be asked, in words; or ""
}

// Idle reports whether the step would leave the object as it is: nothing is to be done, or the server says that it would change nothing.
func (s Step) Idle() bool {
	return s.Op == diff.None || s.Op == diff.Update && !s.Ends && s.Refused == nil && s.Untried == "" && len(s.Fields) == 0
}

// Forecast looks at the repository and the cluster once, and says what a pass would do. It shares every line with a pass up to the plan, and
// changes nothing. Each object that would be created or updated costs one dry run, and one that exists also a GET; the others cost nothing.
//
// The Loop is not running and cannot be run afterwards. The error says that ctx was done.
func (l *Loop) Forecast(ctx context.Context) (*Forecast, error) {
	ctx, stop := context.WithCancel(ctx)
	l.observer = newObserver(ctx, l.cluster, l.parent.ID())
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
	if _, decided := l.decide(ctx, f.Result, &found); decided {
		f.Steps = l.steps(ctx, f.Plan)
	}
	return f, ctx.Err()
}

// steps asks the server about every action that would apply something.
func (l *Loop) steps(ctx context.Context, plan diff.Plan) []Step {
	steps := make([]Step, len(plan.Actions))
	t := trial{loop: l, schemas: applyconfigurations.NewTypeConverter(scheme.Scheme), creates: map[manifests.ID]bool{}}
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

// trial tries actions by dry runs.
type trial struct {
	loop    *Loop
	schemas managedfields.TypeConverter // of the built-in kinds
	creates map[manifests.ID]bool       // by the same plan
}

// try fills in what the server says of one create or update.
func (t trial) try(ctx context.Context, s *Step) {
	before, after, err := t.run(ctx, s.Object)
	switch failure := (*Failure)(nil); {
	case errors.As(err, &failure) && failure.Class == Slow && t.premature(s.Object):
		s.Untried = "not tried: " + failure.Text
	case err != nil:
		s.Refused = newFailure(err, t.loop.cluster.host)
		s.Refused.Where = t.loop.locate(s.Object, s.Refused)
	}
	if before == nil {
		return
	}
	if s.Op == diff.Create {
		t.adopt(s, before)
	}
	converter := t.converter(s.Object)
	if after == nil { // which fields the server refused to change
		after, err = overlay(converter, before, s.Object)
	}
	if err == nil {
		s.Fields, err = diff.Fields(converter, unmarked(before), unmarked(after))
	}
	if err != nil && s.Refused == nil {
		s.Untried = "its fields cannot be compared: " + oneLine(err.Error())
	}
}

// adopt makes a create of what exists already an adoption, or a refusal where the object is somebody else's.
func (t trial) adopt(s *Step, live *unstructured.Unstructured) {
	found := inventory.Examine(t.loop.parent.ID(), s.Object.GroupVersionKind().GroupVersion().String(), live)
	if found.Refused != "" {
		s.Refused = &Failure{Class: Slow, Reason: string(OwnershipConflict), Text: found.Refused, Where: s.Object.Origin}
		return
	}
	s.Op, s.Reason = diff.Adopt, "exists already"
	if found.From != "" {
		s.Reason += "; taken over from " + found.From
	}
}

// unmarked returns a copy without the marks that every apply sets.
func unmarked(object *unstructured.Unstructured) *unstructured.Unstructured {
	bare := object.DeepCopy()
	unstructured.RemoveNestedField(bare.Object, "metadata", "labels", inventory.PartOfLabel)
	unstructured.RemoveNestedField(bare.Object, "metadata", "annotations", v1alpha1.AppliedAnnotation)
	for _, name := range []string{"labels", "annotations"} {
		if entries, _, _ := unstructured.NestedMap(bare.Object, "metadata", name); len(entries) == 0 {
			unstructured.RemoveNestedField(bare.Object, "metadata", name)
		}
	}
	return bare
}

// overlay returns the live object with the manifest laid over it.
func overlay(converter managedfields.TypeConverter, live *unstructured.Unstructured, object *manifests.Object) (*unstructured.Unstructured, error) {
	var wanted unstructured.Unstructured
	if err := json.Unmarshal(object.JSON, &wanted.Object); err != nil {
		return nil, err
	}
	return diff.Overlay(converter, live, &wanted)
}

// premature reports whether an object cannot be tried before other objects of the plan are there: its Namespace, or the CRD of its kind.
func (t trial) premature(object *manifests.Object) bool {
	if t.creates[manifests.ID{Kind: "Namespace", Name: object.ID.Namespace}] {
		return true
	}
	for _, other := range t.loop.set.Objects {
		if other.Defines != nil && *other.Defines == object.ID.GroupKind() {
			return t.creates[other.ID]
		}
	}
	return false
}

// run returns the live object, nil when there is none, and what the server would store.
func (t trial) run(ctx context.Context, object *manifests.Object) (before, after *unstructured.Unstructured, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	target, err := t.loop.cluster.resolve(object.ID.GroupKind(), object.Version)
	if err != nil {
		return nil, nil, newFailure(err, t.loop.cluster.host)
	}
	client := t.loop.cluster.dynamic.Resource(target.gvr).Namespace(object.ID.Namespace)
	before, err = client.Get(ctx, object.ID.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		before = nil
	case err != nil:
		return nil, nil, newFailure(err, t.loop.cluster.host)
	}
	content, err := body(object, t.loop.parent.ID(), precondition{})
	if err != nil {
		return before, nil, err
	}
	force := true
	after, err = client.Patch(ctx, object.ID.Name, types.ApplyPatchType, content, metav1.PatchOptions{
		FieldManager: inventory.FieldManager, Force: &force, FieldValidation: metav1.FieldValidationStrict, DryRun: []string{metav1.DryRunAll},
	})
	if err != nil {
		return before, nil, newFailure(err, t.loop.cluster.host)
	}
	return before, after, nil
}

// converter returns the schema of an object's kind, or what can be deduced without one.
func (t trial) converter(object *manifests.Object) managedfields.TypeConverter {
	if scheme.Scheme.Recognizes(object.GroupVersionKind()) {
		return t.schemas
	}
	return managedfields.NewDeducedTypeConverter()
}
