package reconcile

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"kilter.dev/kilter/manifests"
)

// The two refusals of an apply with status 409 that mean different things.
func TestConflicts(t *testing.T) {
	owned := &apierrors.StatusError{ErrStatus: metav1.Status{Code: 409, Reason: metav1.StatusReasonConflict, Details: &metav1.StatusDetails{
		Causes: []metav1.StatusCause{
			{Type: metav1.CauseTypeFieldManagerConflict, Field: ".spec.paused", Message: `conflict with "kubectl-edit" using apps/v1`},
			{Type: metav1.CauseTypeFieldManagerConflict, Field: ".spec.replicas", Message: `conflict with "autoscaler" with subresource "scale" using apps/v1`},
			{Type: metav1.CauseTypeFieldManagerConflict, Field: ".spec.minReadySeconds", Message: `conflict with "kubectl-edit" using apps/v1`},
		},
	}}}
	want := []Taken{{"autoscaler", []string{".spec.replicas"}}, {"kubectl-edit", []string{".spec.paused", ".spec.minReadySeconds"}}}
	if diff := cmp.Diff(want, fieldConflicts(owned)); diff != "" {
		t.Errorf("fieldConflicts (-want +got):\n%s", diff)
	}
	there := apierrors.NewConflict(configMaps, "a", errors.New("the object has been modified"))
	if exists(owned) || !exists(there) || exists(nil) || fieldConflicts(there) != nil {
		t.Errorf("exists: %t of fields, %t of the object", exists(owned), exists(there))
	}
	if got := (Taken{"x", []string{".a", ".b", ".c", ".d", ".e"}}).String(); got != "x (.a, .b, .c and 2 more)" {
		t.Error(got)
	}
}

// Only what stands beside a field of Git, is not named there and may change is cleared.
func TestLeftovers(t *testing.T) {
	object := &manifests.Object{JSON: []byte(`{"metadata":{"name":"a"},"spec":{"strategy":{"type":"Recreate"},"paused":true}}`)}
	forbidden := func(path string) FieldCause {
		return FieldCause{Field: path, Reason: string(field.ErrorTypeForbidden), Text: "may not be specified"}
	}
	for _, c := range []struct {
		name   string
		causes []FieldCause
		want   int
	}{
		{"a default beside Git's field", []FieldCause{forbidden("spec.strategy.rollingUpdate")}, 1},
		{"nothing", nil, 0},
		{"what Git names", []FieldCause{forbidden("spec.strategy.type")}, 0},
		{"both", []FieldCause{forbidden("spec.strategy.rollingUpdate"), forbidden("spec.strategy.type")}, 0},
		{"with a parent that Git does not name", []FieldCause{forbidden("spec.selector.matchLabels")}, 0},
		{"within a list", []FieldCause{forbidden("spec.strategy.list[0]")}, 0},
		{"next to the top", []FieldCause{forbidden("spec.other")}, 0},
		{"required", []FieldCause{{Field: "spec.strategy.other", Reason: string(field.ErrorTypeRequired), Text: "Required value"}}, 0},
		{"immutable", []FieldCause{{Field: "spec.strategy.other", Reason: string(field.ErrorTypeInvalid), Text: "field is immutable"}}, 0},
		{"a cause without a field", []FieldCause{forbidden("")}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := leftovers(object, c.causes); len(got) != c.want {
				t.Errorf("leftovers: %v", got)
			}
		})
	}
}

// The server's words for a field that must stay as it is, from k8s.io/kubernetes/pkg/apis, and some that are not.
func TestImmutable(t *testing.T) {
	object := &manifests.Object{JSON: []byte(`{"metadata":{"name":"a"},"spec":{"updateStrategy":{"type":"OnDelete"},"serviceName":"b"}}`)}
	for text, want := range map[string]bool{
		"field is immutable": true,
		"Forbidden: updates to statefulset spec for fields other than 'replicas', 'template' are forbidden": true,
		"Forbidden: spec is immutable after creation except resources.requests":                             true,
		"Invalid value: may not change once set":                                                            true,
		"Invalid value: cannot change roleRef":                                                              true,
		"Forbidden: may not be changed in an update.":                                                       true,
		"Forbidden: pod updates may not change fields other than":                                           true,
		"Forbidden: field is immutable when `immutable` is set":                                             true,
		"Forbidden: updates to provisioner are forbidden.":                                                  true,
		"Invalid value: must be greater than or equal to 0":                                                 false,
		"Forbidden: may not be specified when strategy `type` is 'Recreate'":                                false,
		"Forbidden: field can not be less than status.capacity":                                             false,
		"Invalid value: only allowed for updateStrategy 'RollingUpdate'":                                    false,
	} {
		if got := immutable(object, &Failure{Causes: []FieldCause{{Text: text}}}); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
	fixed := FieldCause{Field: "spec.serviceName", Text: "field is immutable"}
	if immutable(object, &Failure{}) || immutable(object, &Failure{Causes: []FieldCause{fixed, {Field: "spec.other", Text: "Required value"}}}) {
		t.Error("Invalid alone, or one immutable field among others, is taken for immutable")
	}
	leftover := FieldCause{
		Field: "spec.updateStrategy.rollingUpdate", Reason: string(field.ErrorTypeInvalid), Text: "only allowed for updateStrategy 'RollingUpdate'",
	}
	if !immutable(object, &Failure{Causes: []FieldCause{leftover, fixed}}) {
		t.Error("an immutable field beside a default, which a new object would not have, is not taken for immutable")
	}
}

func TestWithoutSecrets(t *testing.T) {
	secret := &manifests.Object{ID: manifests.ID{Kind: "Secret", Name: "s"}, JSON: []byte(`{"data":{"a":"YzRuNHJ5LWh1bnRlcjI="},"stringData":{"b":"plain-canary"}}`)}
	text := "denied: c4n4ry-hunter2, YzRuNHJ5LWh1bnRlcjI= and plain-canary"
	if got := (&Failure{Text: text}).withoutSecrets(secret).Text; got != "denied: …, … and …" {
		t.Error(got)
	}
	if got := (&Failure{Text: text}).withoutSecrets(nil).Text; got != text {
		t.Error(got)
	}
}
