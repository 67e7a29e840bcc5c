package verdict

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// change sets the field at a path, as in unstructured.SetNestedField, or removes it when the value is nil.
type change struct {
	path  []string
	value any
}

func at(value any, path ...string) change { return change{path, value} }

// TestUpdate changes one object after another. Each cause is one line, "field reason: message".
func TestUpdate(t *testing.T) {
	objects := live(t)
	for _, test := range []struct {
		name   string
		old    string // a file of testdata/live.txtar
		change []change
		want   []string
	}{
		{"nothing", "deployment", nil, nil},
		{"a Deployment's replicas", "deployment", []change{at(int64(5), "spec", "replicas")}, nil},
		{
			"a selector", "deployment",
			[]change{at("b", "spec", "selector", "matchLabels", "app"), at("b", "spec", "template", "metadata", "labels", "app")},
			[]string{"spec.selector FieldValueInvalid: Invalid value: field is immutable"},
		},
		{
			"a Job's template", "job",
			[]change{at("other", "spec", "template", "spec", "serviceAccountName")},
			[]string{"spec.template FieldValueInvalid: Invalid value: field is immutable"},
		},
		{"a Job's parallelism", "job", []change{at(int64(3), "spec", "parallelism")}, nil},
		{
			"a Job's completions", "job",
			[]change{at(int64(3), "spec", "completions")},
			[]string{"spec.completions FieldValueInvalid: Invalid value: 3: field is immutable"},
		},
		{"the node selector of a suspended Job", "suspended", []change{at("b", "spec", "template", "spec", "nodeSelector", "zone")}, nil},
		{
			"the account of a suspended Job", "suspended",
			[]change{at("other", "spec", "template", "spec", "serviceAccountName")},
			[]string{"spec.template.spec FieldValueInvalid: Invalid value: field is immutable"},
		},
		{"everything in a CronJob", "cronJob", []change{
			at("@daily", "spec", "schedule"), at("other", "spec", "jobTemplate", "spec", "template", "spec", "serviceAccountName"),
		}, nil},
		{
			"a StatefulSet's service", "statefulSet",
			[]change{at("other", "spec", "serviceName")},
			[]string{"spec.serviceName FieldValueInvalid: Invalid value: field is immutable"},
		},
		{
			"an immutable ConfigMap", "configMap",
			[]change{at("hunter2", "data", "key")},
			[]string{"data FieldValueForbidden: Forbidden: field is immutable when `immutable` is set"},
		},
		{
			"the type of a Secret", "secret",
			[]change{at("other", "type")},
			[]string{`type FieldValueInvalid: Invalid value: "other": field is immutable`},
		},
		{
			"a claim's access modes", "claim",
			[]change{at([]any{"ReadWriteMany"}, "spec", "accessModes")},
			[]string{"spec FieldValueForbidden: Forbidden: spec is immutable after creation except resources.requests and " +
				"volumeAttributesClassName for bound claims"},
		},
		{"a bound claim's size", "claim", []change{at("2Gi", "spec", "resources", "requests", "storage")}, nil},
		{
			"a Service's address", "service",
			[]change{at("10.0.0.2", "spec", "clusterIP"), at([]any{"10.0.0.2"}, "spec", "clusterIPs")},
			[]string{"spec.clusterIPs[0] FieldValueInvalid: Invalid value: may not change once set"},
		},
		{"a Service as the author wrote it", "service", []change{
			at(nil, "spec", "clusterIP"), at(nil, "spec", "clusterIPs"), at(nil, "spec", "ipFamilies"), at(nil, "spec", "ipFamilyPolicy"),
		}, nil},
		{"a Service to ExternalName", "service", []change{at("ExternalName", "spec", "type"), at("example.com", "spec", "externalName")}, nil},
		{
			"a RoleBinding's role", "roleBinding",
			[]change{at("other", "roleRef", "name")},
			[]string{"roleRef FieldValueInvalid: Invalid value: field is immutable"},
		},
		{"a RoleBinding's subjects", "roleBinding", []change{at([]any{}, "subjects")}, nil},
		{
			"a pod's environment", "pod",
			[]change{at([]any{map[string]any{"name": "a", "image": "b", "env": []any{map[string]any{"name": "PASSWORD", "value": "hunter2"}}}}, "spec", "containers")},
			[]string{"spec FieldValueForbidden: Forbidden: pod updates may not change fields other than `spec.containers[*].image`," +
				"`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations)," +
				"`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"},
		},
		{
			"the scope of a definition", "definition",
			[]change{at("Cluster", "spec", "scope")},
			[]string{`spec.scope FieldValueInvalid: Invalid value: "Cluster": field is immutable`},
		},
		{
			"what somebody else changed meanwhile", "deployment",
			[]change{at("6", "metadata", "resourceVersion")},
			[]string{"metadata.resourceVersion FieldValueInvalid: the object has been modified since: get the latest version and apply the change to that"},
		},
		{"a Deployment whatever its version", "deployment", []change{at(nil, "metadata", "resourceVersion")}, nil},
		{
			"a definition whatever its version", "definition",
			[]change{at(nil, "metadata", "resourceVersion")},
			[]string{"metadata.resourceVersion FieldValueInvalid: must be specified for an update"},
		},
		{
			"another object of the same name", "deployment",
			[]change{at("u2", "metadata", "uid")},
			[]string{`metadata.uid FieldValueInvalid: Invalid value: field is immutable`},
		},
		{
			"an unknown field", "deployment",
			[]change{at(int64(1), "spec", "replica")},
			[]string{"spec.replica UnknownField: unknown field: did you mean replicas?"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			object := objects[test.old].DeepCopy()
			old := marshal(t, object)
			for _, c := range test.change {
				if c.value == nil {
					unstructured.RemoveNestedField(object.Object, c.path...)
				} else if err := unstructured.SetNestedField(object.Object, c.value, c.path...); err != nil {
					t.Fatal(err)
				}
			}
			v, linked := Update(object.GroupVersionKind(), "team-a", old, marshal(t, object))
			if !linked {
				t.Fatal("no strategy is linked")
			}
			if diff := cmp.Diff(test.want, lines(v)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// A PUT creates what is not there, for the kinds that allow it.
func TestUpdateOfNothing(t *testing.T) {
	for kind, want := range map[string][]string{
		"Lease":      nil,
		"Deployment": {"metadata.name FieldValueNotFound: there is no such object to update"},
	} {
		for gvk, text := range samples(t) {
			if gvk.Kind != kind {
				continue
			}
			v, _ := Update(gvk, "team-a", nil, text)
			if diff := cmp.Diff(want, lines(v)); diff != "" {
				t.Errorf("%s: -want +got:\n%s", kind, diff)
			}
			if _, ok := Update(gvk, "team-a", []byte(`{"spec":1}`), text); ok {
				t.Errorf("%s: a verdict on an update of what is no %s", kind, kind)
			}
		}
	}
}

func marshal(t *testing.T, object *unstructured.Unstructured) []byte {
	t.Helper()
	data, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// live reads testdata/live.txtar, by file name without the suffix.
func live(t *testing.T) map[string]*unstructured.Unstructured {
	t.Helper()
	archive, err := txtar.ParseFile("testdata/live.txtar")
	if err != nil {
		t.Fatal(err)
	}
	objects := map[string]*unstructured.Unstructured{}
	for _, file := range archive.Files {
		object := &unstructured.Unstructured{}
		data, err := yaml.YAMLToJSON(file.Data)
		if err != nil {
			t.Fatal(err)
		}
		if err := object.UnmarshalJSON(data); err != nil {
			t.Fatal(err)
		}
		objects[strings.TrimSuffix(file.Name, ".yaml")] = object
	}
	return objects
}
