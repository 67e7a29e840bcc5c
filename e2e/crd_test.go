package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	customs "kilter.dev/kilter/manifests/schema"
	"kilter.dev/kilter/manifests/verdict"
)

// sampleFields are values, as JSON, for fields of testdata/sample-crd.yaml: right ones and wrong ones.
var sampleFields = map[string][]string{
	"metadata.annotations": {`{"a": "b"}`, `{"not a key": "b"}`, `null`, `{"a": 1}`},
	"metadata.extra":       {`true`},
	"metadata.finalizers":  {`["example.com/a"]`, `["a b"]`},
	"metadata.labels":      {`{"a": "b"}`, `{"a": "not a value"}`, `[]`},
	"metadata.name":        {`"reserved"`, `"Upper"`, `"with.dot"`, `"` + strings.Repeat("a", 254) + `"`},
	"more":                 {`1`},
	"spec":                 {`null`, `{}`, `[]`, `"text"`},
	"spec.all":             {`{"a": 4}`, `{"a": 2}`, `{"a": 6}`},
	"spec.anything":        {`[1, "a", {"b": null}]`, `null`},
	"spec.big":             {`9007199254740993`, `0`, `1.5`, `1e3`},
	"spec.code":            {`"abc"`, `"abcd"`, `""`},
	"spec.counts":          {`{"a": 1}`, `{"a": "1"}`, `{"a": null}`},
	"spec.data":            {`"YWJj"`, `"not base64!"`},
	"spec.day":             {`"2026-02-28"`, `"2026-02-30"`},
	"spec.defaulted":       {`null`, `{}`, `{"c": 1}`, `{"b": null}`},
	"spec.either":          {`1`, `"a"`, `true`, `1.5`},
	"spec.every":           {`"1h"`, `"often"`},
	"spec.forbidden":       {`"yes"`, `"no"`},
	"spec.free":            {`{"any": {"thing": 1}, "count": 2}`, `{"count": "x"}`},
	"spec.id":              {`"123e4567-e89b-12d3-a456-426614174000"`, `"123"`},
	"spec.ip":              {`"10.0.0.1"`, `"10.0.0.256"`, `"::1"`},
	"spec.labels":          {`{"must": "be"}`, `{"must": "not"}`, `{"other": "x"}`, `{"must": "be", "a": "b", "c": "d"}`, `{"must": "toolong"}`},
	"spec.level":           {`2`, `4`, `"2"`},
	"spec.max":             {`0`, `null`},
	"spec.maybe":           {`"a"`, `null`, `1`},
	"spec.min":             {`2`, `5`},
	"spec.mode":            {`"slow"`, `"medium"`, `null`, `7`},
	"spec.never":           {`"a"`, `null`},
	"spec.none":            {`{"a": "x"}`, `{"a": "x", "b": "y"}`},
	"spec.object": {
		`{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": "b"}}`,
		`{"kind": "ConfigMap"}`, `{"apiVersion": "", "kind": ""}`, `{"apiVersion": "a/b/c", "kind": "Not A Kind"}`,
		`{"apiVersion": "v1", "kind": "A", "metadata": {"name": "UPPER", "labels": {"not a key": "a"}}}`,
		`{"apiVersion": "v1", "kind": "A", "metadata": {"unknown": 1}}`, `{"apiVersion": "v1", "kind": "A", "metadata": {"labels": {"a": 1}}}`,
		`{"apiVersion": 1, "kind": "A"}`,
	},
	"spec.objects": {`[{"apiVersion": "v1", "kind": "A"}, {"kind": "A"}]`, `[{"apiVersion": "v1", "kind": "A", "metadata": {"unknown": 1}}]`},
	"spec.odd":     {`"anything"`},
	"spec.on":      {`true`, `"true"`},
	"spec.one":     {`{"a": "x"}`, `{"a": "x", "b": "y"}`, `{}`},
	"spec.percent": {`"5%"`, `"5"`, `5`},
	"spec.plain":   {`["a", "a"]`, `[]`, `[1]`, `[null]`},
	"spec.ports": {
		`[{"port": 1}, {"port": 1, "protocol": "UDP"}]`, `[{"port": 1}, {"port": 1, "protocol": "TCP"}]`, `[{"port": 0}]`, `[{"name": "a"}]`,
		`[{"port": 1, "nme": "a"}]`, `[1]`, `[null]`, `[{"port": 1}, {"port": 1}, {"port": 1}]`,
	},
	"spec.ratio":    {`0.5`, `1`, `-0.1`, `0`, `"0.5"`},
	"spec.replicas": {`5`, `-1`, `3000000000`, `"5"`},
	"spec.size":     {`10`, `0`, `11`, `2.5`, `2.0`, `"2"`, `null`, `99999999999`},
	"spec.sise":     {`1`},
	"spec.strict":   {`{"apiVersion": "v1", "kind": "A", "spec": {"a": "b"}}`, `{"apiVersion": "v1", "kind": "A", "other": 1}`},
	"spec.tags":     {`["a", "b"]`, `["a", "b", "a"]`, `["a", "b", "c", "d"]`, `{"a": "b"}`, `["a", "a", "a"]`},
	"spec.text":     {`"abc"`, `"a"`, `"abcdefghi"`, `"ABC"`, `"日本語"`},
	"spec.token":    {`"tok-abc"`, `"very-secret"`},
	"spec.until":    {`"2026-01-31T08:00:00Z"`, `"tomorrow-secret"`},
	"spec.uri":      {`"https://example.com"`, `"no uri"`},
	"status":        {`{"replicas": -1}`, `{"unknown": 1}`, `5`},
}

// TestCustomVerdictIsTheServers installs a CRD that uses most of what schemas can say, asks the server by a strict dry run what it says of
// custom resources with one field and with two fields changed, and wants the verdict by the CRD to be the same: the same fields for the
// same reasons.
func TestCustomVerdictIsTheServers(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	ns := c.namespace(t, "crd")
	group := ns + ".example.com"
	definition := c.sampleCRD(ctx, t, group)
	samples := c.dynamic.Resource(schema.GroupVersionResource{Group: group, Version: "v1", Resource: "samples"}).Namespace(ns)
	version, err := customs.Compile(definition, "v1")
	must(t, err)

	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	asked, refused := 0, 0
	for _, object := range sampleObjects(t, group, ns, rand.New(rand.NewPCG(seed, 0))) {
		text, err := object.MarshalJSON()
		must(t, err)
		theirs := customAnswer(t, second(samples.Create(ctx, object.DeepCopy(), metav1.CreateOptions{
			DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict,
		})))
		if len(theirs) == 0 { // what a POST accepts may yet be refused as Kilter writes it: applied, without status
			applied := object.DeepCopy()
			delete(applied.Object, "status")
			theirs = customAnswer(t, second(samples.Apply(ctx, object.GetName(), applied, metav1.ApplyOptions{
				FieldManager: "kilter", Force: true, DryRun: []string{metav1.DryRunAll},
			})))
		}
		ours := answerCustom(version.Create(ctx, text))
		if asked++; len(theirs) > 0 {
			refused++
		}
		if diff := cmp.Diff(theirs, ours); diff != "" {
			t.Errorf("the server and the verdict differ (-server +verdict):\n%s\n%s", text, diff)
		}
		if said := fmt.Sprint(version.Create(ctx, text).Causes); strings.Contains(said, "secret") {
			t.Errorf("a value is shown: %s", said)
		}
	}
	t.Logf("asked about %d custom resources, %d of them refused", asked, refused)
	if refused < 100 || asked-refused < 60 {
		t.Errorf("%d refused and %d accepted objects prove too little", refused, asked-refused)
	}

	old, err := customs.Compile(definition, "v1beta1")
	must(t, err)
	text := fmt.Appendf(nil, `{"apiVersion":"%s/v1beta1","kind":"Sample","metadata":{"name":"a","namespace":"a"}}`, group)
	if got := old.Create(ctx, text); len(got.Warnings) != 1 {
		t.Errorf("a deprecated version: %+v", got)
	}
}

// sampleCRD installs the CRD for as long as the test runs, and returns its JSON.
func (c *cluster) sampleCRD(ctx context.Context, t *testing.T, group string) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/sample-crd.yaml")
	must(t, err)
	definition, err := yaml.YAMLToJSON([]byte(strings.ReplaceAll(string(text), "GROUP", group)))
	must(t, err)
	var crd unstructured.Unstructured
	must(t, json.Unmarshal(definition, &crd.Object))
	crds := c.dynamic.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	_, err = crds.Create(ctx, &crd, metav1.CreateOptions{})
	must(t, err)
	t.Cleanup(func() {
		must(t, crds.Delete(context.WithoutCancel(t.Context()), crd.GetName(), metav1.DeleteOptions{}))
	})
	c.established(ctx, t, crd.GetName())
	return definition
}

// sampleObjects returns a valid object with each value of sampleFields, and with random pairs of them.
func sampleObjects(t *testing.T, group, namespace string, random *rand.Rand) []*unstructured.Unstructured {
	t.Helper()
	type change struct{ path, value string }
	var changes []change
	for _, path := range slices.Sorted(maps.Keys(sampleFields)) {
		for _, value := range sampleFields[path] {
			changes = append(changes, change{path, value})
		}
	}
	build := func(changes ...change) *unstructured.Unstructured {
		object := map[string]any{
			"apiVersion": group + "/v1", "kind": "Sample",
			"metadata": map[string]any{"name": "sample", "namespace": namespace}, "spec": map[string]any{"size": int64(2)},
		}
		for _, c := range changes {
			var value unstructured.Unstructured
			must(t, value.UnmarshalJSON([]byte(`{"apiVersion":"v1","kind":"A","v":`+c.value+`}`)))
			_ = unstructured.SetNestedField(object, value.Object["v"], strings.Split(c.path, ".")...) // below a spec that is no object: left out
		}
		return &unstructured.Unstructured{Object: object}
	}
	objects := []*unstructured.Unstructured{build()}
	for _, c := range changes {
		objects = append(objects, build(c))
	}
	for range 400 {
		objects = append(objects, build(changes[random.IntN(len(changes))], changes[random.IntN(len(changes))]))
	}
	return objects
}

// strictField finds the fields in the server's answer to unknown ones.
var strictField = regexp.MustCompile(`unknown field "([^"]*)"`)

// undecodable stands for an object that does not fit its type: the server answers with one text, without causes.
const undecodable = "does not fit its type"

// customAnswer returns what the server refuses, as "field: reason", sorted; nothing when it would create the object.
func customAnswer(t *testing.T, err error) []string {
	t.Helper()
	status := apierrors.APIStatus(nil)
	if err == nil {
		return nil
	}
	if !errors.As(err, &status) {
		t.Fatal(err)
	}
	var causes []string
	switch unknown := strictField.FindAllStringSubmatch(err.Error(), -1); {
	case apierrors.IsBadRequest(err) && len(unknown) > 0:
		for _, match := range unknown {
			causes = append(causes, match[1]+": "+verdict.ReasonUnknownField)
		}
	case apierrors.IsBadRequest(err):
		return []string{undecodable}
	case !apierrors.IsInvalid(err):
		t.Fatal(err)
	default:
		for _, cause := range status.Status().Details.Causes {
			causes = append(causes, strings.TrimPrefix(cause.Field, "<nil>")+": "+string(cause.Type))
		}
	}
	slices.Sort(causes)
	return slices.Compact(causes)
}

// answerCustom renders a verdict as customAnswer does. What the schema says of a type is an invalid value; any other wrong type is metadata that
// the server cannot read.
func answerCustom(v verdict.Verdict) []string {
	var causes []string
	for _, cause := range v.Causes {
		causes = append(causes, cause.Field+": "+cause.Reason)
		if cause.Reason == string(metav1.CauseTypeTypeInvalid) && !strings.HasPrefix(cause.Message, "Invalid value") {
			return []string{undecodable}
		}
	}
	slices.Sort(causes)
	return slices.Compact(causes)
}
