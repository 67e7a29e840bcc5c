package verdict

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const (
	aJob = `{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"%s"},"spec":{%s"template":{"spec":{"restartPolicy":"%s",` +
		`"containers":[{"name":"a","image":"b"}]}}}}`
	aCronJob = `{"apiVersion":"batch/v1","kind":"CronJob","metadata":{"name":"%s"},"spec":{%s"jobTemplate":{"spec":{"template":{"spec":{` +
		`"restartPolicy":"Never","containers":[{"name":"a","image":"b"}]}}}}}}`
	anApp = `{"apiVersion":"apps/v1","kind":"%s","metadata":{"name":"a"},"spec":{%s"selector":{"matchLabels":{"app":"a"}},"template":{` +
		`"metadata":{"labels":{"app":"a"}},"spec":{"containers":[{"name":"a","image":"b"%s}]}}}}`
)

// TestCreate holds the cases where re-implementations of the server's rules go wrong, in both directions. Each cause is one line,
// "field reason: message".
func TestCreate(t *testing.T) {
	long := strings.Repeat("a", 53)
	for _, test := range []struct {
		name string
		text string
		want []string
	}{
		{"a Job that is fine", fmt.Sprintf(aJob, "a", "", "Never"), nil},
		{
			"a Job's pods cannot restart always", fmt.Sprintf(aJob, "a", "", "Always"),
			[]string{`spec.template.spec.restartPolicy FieldValueRequired: Required value: valid values: "OnFailure", "Never"`},
		},
		{
			"negative backoffLimit", fmt.Sprintf(aJob, "a", `"backoffLimit":-1,`, "Never"),
			[]string{"spec.backoffLimit FieldValueInvalid: Invalid value: -1: must be greater than or equal to 0"},
		},
		{
			"Indexed needs completions", fmt.Sprintf(aJob, "a", `"completionMode":"Indexed","parallelism":1,`, "Never"),
			[]string{"spec.completions FieldValueRequired: Required value: when completion mode is Indexed"},
		},
		{"a name of 52 characters is the longest for a CronJob", fmt.Sprintf(aCronJob, long[1:], `"schedule":"0 0 * * *",`), nil},
		{
			"the API has no such limit of its own, but created Jobs get a suffix", fmt.Sprintf(aCronJob, long, `"schedule":"0 0 * * *",`),
			[]string{"metadata.name FieldValueInvalid: Invalid value: must be no more than 52 characters"},
		},
		{"30 February never comes, and is legal", fmt.Sprintf(aCronJob, "a", `"schedule":"0 0 30 2 *",`), nil},
		{"so is going backwards", fmt.Sprintf(aCronJob, "a", `"schedule":"@every -1h",`), nil},
		{
			"Sunday is 0", fmt.Sprintf(aCronJob, "a", `"schedule":"0 0 * * 7",`),
			[]string{`spec.schedule FieldValueInvalid: Invalid value: "0 0 * * 7": end of range (7) above maximum (6): 7`},
		},
		{
			"@reboot is cron's, not Kubernetes'", fmt.Sprintf(aCronJob, "a", `"schedule":"@reboot",`),
			[]string{`spec.schedule FieldValueInvalid: Invalid value: "@reboot": unrecognized descriptor: @reboot`},
		},
		{
			"L is another cron's", fmt.Sprintf(aCronJob, "a", `"schedule":"0 0 L * *",`),
			[]string{`spec.schedule FieldValueInvalid: Invalid value: "0 0 L * *": failed to parse int from L: strconv.Atoi: parsing "L": invalid syntax`},
		},
		{"time zones are embedded", fmt.Sprintf(aCronJob, "a", `"schedule":"0 0 * * *","timeZone":"Asia/Kolkata",`), nil},
		{
			"unknown time zone", fmt.Sprintf(aCronJob, "a", `"schedule":"0 0 * * *","timeZone":"Mars/Olympus",`),
			[]string{`spec.timeZone FieldValueInvalid: Invalid value: "Mars/Olympus": unknown time zone Mars/Olympus`},
		},
		{
			"maxUnavailable defaults to 1", fmt.Sprintf(anApp, "DaemonSet", `"updateStrategy":{"rollingUpdate":{"maxSurge":1}},`, ""),
			[]string{"spec.updateStrategy.rollingUpdate.maxSurge FieldValueInvalid: Invalid value: 1: may not be set when maxUnavailable is non-zero"},
		},
		{"maxSurge with maxUnavailable 0", fmt.Sprintf(anApp, "DaemonSet", `"updateStrategy":{"rollingUpdate":{"maxSurge":1,"maxUnavailable":0}},`, ""), nil},
		{
			"Recreate has no rolling update", fmt.Sprintf(anApp, "Deployment", `"strategy":{"type":"Recreate","rollingUpdate":{}},`, ""),
			[]string{"spec.strategy.rollingUpdate FieldValueForbidden: Forbidden: may not be specified when strategy `type` is 'Recreate'"},
		},
		{
			"a mount of nothing shows no value", fmt.Sprintf(anApp, "StatefulSet", "", `,"volumeMounts":[{"name":"hunter2","mountPath":"/x"}]`),
			[]string{"spec.template.spec.containers[0].volumeMounts[0].name FieldValueNotFound: Not found"},
		},
		{
			"unknown and duplicate fields", fmt.Sprintf(anApp, "Deployment", `"replica":1,"paused":true,"paused":false,`, `,"Image":"c"`),
			[]string{
				"spec.paused FieldValueDuplicate: the field is given twice: remove one",
				"spec.replica UnknownField: unknown field: did you mean replicas?",
				"spec.template.spec.containers[0].Image UnknownField: unknown field: did you mean image?",
			},
		},
		{
			"wrong types, all of them", fmt.Sprintf(anApp, "Deployment", `"replicas":"3","paused":1,`, `,"env":[{"name":"PIN","value":1234}]`),
			[]string{
				"spec.paused FieldValueTypeInvalid: must be true or false, found a number",
				"spec.replicas FieldValueTypeInvalid: must be an integer, found a string: remove the quotes",
				"spec.template.spec.containers[0].env[0].value FieldValueTypeInvalid: must be a string, found a number: quote it",
			},
		},
		{
			"two families in one stack", `{"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"ports":[{"port":80}],` +
				`"ipFamilyPolicy":"SingleStack","ipFamilies":["IPv4","IPv6"]}}`,
			[]string{`spec.ipFamilyPolicy FieldValueInvalid: Invalid value: "SingleStack": must be 'RequireDualStack' or 'PreferDualStack' ` +
				"when multiple IP families are specified"},
		},
		{
			"a node port for two ports", `{"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"type":"NodePort","ports":[` +
				`{"name":"a","port":80,"nodePort":30080},{"name":"b","port":81,"nodePort":30080,"protocol":"UDP"}]}}`,
			[]string{"spec.ports[1].nodePort FieldValueInvalid: Invalid value: 30080: provided port is already allocated"},
		},
		{
			"a node port for one port of two protocols", `{"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"type":"NodePort",` +
				`"ports":[{"name":"a","port":53,"nodePort":30053},{"name":"b","port":53,"nodePort":30053,"protocol":"UDP"}]}}`, nil,
		},
		{
			"what even the server cannot bear", fmt.Sprintf(aJob, "a", `"completionMode":"Indexed","parallelism":1,`+
				`"successPolicy":{"rules":[{"succeededIndexes":"0","succeededCount":1}]},`, "Never"),
			[]string{"InternalError: the server's own rules fail on this object, and so does the request: correct what is unusual about it"},
		},
		{
			"names that only server-side apply finds double", fmt.Sprintf(anApp, "Deployment", "", `,"env":[{"name":"A","value":"1"},`+
				`{"name":"B","value":"2"},{"name":"A","value":"hunter2"}],"ports":[{"containerPort":80},{"containerPort":80,"protocol":"UDP"},`+
				`{"containerPort":80,"protocol":"TCP"}]`),
			[]string{
				"spec.template.spec.containers[0].env[2] FieldValueDuplicate: name A is also that of env[0], and server-side apply refuses two: remove one",
				"spec.template.spec.containers[0].ports[2] FieldValueDuplicate: containerPort 80, protocol TCP is also that of ports[0], " +
					"and server-side apply refuses two: remove one",
			},
		},
		{
			"one word for what both find double", fmt.Sprintf(anApp, "Deployment", "", `},{"name":"a","image":"c"`),
			[]string{"spec.template.spec.containers[1].name FieldValueDuplicate: Duplicate value"},
		},
		{
			"a set", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","finalizers":["example.com/a","example.com/a"]}}`,
			[]string{"metadata.finalizers[1] FieldValueDuplicate: this value is also that of finalizers[0], and server-side apply refuses two: remove one"},
		},
		{
			"what may be double", fmt.Sprintf(anApp, "Deployment", "", `,"args":["-v","-v"],"command":["a","a"],"envFrom":[`+
				`{"configMapRef":{"name":"a"}},{"configMapRef":{"name":"a"}}]`), nil,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			v, linked := Create(kindOf(t, test.text), "team-a", []byte(test.text))
			if !linked {
				t.Fatal("no strategy is linked")
			}
			if diff := cmp.Diff(test.want, lines(v)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// lines renders causes as "field reason: message", sorted.
func lines(v Verdict) []string {
	var lines []string
	for _, c := range v.Causes {
		lines = append(lines, strings.TrimSpace(c.Field+" "+c.Reason+": "+c.Message))
	}
	slices.Sort(lines)
	return lines
}

func kindOf(t testing.TB, text string) schema.GroupVersionKind {
	t.Helper()
	var object struct{ APIVersion, Kind string }
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		t.Fatal(err)
	}
	return schema.FromAPIVersionAndKind(object.APIVersion, object.Kind)
}

func TestCreateInNamespace(t *testing.T) {
	text := strings.Replace(fmt.Sprintf(aJob, "a", "", "Never"), `"name":"a"`, `"name":"a","namespace":"b"`, 1)
	gvk := kindOf(t, text)
	if v, _ := Create(gvk, "b", []byte(text)); len(v.Causes) > 0 {
		t.Errorf("in its own namespace: %v", v.Causes)
	}
	if v, _ := Create(gvk, "c", []byte(text)); len(v.Causes) != 1 || v.Causes[0].Field != "metadata.namespace" {
		t.Errorf("in another namespace: %v", v.Causes)
	}
}

func TestCreateWarns(t *testing.T) {
	text := fmt.Sprintf(aJob, "dotted.name", "", "Never")
	v, _ := Create(kindOf(t, text), "", []byte(text))
	if len(v.Warnings) != 1 || !strings.HasPrefix(v.Warnings[0], "metadata.name: this is used in Pod names") {
		t.Errorf("got %q", v.Warnings)
	}
}

func TestCreateWarnsOfOldVersions(t *testing.T) {
	v, _ := Create(gvk("v1", "Endpoints"), "", []byte(`{"apiVersion":"v1","kind":"Endpoints","metadata":{"name":"a"}}`))
	want := []string{"v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"}
	if diff := cmp.Diff(want, v.Warnings); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// Parse keeps the object as it was written, whatever is asked about it afterwards.
func TestParse(t *testing.T) {
	text := fmt.Sprintf(aJob, "a", "", "Always")
	parsed, causes, known := Parse(kindOf(t, text), []byte(text))
	if !known || len(causes) > 0 {
		t.Fatal(known, causes)
	}
	before := parsed.Object.DeepCopyObject()
	if v := parsed.Create("team-a"); len(v.Causes) != 1 {
		t.Errorf("got %q", lines(v))
	}
	if diff := cmp.Diff(before, parsed.Object); diff != "" {
		t.Errorf("Create changed the object: %s", diff)
	}
	job, ok := parsed.Object.(*batchv1.Job)
	if !ok || job.Spec.BackoffLimit != nil {
		t.Errorf("%T has defaults, or is no Job", parsed.Object)
	}
	if _, causes, _ := Parse(kindOf(t, text), []byte(strings.Replace(text, "template", "tmplate", 1))); len(causes) != 1 {
		t.Errorf("an unknown field: %v", causes)
	}
}

func TestOtherKinds(t *testing.T) {
	for _, test := range []struct {
		gvk    schema.GroupVersionKind
		linked bool
		known  bool
		list   bool
	}{
		{schema.GroupVersionKind{Group: "batch", Version: "v1", Kind: "Job"}, true, true, false},
		{schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}, true, true, false},
		{schema.GroupVersionKind{Version: "v1", Kind: "ComponentStatus"}, false, true, false},
		{schema.GroupVersionKind{Group: "batch", Version: "v1beta1", Kind: "CronJob"}, false, true, false},
		{schema.GroupVersionKind{Group: "internal.apiserver.k8s.io", Version: "v1alpha1", Kind: "StorageVersion"}, false, true, false},
		{schema.GroupVersionKind{Version: "v1", Kind: "ConfigMapList"}, false, true, true},
		{schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}, true, true, false},
		{schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "WidgetList"}, false, false, false},
	} {
		text := fmt.Appendf(nil, `{"apiVersion":%q,"kind":%q}`, test.gvk.GroupVersion(), test.gvk.Kind)
		_, linked := Create(test.gvk, "", text)
		_, _, known := Parse(test.gvk, text)
		if list := List(test.gvk); linked != test.linked || known != test.known || list != test.list {
			t.Errorf("%s: linked %v, known %v, list %v", test.gvk, linked, known, list)
		}
	}
}
