package verdict

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"kilter.dev/kilter/internal/golden"
)

// samples reads testdata/kinds.txtar: an acceptable object of each linked kind, as JSON.
func samples(t testing.TB) map[schema.GroupVersionKind][]byte {
	t.Helper()
	archive, err := txtar.ParseFile("testdata/kinds.txtar")
	if err != nil {
		t.Fatal(err)
	}
	all := map[schema.GroupVersionKind][]byte{}
	for _, file := range archive.Files {
		text, err := yaml.YAMLToJSON(file.Data)
		if err != nil {
			t.Fatalf("%s: %v", file.Name, err)
		}
		gvk := kindOf(t, string(text))
		if file.Name != gvk.GroupVersion().String()+" "+gvk.Kind {
			t.Errorf("%s is a %s", file.Name, gvk)
		}
		all[gvk] = text
	}
	return all
}

// TestKinds accepts a good object of every linked kind.
func TestKinds(t *testing.T) {
	all := samples(t)
	for _, gvk := range Linked() {
		text, ok := all[gvk]
		if !ok {
			t.Errorf("%s has no sample", gvk)
			continue
		}
		if v, _ := Create(gvk, "team-a", text); len(v.Causes) > 0 {
			t.Errorf("%s is refused: %q", gvk, lines(v))
		}
		delete(all, gvk)
	}
	for gvk := range all {
		t.Errorf("%s is not linked", gvk)
	}
}

// TestRefusals lists what is said of an object of each linked kind that has a bad name and nothing else.
func TestRefusals(t *testing.T) {
	var out strings.Builder
	for _, gvk := range Linked() {
		text := fmt.Appendf(nil, `{"apiVersion":%q,"kind":%q,"metadata":{"name":"a/b"}}`, gvk.GroupVersion(), gvk.Kind)
		v, _ := Create(gvk, "team-a", text)
		if len(v.Causes) == 0 {
			t.Errorf("%s is accepted", gvk)
		}
		fmt.Fprintf(&out, "%s %s\n", gvk.GroupVersion(), gvk.Kind)
		for _, line := range lines(v) {
			fmt.Fprintf(&out, "\t%s\n", line)
		}
	}
	golden.Check(t, "testdata/refusals.golden", out.String())
}
