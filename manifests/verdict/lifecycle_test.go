package verdict

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func gvk(apiVersion, kind string) schema.GroupVersionKind {
	return schema.FromAPIVersionAndKind(apiVersion, kind)
}

func TestLifecycle(t *testing.T) {
	if got := Version(); got != "1.37" {
		t.Errorf("the rules are those of %s: correct the tests too", got)
	}
	for _, test := range []struct {
		kind        schema.GroupVersionKind
		release     string
		replacement schema.GroupVersionKind
	}{
		{gvk("batch/v1", "CronJob"), "", schema.GroupVersionKind{}},
		{gvk("batch/v1beta1", "CronJob"), "1.25", gvk("batch/v1", "CronJob")},
		{gvk("extensions/v1beta1", "Ingress"), "1.22", gvk("networking.k8s.io/v1", "Ingress")},
		{gvk("policy/v1beta1", "PodDisruptionBudget"), "1.25", gvk("policy/v1", "PodDisruptionBudget")},
		{gvk("networking.k8s.io/v1beta1", "IPAddress"), "1.37", gvk("networking.k8s.io/v1", "IPAddress")},
		{gvk("rbac.authorization.k8s.io/v1alpha1", "Role"), "1.23", gvk("rbac.authorization.k8s.io/v1", "Role")},
		{gvk("resource.k8s.io/v1beta1", "ResourceClaim"), "", schema.GroupVersionKind{}},
		{gvk("example.com/v1", "Widget"), "", schema.GroupVersionKind{}},
	} {
		release, replacement, removed := Removed(test.kind)
		if release != test.release || replacement != test.replacement || removed != (release != "") {
			t.Errorf("%s: removed in %q for %s", test.kind, release, replacement)
		}
		if release, later := Introduced(test.kind); later {
			t.Errorf("%s: introduced in %s", test.kind, release)
		}
	}
}

// TestEmulate runs TestEmulated in a process for each release: emulation is process-wide.
func TestEmulate(t *testing.T) {
	for _, test := range []struct {
		release string
		want    string // what TestEmulated prints
	}{
		{"1.33", "Kubernetes 1.37's rules can emulate 1.34 to 1.37, not 1.33\n"},
		{"1.38", "Kubernetes 1.37's rules can emulate 1.34 to 1.37, not 1.38\n"},
		{"2", `"2" is not a Kubernetes release such as 1.37` + "\n"},
		{"1.37", `the rules of 1.37
a Service called 1st: []
networking.k8s.io/v1 IPAddress: linked
networking.k8s.io/v1beta1 IPAddress: removed in 1.37
certificates.k8s.io/v1 ClusterTrustBundle: linked
`},
		{"v1.34", `the rules of 1.34
a Service called 1st: ["metadata.name FieldValueInvalid: Invalid value: a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"]
networking.k8s.io/v1 IPAddress: linked
networking.k8s.io/v1beta1 IPAddress: linked
certificates.k8s.io/v1 ClusterTrustBundle: introduced in 1.37
`},
	} {
		t.Run(test.release, func(t *testing.T) {
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestEmulated$", "-test.v")
			cmd.Env = append(os.Environ(), "EMULATE="+test.release)
			output, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, output)
			}
			var got strings.Builder
			for line := range strings.Lines(string(output)) {
				if text, ok := strings.CutPrefix(line, "> "); ok {
					got.WriteString(text)
				}
			}
			if diff := cmp.Diff(test.want, got.String()); diff != "" {
				t.Errorf("-want +got:\n%s\n%s", diff, output)
			}
		})
	}
}

// TestEmulated is the other half of TestEmulate.
func TestEmulated(t *testing.T) {
	release, ok := os.LookupEnv("EMULATE")
	if !ok {
		t.Skip("part of TestEmulate")
	}
	say := func(format string, args ...any) { fmt.Printf("> "+format+"\n", args...) }
	if err := Emulate(release); err != nil {
		say("%v", err)
		return
	}
	say("the rules of %s", Version())
	v, _ := Create(gvk("v1", "Service"), "", []byte(`{"apiVersion":"v1","kind":"Service","metadata":{"name":"1st"},"spec":{"ports":[{"port":80}]}}`))
	say("a Service called 1st: %q", lines(v))
	for _, kind := range []schema.GroupVersionKind{
		gvk("networking.k8s.io/v1", "IPAddress"), gvk("networking.k8s.io/v1beta1", "IPAddress"), gvk("certificates.k8s.io/v1", "ClusterTrustBundle"),
	} {
		removed, _, gone := Removed(kind)
		introduced, later := Introduced(kind)
		switch {
		case gone:
			say("%s %s: removed in %s", kind.GroupVersion(), kind.Kind, removed)
		case later:
			say("%s %s: introduced in %s", kind.GroupVersion(), kind.Kind, introduced)
		case slices.Contains(Linked(), kind):
			say("%s %s: linked", kind.GroupVersion(), kind.Kind)
		default:
			say("%s %s: not linked", kind.GroupVersion(), kind.Kind)
		}
	}
}
