package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/client-go/kubernetes/scheme"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/manifests/verdict"
	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/reconcile/inventory"
)

// trial tries actions by dry runs, at most one for each object.
type trial struct {
	loop    *Loop
	now     time.Time
	schemas managedfields.TypeConverter // of the built-in kinds
	creates map[manifests.ID]bool       // by the same plan
}

// try fills in what the server says of one action.
func (t trial) try(ctx context.Context, s *Step) {
	before, err := t.ask(ctx, s)
	switch failure := (*Failure)(nil); {
	case err == nil:
	case before != nil && immutable(s.Object, newFailure(err, t.loop.cluster.host)):
		t.fixed(s, before, newFailure(err, t.loop.cluster.host))
	case errors.As(err, &failure) && failure.Class == Slow && t.premature(s.Object):
		s.Untried = "not tried: " + failure.Text
	default:
		t.refuse(s, err)
	}
}

// ask returns the live object, nil when there is none, and why the server would not do what the action wants.
func (t trial) ask(ctx context.Context, s *Step) (before *unstructured.Unstructured, err error) {
	target, err := t.loop.cluster.resolve(s.Object.ID.GroupKind(), s.Object.Version)
	if err != nil {
		return nil, newFailure(err, t.loop.cluster.host)
	}
	if before, err = t.look(ctx, s.Object, target); err != nil {
		return nil, err
	}
	if s.Op == diff.Create && before != nil {
		if err := t.adopt(ctx, s, before, target); err != nil {
			return nil, err
		}
		if s.Object.CreateOnly {
			return nil, nil
		}
	}
	var after *unstructured.Unstructured
	if s.Op == diff.Replace {
		if err = t.loop.rehearse(ctx, s.Object, target); err != nil {
			err = newFailure(err, t.loop.cluster.host)
		}
	} else {
		after, err = t.apply(ctx, s.Object, target)
	}
	t.compare(s, before, after)
	t.foresee(s, before, after)
	return before, err
}

// refuse records why the server would not have it.
func (t trial) refuse(s *Step, err error) {
	s.Refused = newFailure(err, t.loop.cluster.host).withoutSecrets(s.Object)
	s.Refused.Where = t.loop.locate(s.Object, s.Refused)
}

// look returns the live object, nil when there is none.
func (t trial) look(ctx context.Context, object *manifests.Object, target resource) (*unstructured.Unstructured, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	live, err := t.loop.cluster.dynamic.Resource(target.gvr).Namespace(object.ID.Namespace).Get(ctx, object.ID.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, newFailure(err, t.loop.cluster.host)
	}
	return live, nil
}

// apply returns what the server would store.
func (t trial) apply(ctx context.Context, object *manifests.Object, target resource) (*unstructured.Unstructured, error) {
	content, err := body(object, marks{setID: t.loop.parent.ID()}, precondition{})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	force := true
	after, err := t.loop.cluster.dynamic.Resource(target.gvr).Namespace(object.ID.Namespace).Patch(ctx, object.ID.Name,
		types.ApplyPatchType, content, metav1.PatchOptions{
			FieldManager: inventory.FieldManager, Force: &force, FieldValidation: metav1.FieldValidationStrict, DryRun: []string{metav1.DryRunAll},
		})
	if err != nil {
		return nil, newFailure(err, t.loop.cluster.host)
	}
	return after, nil
}

// adopt makes a create of what exists already an adoption, or refuses it where the object is somebody else's.
func (t trial) adopt(ctx context.Context, s *Step, live *unstructured.Unstructured, target resource) error {
	found := inventory.Examine(t.loop.parent.ID(), s.Object.GroupVersionKind().GroupVersion().String(), live)
	if found.Refused != "" {
		s.Op, s.Reason = diff.Conflict, ""
		return t.loop.refusal(ctx, live, found, target)
	}
	s.Op, s.Reason = diff.Adopt, "exists already"
	if s.Object.CreateOnly {
		s.Reason += "; left as it is"
		return nil
	}
	if found.From != "" {
		s.Reason += "; taken over from " + found.From
	}
	if s.Asked != "" {
		s.Reason += "; then it runs again, asked for by JobRun " + s.Asked
	}
	return nil
}

// compare fills in which fields differ. Without what the server would store, they are those of the manifest laid over the live object.
func (t trial) compare(s *Step, before, after *unstructured.Unstructured) {
	if before == nil {
		return
	}
	converter := t.converter(s.Object)
	var err error
	if after == nil {
		after, err = overlay(converter, before, s.Object)
	}
	if err == nil {
		s.Fields, err = diff.Fields(converter, unmarked(before), unmarked(after))
	}
	if err != nil {
		s.Untried = "its fields cannot be compared: " + oneLine(err.Error())
	}
}

// fixed makes of an update that the server refuses, since fields must stay as they are, what it would become: a replacement where that is
// allowed, or a refusal that names the fields.
func (t trial) fixed(s *Step, before *unstructured.Unstructured, refused *Failure) {
	if fields := t.culprits(s.Object, before); len(fields) > 0 {
		refused = &Failure{Class: refused.Class, Reason: refused.Reason}
		for _, field := range fields {
			refused.Causes = append(refused.Causes, FieldCause{Field: field, Reason: string(metav1.CauseTypeFieldValueInvalid), Text: isImmutable})
		}
		refused.Text = refusalOf(refused.Causes)
	}
	if s.Object.Run != nil && before.GetAnnotations()[v1alpha1.JobRunAnnotation] == "" {
		t.claim(s, before)
		return
	}
	out := wayOut(s.Object)
	if out != "" {
		t.refuse(s, refused.because(out))
		return
	}
	names := make([]string, len(refused.Causes))
	for i, cause := range refused.Causes {
		names[i] = cause.Field
	}
	s.Op, s.Untried = diff.Replace, ""
	s.Reason = strings.Join(names, ", ") + " must not change: it is deleted and created anew"
}

// claim says of a Job that Kilter did not start, and that is not what Git wants, what becomes of it: see write.claim.
func (t trial) claim(s *Step, before *unstructured.Unstructured) {
	live := reduce(t.loop.parent.ID(), s.Object.ID, before)
	live.Member, live.Job.Record = true, "existed already"
	then := diff.Compute(diff.Input{
		Set:     []*manifests.Object{s.Object},
		Desired: []diff.Wanted{{Object: s.Object, Live: &live, Runs: t.loop.runs(s.Object, t.loop.observer.ended())}},
	})
	if s.Op != diff.Adopt {
		s.Op, s.Reason = then.Actions[0].Op, then.Actions[0].Reason
		return
	}
	s.Untried = ""
	s.Reason += "; " + then.Actions[0].Reason
}

// isImmutable is how the server itself says of most fields that they must stay as they are.
const isImmutable = "field is immutable"

// culprits asks the linked rules of the server which of the fields that differ must not. Nothing is known of kinds that have none.
func (t trial) culprits(object *manifests.Object, before *unstructured.Unstructured) []string {
	converter := t.converter(object)
	after, err := overlay(converter, before, object)
	if err != nil {
		return nil
	}
	old, err := before.MarshalJSON()
	if err != nil {
		return nil
	}
	fields, err := diff.Culprits(converter, before, after, func(changed *unstructured.Unstructured) bool {
		updated, err := changed.MarshalJSON()
		if err != nil {
			return false
		}
		said, _ := verdict.Update(object.GroupVersionKind(), object.ID.Namespace, old, updated)
		for _, cause := range said.Causes {
			if !unchangeable.MatchString(cause.Message) {
				return false
			}
		}
		return len(said.Causes) > 0
	})
	if err != nil {
		return nil
	}
	return fields
}

// unmarked returns a copy without the marks that every apply sets.
func unmarked(object *unstructured.Unstructured) *unstructured.Unstructured {
	bare := object.DeepCopy()
	unstructured.RemoveNestedField(bare.Object, "metadata", "labels", inventory.PartOfLabel)
	for _, mark := range []string{v1alpha1.AppliedAnnotation, v1alpha1.JobRunAnnotation, v1alpha1.IdentityAnnotation} {
		unstructured.RemoveNestedField(bare.Object, "metadata", "annotations", mark)
	}
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
		return nil, fmt.Errorf("cannot read the manifest: %w", err)
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

// converter returns the schema of an object's kind, or what can be deduced without one.
func (t trial) converter(object *manifests.Object) managedfields.TypeConverter {
	if scheme.Scheme.Recognizes(object.GroupVersionKind()) {
		return t.schemas
	}
	return managedfields.NewDeducedTypeConverter()
}
