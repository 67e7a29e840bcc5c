// Package chart_test renders the chart with Helm, the pinned Go tool, and compares what comes out with golden files. It needs no
// cluster; that the chart's permissions are enough is for e2e to show.
//
// `go test ./charts/kilter -update` writes them again.
package chart_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/internal/golden"
)

const crdSource = "# Source: kilter/templates/crds.yaml\n"

func TestTemplates(t *testing.T) {
	kilter := buildKilter(t)
	files, err := filepath.Glob("testdata/*.values.yaml")
	if err != nil || len(files) < 8 {
		t.Fatalf("%d sets of values, %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".values.yaml")
		t.Run(name, func(t *testing.T) {
			values := "charts/kilter/" + file
			rendered := render(t, "--values", values)
			// The CRD is the generated file, and TestCRDs' business.
			rendered = slices.DeleteFunc(rendered, func(document string) bool { return strings.HasPrefix(document, crdSource) })

			golden.Check(t, filepath.Join("testdata", name+".golden.yaml"), "---\n"+strings.Join(rendered, "---\n"))
			golden.Check(t, filepath.Join("testdata", name+".notes.golden.txt"), notes(t, "--values", values))
			for _, document := range rendered {
				checkStrictly(t, document)
			}
			validate(t, kilter, render(t, "--values", values))
		})
	}
}

// checkStrictly fails the test when the API server would not know one of the document's fields.
func checkStrictly(t *testing.T, document string) {
	t.Helper()
	if strings.Contains(document, "\nkind: "+v1alpha1.SyncKind+"\n") {
		if _, err := v1alpha1.Read([]byte(document)); err != nil {
			t.Errorf("%v in\n%s", err, document)
		}
		return
	}
	strict := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	if _, _, err := strict.Decode([]byte(document), nil, nil); err != nil {
		t.Errorf("%v in\n%s", err, document)
	}
}

// buildKilter builds the program and returns where it is.
func buildKilter(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kilter")
	if output, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "../../cmd/kilter").CombinedOutput(); err != nil {
		t.Fatalf("cannot build kilter: %v\n%s", err, output)
	}
	return path
}

// validate fails the test when kilter validate has anything to say of the documents, CRDs and Syncs among them. Beside them are the objects that
// some values name and that are somebody else's.
func validate(t *testing.T, kilter string, documents []string) {
	t.Helper()
	all := strings.Join(append(documents, read(t, "testdata/beside.yaml")), "---\n")
	file := filepath.Join(t.TempDir(), "rendered.yaml")
	if err := os.WriteFile(file, []byte(all), 0o600); err != nil {
		t.Fatal(err)
	}
	if output, err := exec.CommandContext(t.Context(), kilter, "validate", "--strict", file).CombinedOutput(); err != nil {
		t.Errorf("kilter validate --strict: %v\n%s", err, output)
	}
}

func TestCRDs(t *testing.T) {
	generated, err := filepath.Glob("../../api/v1alpha1/crds/*.yaml")
	if err != nil || len(generated) == 0 {
		t.Fatalf("found no generated CRDs (%v): run 'make generate'", err)
	}
	tests := map[string]struct {
		args       []string
		count      int
		annotation any
	}{
		"kept on uninstall by default": {nil, len(generated), "keep"},
		"removed on uninstall":         {[]string{"--set", "crds.keep=false"}, len(generated), nil},
		"installed by somebody else":   {[]string{"--set", "crds.install=false"}, 0, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var crds []string
			for _, document := range render(t, test.args...) {
				if strings.HasPrefix(document, crdSource) {
					crds = append(crds, document)
				}
			}
			if len(crds) != test.count {
				t.Fatalf("rendered %d CRDs, want %d", len(crds), test.count)
			}
			for i, crd := range crds {
				want := decode(t, read(t, generated[i]))
				got := decode(t, crd)
				annotations := got["metadata"].(map[string]any)["annotations"].(map[string]any)
				if annotations["helm.sh/resource-policy"] != test.annotation {
					t.Errorf("resource policy is %v, want %v", annotations["helm.sh/resource-policy"], test.annotation)
				}
				if diff := cmp.Diff(want["spec"], got["spec"]); diff != "" {
					t.Errorf("%s is not what the chart installs; run 'make generate' (-want +got):\n%s", generated[i], diff)
				}
			}
		})
	}
}

// Helm looks every kind up before it creates anything: a release that brings the CRD to a cluster cannot bring a Sync too.
func TestSyncsWaitForTheirCRD(t *testing.T) {
	install := []string{"template", "kilter", "charts/kilter", "--values", "charts/kilter/testdata/two-namespaces.values.yaml"}
	const kind = "\nkind: Sync\n"
	if strings.Contains(helm(t, install...), kind) {
		t.Error("the release that brings the CRD has a Sync as well: Helm will refuse to install it")
	}
	if !strings.Contains(helm(t, append(install, "--set", "crds.install=false")...), kind) {
		t.Error("a release whose cluster has the CRD already has no Sync")
	}
	if !strings.Contains(helm(t, append(install, "--is-upgrade")...), kind) {
		t.Error("the upgrade that follows has no Sync")
	}
}

func TestLint(t *testing.T) {
	helm(t, "lint", "--strict", "charts/kilter")
}

func TestSchemaRefuses(t *testing.T) {
	tests := map[string]struct{ set, message string }{
		"an unknown value":                    {"colour=blue", "additional properties 'colour' not allowed"},
		"an unknown value further down":       {"image.colour=blue", "additional properties 'colour' not allowed"},
		"fewer replicas than none":            {"replicaCount=-1", "/replicaCount"},
		"a Lease that is too short":           {"leaderElection.leaseDuration=4s", "/leaderElection/leaseDuration"},
		"a resource for a kind":               {"tenancy.allowedKinds={deployments.apps}", "/tenancy/allowedKinds"},
		"an unknown scope":                    {"rbac.scope=galaxy", "/rbac/scope"},
		"namespaces that cluster scope drops": {"rbac.scope=cluster,rbac.namespaces={a}", "/rbac/namespaces"},
		"an Ingress without a host":           {"webhook.enabled=true,webhook.ingress.enabled=true", "/webhook/ingress/host"},
		"an Ingress that leads nowhere":       {"webhook.ingress.enabled=true,webhook.ingress.host=a", "/webhook/enabled"},
		"a Sync without a repository":         {"syncs[0].name=a,syncs[0].spec.interval=1m", "missing property 'git'"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			command := helmCommand(t, "template", "kilter", "charts/kilter", "--set", test.set)
			output, err := command.CombinedOutput()
			if err == nil {
				t.Fatalf("helm accepted %s", test.set)
			}
			if !strings.Contains(string(output), test.message) {
				t.Errorf("helm said\n%s\nwant a message with %q", output, test.message)
			}
		})
	}
}

// render returns the documents that helm template writes for a cluster that knows Sync, in Helm's order.
func render(t *testing.T, args ...string) []string {
	t.Helper()
	text := helm(t, append([]string{
		"template", "kilter", "charts/kilter", "--namespace", "kilter-system", "--api-versions", "kilter.dev/v1alpha1/Sync",
	}, args...)...)
	var documents []string
	for document := range strings.SplitSeq(text, "---\n") {
		if strings.TrimSpace(document) != "" {
			documents = append(documents, strings.TrimSpace(document)+"\n")
		}
	}
	return documents
}

// notes returns what helm install says at its end, in a cluster that does not know Sync yet.
func notes(t *testing.T, args ...string) string {
	t.Helper()
	text := helm(t, append([]string{
		"install", "kilter", "charts/kilter", "--namespace", "kilter-system", "--dry-run=client", "--output", "json",
	}, args...)...)
	var release struct{ Info struct{ Notes string } }
	if err := json.Unmarshal([]byte(text), &release); err != nil {
		t.Fatal(err)
	}
	return release.Info.Notes
}

func helm(t *testing.T, args ...string) string {
	t.Helper()
	command := helmCommand(t, args...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	stdout, err := command.Output()
	if err != nil {
		t.Fatalf("helm %s: %v\n%s%s", strings.Join(args, " "), err, stdout, stderr.Bytes())
	}
	return string(stdout)
}

// helmPath builds the pinned Helm and returns where the go command keeps it.
var helmPath = sync.OnceValues(func() (string, error) {
	command := exec.Command("go", "tool", "-n", "-modfile=tools/helm/go.mod", "helm")
	command.Dir = "../.."
	command.Stderr = os.Stderr
	path, err := command.Output()
	return strings.TrimSpace(string(path)), err
})

// helmCommand returns the pinned Helm, to be run in the repository's root with no cluster and no configuration but its own.
func helmCommand(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	touchChart(t)
	path, err := helmPath()
	if err != nil {
		t.Fatalf("cannot build helm: %v", err)
	}
	command := exec.CommandContext(t.Context(), path, args...)
	command.Dir = "../.."
	home := t.TempDir()
	command.Env = append(os.Environ(),
		"HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home, "KUBECONFIG="+filepath.Join(home, "none"))
	return command
}

// touchChart opens every file of the chart and what pins Helm. Helm is another process, and what it reads go test cannot know:
// without this a result from before an edit would be taken from the cache.
func touchChart(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		_, err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	read(t, "../../tools/helm/go.mod")
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func decode(t *testing.T, document string) map[string]any {
	t.Helper()
	var object map[string]any
	if err := yaml.Unmarshal([]byte(document), &object); err != nil {
		t.Fatal(err)
	}
	return object
}
