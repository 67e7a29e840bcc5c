package v1alpha1

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"
)

// crd is what the API server makes of our CRD: its defaults and its rules.
type crd struct {
	structural *schema.Structural
	schema     validation.SchemaValidator
	rules      *cel.Validator
}

func newCRD(t *testing.T) crd {
	t.Helper()
	file, err := CRDs.ReadFile("crds/kilter.dev_syncs.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var definition apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(file, &definition); err != nil {
		t.Fatal(err)
	}
	var internal apiextensions.JSONSchemaProps
	published := definition.Spec.Versions[0].Schema.OpenAPIV3Schema
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(published, &internal, nil); err != nil {
		t.Fatal(err)
	}
	var c crd
	if c.structural, err = schema.NewStructural(&internal); err != nil {
		t.Fatal(err)
	}
	if c.schema, _, err = validation.NewSchemaValidator(&internal); err != nil {
		t.Fatal(err)
	}
	c.rules = cel.NewValidator(c.structural, true, celconfig.PerCallLimit)
	return c
}

// judge returns the fields that the server refuses, with its messages.
func (c crd) judge(t *testing.T, document []byte) string {
	t.Helper()
	var object map[string]any
	if err := yaml.Unmarshal(document, &object); err != nil {
		return "not YAML\n"
	}
	if object["kind"] != SyncKind {
		return "another kind\n"
	}
	defaulting.Default(object, c.structural)
	found := validation.ValidateCustomResource(nil, object, c.schema)
	byRule, _ := c.rules.Validate(t.Context(), nil, c.structural, object, nil, celconfig.RuntimeCELCostBudget)
	var lines []string
	for _, e := range append(found, byRule...) {
		lines = append(lines, fmt.Sprintf("%s: %s\n", e.Field, e.ErrorBody()))
	}
	if len(lines) == 0 {
		return "accepted\n"
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// Default does for a file what the CRD's defaults do for an object: no more, no less.
func TestCRDDefaultsEqualDefault(t *testing.T) {
	object := map[string]any{
		"apiVersion": GroupVersion.String(), "kind": SyncKind, "metadata": map[string]any{"name": "batch"},
		"spec": map[string]any{"git": map[string]any{"url": "https://git.example.com/batch.git"}},
	}
	defaulting.Default(object, newCRD(t).structural)
	var server, file Sync
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object, &server); err != nil {
		t.Fatal(err)
	}
	file.Spec.Git.URL = "https://git.example.com/batch.git"
	file.Spec.Default()
	if diff := cmp.Diff(server.Spec, file.Spec); diff != "" {
		t.Errorf("spec (-as the server defaults it +as Default does):\n%s", diff)
	}
	again := *file.Spec.DeepCopy()
	again.Default()
	if diff := cmp.Diff(file.Spec, again); diff != "" {
		t.Errorf("a second Default changes:\n%s", diff)
	}
	file.Namespace, file.Name = "team-a", "batch"
	if err := file.Validate(); err != nil {
		t.Errorf("the defaults are not valid: %v", err)
	}
}

func duration(d time.Duration) metav1.Duration { return metav1.Duration{Duration: d} }
