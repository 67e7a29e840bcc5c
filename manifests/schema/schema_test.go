package schema

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"
)

// crd returns a CRD as JSON whose version v1 has the given schema of spec, in YAML's flow style.
func crd(t testing.TB, spec string, more ...string) []byte {
	t.Helper()
	text := `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: things, singular: thing, kind: Thing, listKind: ThingList}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: ` + spec + `}}}
` + strings.Join(more, "")
	out, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// thing returns an object as JSON with the given spec, in YAML.
func thing(t testing.TB, spec string) []byte {
	t.Helper()
	out, err := yaml.YAMLToJSON([]byte("apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: a, namespace: b}\nspec: " + spec))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestCreate(t *testing.T) {
	for _, test := range []struct {
		name, schema, spec string
		want               []string // "field: reason: message"
	}{
		{"valid", `{type: object, properties: {a: {type: string}}}`, `{a: b}`, nil},
		{
			"defaults come before validation",
			`{type: object, required: [a], properties: {a: {type: integer, default: 5}, b: {type: string, default: x, enum: [x]}}}`, `{}`, nil,
		},
		{
			"defaults come before rules",
			`{type: object, properties: {a: {type: integer, default: 5}}, x-kubernetes-validations: [{rule: "self.a == 6", message: six}]}`, `{}`,
			[]string{"spec: FieldValueInvalid: Invalid value: six"},
		},
		{
			"a transition rule is left out",
			`{type: object, properties: {a: {type: integer}}, x-kubernetes-validations: [{rule: "self.a == oldSelf.a && false"}]}`, `{a: 1}`, nil,
		},
		{
			"unless it asks for it",
			`{type: object, properties: {a: {type: integer}},
			  x-kubernetes-validations: [{rule: "oldSelf.hasValue()", optionalOldSelf: true, message: no creation}]}`, `{a: 1}`,
			[]string{"spec: FieldValueInvalid: Invalid value: no creation"},
		},
		{
			"rules wait for the schema",
			`{type: object, properties: {a: {type: integer}, b: {type: integer}}, required: [b],
			  x-kubernetes-validations: [{rule: "self.a > 5"}]}`, `{a: 1}`,
			[]string{
				": FieldValueInvalid: Invalid value: null: some validation rules were not checked because the object was invalid; " +
					"correct the existing errors to complete validation",
				"spec.b: FieldValueRequired: Required value",
			},
		},
		{
			"a rule that costs too much", `{type: object, properties: {a: {type: array, items: {type: string}}},
			  x-kubernetes-validations: [{rule: "self.a.all(x, self.a.all(y, self.a.all(z, x + y + z != 'q')))"}]}`,
			"{a: [" + strings.Repeat("abcdef, ", 200) + "z]}",
			[]string{"spec: FieldValueInvalid: Invalid value: 'operation cancelled: actual cost limit exceeded': no further validation rules will be run " +
				"due to call cost exceeds limit for rule: self.a.all(x, self.a.all(y, self.a.all(z, x + y + z != 'q')))"},
		},
		{
			"an error in a rule", `{type: object, properties: {a: {type: object, additionalProperties: {type: string}}, key: {type: string}},
			  x-kubernetes-validations: [{rule: "self.a[self.key] == 'b'"}]}`, `{a: {}, key: secret-key}`,
			[]string{"spec: FieldValueInvalid: Invalid value: no such key: the value evaluating rule: self.a[self.key] == 'b'"},
		},
		{
			"int or string", `{type: object, properties: {a: {x-kubernetes-int-or-string: true}, b: {x-kubernetes-int-or-string: true}}}`,
			`{a: 1, b: "1"}`, nil,
		},
		{
			"neither int nor string", `{type: object, properties: {a: {x-kubernetes-int-or-string: true}}}`, `{a: 1.5}`,
			[]string{`spec.a: FieldValueTypeInvalid: Invalid value: spec.a in body must be of type integer,string: "number"`},
		},
		{"nullable", `{type: object, properties: {a: {type: string, nullable: true}}}`, `{a: null}`, nil},
		{
			"null is no value where it is not allowed", `{type: object, required: [a], properties: {a: {type: string}}}`, `{a: null}`,
			[]string{"spec.a: FieldValueRequired: Required value"},
		},
		{
			"null is kept by server-side apply", `{type: object, properties: {a: {type: string}, b: {type: string, default: x}}}`, `{a: null, b: null}`,
			[]string{`spec.a: FieldValueTypeInvalid: Invalid value: spec.a in body must be of type string: "null" ` +
				"(server-side apply keeps a null: leave the field out)"},
		},
		{"unknown fields are kept", `{type: object, x-kubernetes-preserve-unknown-fields: true}`, `{a: {b: c}}`, nil},
		{
			"unknown fields, each with the nearest known one",
			`{type: object, properties: {replicas: {type: integer}, list: {type: array, items: {type: object, properties: {name: {type: string}}}}}}`,
			`{replica: 1, list: [{nam: a}], other: 2}`,
			[]string{
				"spec.list[0].nam: UnknownField: unknown field: did you mean name?", "spec.other: UnknownField: unknown field",
				"spec.replica: UnknownField: unknown field: did you mean replicas?",
			},
		},
		{
			"embedded object", `{type: object, x-kubernetes-embedded-resource: true, x-kubernetes-preserve-unknown-fields: true}`,
			`{apiVersion: v1, metadata: {name: a/b}}`,
			[]string{
				"spec.kind: FieldValueRequired: Required value", "spec.metadata.name: FieldValueInvalid: Invalid value: may not contain '/'",
			},
		},
		{
			"embedded metadata of a wrong type", `{type: object, x-kubernetes-embedded-resource: true, x-kubernetes-preserve-unknown-fields: true}`,
			`{apiVersion: v1, kind: A, metadata: {labels: {a: 1}}}`,
			[]string{"spec.metadata.labels[a]: FieldValueTypeInvalid: must be a string, found a number: quote it"},
		},
		{
			"the key of a list's map twice", `{type: object, properties: {a: {type: array, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [k],
			  items: {type: object, required: [k], properties: {k: {type: string}, v: {type: string}}}}}}`, `{a: [{k: x, v: "1"}, {k: x, v: "2"}]}`,
			[]string{"spec.a[1]: FieldValueDuplicate: Duplicate value"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			version, err := Compile(crd(t, test.schema), "v1")
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range version.Create(t.Context(), thing(t, test.spec)).Causes {
				got = append(got, c.Field+": "+c.Reason+": "+c.Message)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestNoValueIsShown(t *testing.T) {
	version, err := Compile(crd(t, `{type: object, x-kubernetes-validations: [{rule: "false", messageExpression: "'got ' + self.text"}], properties: {
		text: {type: string}, pattern: {type: string, pattern: "^a$"}, format: {type: string, format: date-time}, enum: {type: string, enum: [a]},
		type: {type: string, enum: [b]}, long: {type: string, maxLength: 3}, rule: {type: string, x-kubernetes-validations: [{rule: "self == 'x'"}]},
		number: {type: integer}, list: {type: array, x-kubernetes-list-type: set, items: {type: string}}}}`), "v1")
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range []string{
		`{text: s3cret}`, `{text: a, pattern: s3cret, rule: s3cret}`, `{text: a, format: s3cret, list: [s3cret, s3cret]}`, `{text: a, number: s3cret}`,
		`{text: a, enum: s3cret, type: s3cret, long: s3cret}`,
	} {
		v := version.Create(t.Context(), thing(t, spec))
		if said := fmt.Sprint(v); len(v.Causes) == 0 || strings.Contains(said, "s3cret") {
			t.Errorf("%s: %s", spec, said)
		}
	}
}

func TestCompileErrors(t *testing.T) {
	v2 := func(served, schema string) string {
		return "  - {name: v2, served: " + served + ", storage: false, schema: {openAPIV3Schema: " + schema + "}}\n"
	}
	for _, test := range []struct {
		name       string
		definition []byte
		want       string
	}{
		{"no JSON", []byte("{"), "the definition is no CustomResourceDefinition"},
		{"another type", []byte(`{"spec": {"versions": "v1"}}`), "the definition is no CustomResourceDefinition"},
		{"no such version", crd(t, `{type: object}`, v2("false", "{type: object}")), "version v2 is not served"},
		{"no schema", crd(t, `{type: object}`, "  - {name: v2, served: true, storage: false}\n"), "version v2 has no schema"},
		{"not structural", crd(t, `{type: object}`, v2("true", "{type: object, properties: {a: {}}}")), "the schema is not structural"},
		{
			"items without a type", crd(t, `{type: object}`, v2("true", "{type: object, properties: {a: {type: array, items: {}}}}")),
			"the schema is not structural",
		},
	} {
		version := "v2"
		if _, err := Compile(test.definition, version); err == nil || err.Error() != test.want {
			t.Errorf("%s: %v, want %s", test.name, err, test.want)
		}
	}
}

// An invalid pattern or rule is the CRD's problem; here it must only not panic.
func TestOddSchemasDoNotPanic(t *testing.T) {
	for _, schema := range []string{
		`{type: object, properties: {a: {type: string, pattern: "("}}}`,
		`{type: object, x-kubernetes-validations: [{rule: "self.nothing"}, {rule: ")"}, {}]}`,
		`{type: object, properties: {a: {type: integer, default: text}}}`,
		`{type: object, properties: {a: {type: array, x-kubernetes-list-type: map}}}`,
		`{type: object, properties: {a: {$ref: "#/definitions/b"}}}`,
		`{}`, `{type: string}`, `{type: array}`, `{type: object, additionalProperties: false}`,
	} {
		version, err := Compile(crd(t, schema), "v1")
		if err != nil {
			continue
		}
		for _, spec := range []string{`{a: b}`, `[]`, `text`, `null`, `{a: [{b: c}, 1]}`} {
			version.Create(t.Context(), thing(t, spec))
		}
	}
}

func TestDeprecation(t *testing.T) {
	definition := crd(t, `{type: object}`,
		"  - {name: v1beta2, served: true, storage: false, deprecated: true, schema: {openAPIV3Schema: {type: object}}}\n",
		"  - {name: v1beta1, served: true, storage: false, deprecated: true, deprecationWarning: use another, schema: {openAPIV3Schema: {type: object}}}\n")
	for version, want := range map[string]string{
		"v1": "[]", "v1beta2": "[example.com/v1beta2 Thing is deprecated; use example.com/v1 Thing]", "v1beta1": "[use another]",
	} {
		v, err := Compile(definition, version)
		if err != nil {
			t.Fatal(err)
		}
		text := fmt.Appendf(nil, `{"apiVersion":"example.com/%s","kind":"Thing","metadata":{"name":"a","namespace":"b"}}`, version)
		if got := fmt.Sprint(v.Create(t.Context(), text).Warnings); got != want {
			t.Errorf("%s: %s, want %s", version, got, want)
		}
	}
}

func TestOrderOfCauses(t *testing.T) {
	version, err := Compile(crd(t, `{type: object, additionalProperties: {type: integer, maximum: 1}}`), "v1")
	if err != nil {
		t.Fatal(err)
	}
	text := thing(t, `{a: 2, b: 2, c: 2, d: 2, e: 2, f: 2, g: 2}`)
	want := version.Create(t.Context(), text)
	for range 20 {
		if diff := cmp.Diff(want, version.Create(t.Context(), text)); diff != "" {
			t.Fatal(diff)
		}
	}
}

// schemaOf describes a Go type as generators of CRDs do, with descriptions as long as those of Kubernetes.
func schemaOf(t reflect.Type, depth int) apiextensionsv1.JSONSchemaProps {
	description := strings.Repeat("what the field is for. ", 10)
	switch t {
	case reflect.TypeFor[resource.Quantity](), reflect.TypeFor[intstr.IntOrString]():
		return apiextensionsv1.JSONSchemaProps{Description: description, XIntOrString: true}
	case reflect.TypeFor[metav1.Time]():
		return apiextensionsv1.JSONSchemaProps{Description: description, Type: "string", Format: "date-time"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem(), depth)
	case reflect.Slice:
		items := schemaOf(t.Elem(), depth)
		return apiextensionsv1.JSONSchemaProps{
			Description: description, Type: "array", Items: &apiextensionsv1.JSONSchemaPropsOrArray{Schema: &items},
		}
	case reflect.Map:
		values := schemaOf(t.Elem(), depth)
		return apiextensionsv1.JSONSchemaProps{
			Description: description, Type: "object", AdditionalProperties: &apiextensionsv1.JSONSchemaPropsOrBool{Schema: &values},
		}
	case reflect.Struct:
		p := apiextensionsv1.JSONSchemaProps{Description: description, Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{}}
		for field := range t.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if embedded := field.Anonymous && name == ""; embedded {
				for n, e := range schemaOf(field.Type, depth).Properties {
					p.Properties[n] = e
				}
			} else if name != "" && depth < math.MaxInt8 {
				p.Properties[name] = schemaOf(field.Type, depth+1)
			}
		}
		return p
	case reflect.Bool:
		return apiextensionsv1.JSONSchemaProps{Description: description, Type: "boolean"}
	case reflect.Int32, reflect.Int64:
		return apiextensionsv1.JSONSchemaProps{Description: description, Type: "integer"}
	}
	return apiextensionsv1.JSONSchemaProps{Description: description, Type: "string"}
}

// BenchmarkLargeCRD compiles a CRD of the size that operators publish, whose spec is that of pods, and judges an object by it.
func BenchmarkLargeCRD(b *testing.B) {
	spec := schemaOf(reflect.TypeFor[corev1.PodSpec](), 0)
	spec.XValidations = apiextensionsv1.ValidationRules{{Rule: "!has(self.hostNetwork) || !self.hostNetwork", Message: "no host network"}}
	text, err := json.Marshal(spec)
	if err != nil {
		b.Fatal(err)
	}
	definition := crd(b, string(text))
	object := thing(b, `{nodeName: a, containers: [{name: a, image: b, env: [{name: a, value: b}], ports: [{containerPort: 80}]}]}`)
	b.Run("compile", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Compile(definition, "v1"); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(definition))/1024, "KiB-CRD")
	})
	b.Run("create", func(b *testing.B) {
		version, err := Compile(definition, "v1")
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if v := version.Create(context.Background(), object); len(v.Causes) > 0 {
				b.Fatal(v)
			}
		}
	})
}
