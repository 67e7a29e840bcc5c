package diff

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/client-go/applyconfigurations"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

const web = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  resourceVersion: "%d"
  generation: %[1]d
  annotations: {example.com/team: shop}
spec:
  replicas: 2
  template:
    spec:
      containers:
      - name: web
        image: web:1
        env:
        - {name: A, value: a}
        ports:
        - {containerPort: 80, protocol: TCP}
      - name: log
        image: log:1
status: {replicas: %[1]d}
`

// TestFields changes an object in the ways that people do, and wants exactly what a reader needs to know.
func TestFields(t *testing.T) {
	converter := applyconfigurations.NewTypeConverter(scheme.Scheme)
	secret := "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {password: aHVudGVyMg==}\n"
	for _, test := range []struct {
		name          string
		before, after string
		want          []string
	}{
		{"nothing but versions and status", fmt.Sprintf(web, 1), fmt.Sprintf(web, 2), nil},
		{
			"a value", fmt.Sprintf(web, 1), strings.Replace(fmt.Sprintf(web, 2), "web:1", "web:2", 1),
			[]string{`spec.template.spec.containers[name=web].image: "web:1" -> "web:2"`},
		},
		{
			"an item of a list, whole", fmt.Sprintf(web, 1),
			strings.Replace(fmt.Sprintf(web, 2), "      - name: log\n        image: log:1\n", "", 1),
			[]string{`spec.template.spec.containers[name=log]: {"image":"log:1","name":"log"} -> `},
		},
		{
			"the order of a list is nobody's business", fmt.Sprintf(web, 1),
			strings.Replace(strings.Replace(fmt.Sprintf(web, 1), "{name: A, value: a}", "{name: B, value: b}", 1), "{name: B, value: b}",
				"{name: B, value: b}\n        - {name: A, value: a}", 1),
			[]string{`spec.template.spec.containers[name=web].env[name=B]:  -> {"name":"B","value":"b"}`},
		},
		{
			"several keys", fmt.Sprintf(web, 1), strings.Replace(fmt.Sprintf(web, 1), "containerPort: 80,", "containerPort: 80, name: http,", 1),
			[]string{`spec.template.spec.containers[name=web].ports[containerPort=80,protocol=TCP].name:  -> "http"`},
		},
		{
			"names with dots", fmt.Sprintf(web, 1), strings.Replace(fmt.Sprintf(web, 1), "team: shop", "team: web", 1),
			[]string{`metadata.annotations[example.com/team]: "shop" -> "web"`},
		},
		{
			"a Secret shows no value", secret, strings.Replace(secret, "aHVudGVyMg==", "YmV0dGVy", 1) + "type: other\n",
			[]string{"data.password: (hidden) -> (hidden)", "type:  -> (hidden)"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			fields, err := Fields(converter, object(t, test.before), object(t, test.after))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, texts(fields)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestFieldsOfCustomResources compares without a schema: lists are whole values then.
func TestFieldsOfCustomResources(t *testing.T) {
	const widget = `{apiVersion: example.com/v1, kind: Widget, metadata: {name: w}, spec: {size: 1, parts: [{name: a}, {name: b}]}}`
	fields, err := Fields(managedfields.NewDeducedTypeConverter(), object(t, widget),
		object(t, strings.NewReplacer("size: 1", "size: 2", "name: b", "name: c").Replace(widget)))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{`spec.parts: [{"name":"a"},{"name":"b"}] -> [{"name":"a"},{"name":"c"}]`, "spec.size: 1 -> 2"}
	if diff := cmp.Diff(want, texts(fields)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestFieldsBoundsValues(t *testing.T) {
	long := `{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {a: %s}}`
	fields, err := Fields(applyconfigurations.NewTypeConverter(scheme.Scheme),
		object(t, fmt.Sprintf(long, strings.Repeat("é", 200))), object(t, fmt.Sprintf(long, "b")))
	if err != nil {
		t.Fatal(err)
	}
	if got := fields[0].Before; len(got) > maxValue+len("…") || !strings.HasSuffix(got, "é…") {
		t.Errorf("got %q", got)
	}
}

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var u unstructured.Unstructured
	if err := json.Unmarshal(data, &u.Object); err != nil {
		t.Fatal(err)
	}
	return &u
}

func texts(fields []Field) []string {
	var all []string
	for _, f := range fields {
		all = append(all, f.Path+": "+f.Before+" -> "+f.After)
	}
	return all
}
