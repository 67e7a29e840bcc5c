package reconcile

import (
	"encoding/json"
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/client/applyconfiguration"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/managedfields"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/applyconfigurations"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/reconcile/inventory"
)

// precondition limits an apply to one state of the object; the zero value to none.
type precondition struct {
	uid             string
	resourceVersion string
}

// neverStored is a resourceVersion that no object has: etcd counts its own first, empty state as 1. An apply with it succeeds only where
// there is no object to compare it with. It is not stored.
const neverStored = "1"

// marks are what every object carries that was applied, beside what its manifest says.
type marks struct {
	setID string
	run   *diff.JobState // of a Job: which run it is; nil for other kinds
}

// body returns the request that applies an object: the manifest, the set's label, the hash of the manifest and what marks a run.
func body(object *manifests.Object, m marks, only precondition) ([]byte, error) {
	content, err := marked(object, m, only)
	if err != nil {
		return nil, err
	}
	return json.Marshal(content.Object)
}

func marked(object *manifests.Object, m marks, only precondition) (*unstructured.Unstructured, error) {
	var content unstructured.Unstructured
	if err := json.Unmarshal(object.JSON, &content.Object); err != nil {
		return nil, fmt.Errorf("cannot read %s again: %w", object.ID, err)
	}
	if err := m.set(&content, object.Hash); err != nil {
		return nil, err
	}
	if only.uid != "" {
		content.SetUID(types.UID(only.uid))
	}
	if only.resourceVersion != "" {
		content.SetResourceVersion(only.resourceVersion)
	}
	return &content, nil
}

// set puts the marks on an object.
func (m marks) set(content *unstructured.Unstructured, hash string) error {
	if err := unstructured.SetNestedField(content.Object, m.setID, "metadata", "labels", inventory.PartOfLabel); err != nil {
		return err
	}
	annotations := map[string]string{v1alpha1.AppliedAnnotation: hash}
	if m.run != nil && m.run.Record != "" {
		annotations[v1alpha1.JobRunAnnotation] = m.run.Record
		annotations[v1alpha1.IdentityAnnotation] = m.run.Identity.String()
	}
	for key, value := range annotations {
		if err := unstructured.SetNestedField(content.Object, value, "metadata", "annotations", key); err != nil {
			return err
		}
	}
	return nil
}

// identityFields are those that the server leaves out of every field set; see stripMeta in
// k8s.io/apimachinery/pkg/util/managedfields/internal.
var identityFields = fieldpath.NewSet(
	fieldpath.MakePathOrDie("apiVersion"),
	fieldpath.MakePathOrDie("kind"),
	fieldpath.MakePathOrDie("metadata"),
	fieldpath.MakePathOrDie("metadata", "name"),
	fieldpath.MakePathOrDie("metadata", "namespace"),
)

// fieldSets computes offline the field set that the server would keep for an apply. Kinds that are not built in have no
// compiled schema, and the server's answer has to be asked for instead.
type fieldSets []fieldSchema

// fieldSchema is the compiled schema of the kinds of a scheme.
type fieldSchema struct {
	kinds     *runtime.Scheme
	converter managedfields.TypeConverter
}

// newFieldSets loads the schemas of all built-in kinds, and of CRDs: some megabytes, so it is kept no longer than needed.
func newFieldSets() fieldSets {
	definitions := runtime.NewScheme()
	utilruntime.Must(apiextensionsv1.AddToScheme(definitions)) // an empty scheme has room for any kind
	return fieldSets{
		{scheme.Scheme, applyconfigurations.NewTypeConverter(scheme.Scheme)},
		{definitions, applyconfiguration.NewTypeConverter(definitions)},
	}
}

// of returns the schema of a kind, or nil.
func (f fieldSets) of(kind schema.GroupVersionKind) managedfields.TypeConverter {
	for _, compiled := range f {
		if compiled.kinds.Recognizes(kind) {
			return compiled.converter
		}
	}
	return nil
}

// expected returns the hash of the field set that an undisturbed object has, as fieldsHash gives it, and whether that is known.
func (f fieldSets) expected(object *manifests.Object, m marks) (string, bool) {
	converter := f.of(object.GroupVersionKind())
	if converter == nil {
		return "", false
	}
	content, err := marked(object, m, precondition{})
	if err != nil {
		return "", false
	}
	typed, err := converter.ObjectToTyped(content)
	if err != nil {
		return "", false
	}
	set, err := typed.ToFieldSet()
	if err != nil {
		return "", false
	}
	fields, err := set.Difference(identityFields).ToJSON()
	if err != nil {
		return "", false
	}
	return fieldsHash(fields), true
}

// expectation is what one manifest came to when it was applied: the field set that the object has while nobody disturbs it.
type expectation struct{ hash, fields string }

// expect takes what the server answered to an apply.
func (s *sight) expect(object *manifests.Object, fields string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, wanted := s.index(object.ID); wanted {
		s.objects[i].expected = expectation{object.Hash, fields}
	}
}

// expectedOf returns what is expected of the i-th object of the set, as it is to be applied; empty when that is not known. What another process
// applied is computed from the manifest, so that a restart needs no request to see that nothing has changed.
func (s *sight) expectedOf(i int, object *manifests.Object, setID string, compiled func() fieldSets) string {
	seen := &s.objects[i]
	switch {
	case seen.expected.hash == object.Hash:
		return seen.expected.fields
	case seen.live == nil || seen.live.Applied != object.Hash:
		return ""
	}
	fields, known := compiled().expected(object, marks{setID, seen.live.Job})
	if known {
		seen.expected = expectation{object.Hash, fields}
	}
	return fields
}
