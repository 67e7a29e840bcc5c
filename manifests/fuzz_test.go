package manifests

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"go.yaml.in/yaml/v3"
)

// FuzzDecode decodes arbitrary files: it must not panic, and what it accepts must mean what kubectl reads. The seeds are the files
// of testdata.
func FuzzDecode(f *testing.F) {
	for _, data := range seeds(f) {
		f.Add(false, data)
		f.Add(true, data)
	}
	f.Fuzz(func(t *testing.T, isJSON bool, data []byte) {
		name := "a.yaml"
		if isJSON {
			name = "a.json"
		}
		tree := fstest.MapFS{name: {Data: data}}
		set := load(t, tree, Target{})
		lines := bytes.Count(data, []byte("\n")) + 1
		for _, p := range set.Problems {
			if p.Origin.Line > lines || strings.ContainsAny(p.Origin.File, "\n") {
				t.Errorf("%s is beyond the file's %d lines", p.Origin, lines)
			}
		}
		if !isJSON && oneObject(data) {
			assertSameAsKubectl(t, name, data)
		}
	})
}

// oneObject reports whether kubectl's parser, which reads one document and takes no list apart, sees what Load sees.
func oneObject(data []byte) bool {
	for _, text := range []string{"---", "...", "%", "\ufeff", "items"} {
		if bytes.Contains(data, []byte(text)) {
			return false
		}
	}
	return true
}

// FuzzPlace looks arbitrary fields up in arbitrary documents: it must not panic, and must find a node of the document.
func FuzzPlace(f *testing.F) {
	for _, data := range seeds(f) {
		for _, field := range []string{"spec.template.spec.containers[0].image", "metadata.labels[app.kubernetes.io/name]", "a[", "[0]", "..", "]"} {
			f.Add(data, field)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, field string) {
		var document yaml.Node
		if yaml.Unmarshal(data, &document) != nil || len(document.Content) == 0 {
			return
		}
		if node := place(document.Content[0], field); node == nil || node.Line < 1 || node.Column < 1 {
			t.Errorf("%q is nowhere: %+v", field, node)
		}
	})
}

// FuzzReference reads arbitrary depends-on references: what is accepted must be written the same way.
func FuzzReference(f *testing.F) {
	for _, text := range []string{"/namespaces/a/ConfigMap/b", "batch/namespaces/a/Job/b", "g/Kind/name", "", "///", "a/b/c/d/e"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if id, err := parseReference(text); err == nil && dependsOn(id) != text {
			t.Errorf("%q became %q", text, dependsOn(id))
		}
	})
}

// seeds returns the files of all archives in testdata.
func seeds(f *testing.F) [][]byte {
	var out [][]byte
	for _, name := range archives(f) {
		_, tree := open(f, name)
		for _, file := range tree {
			out = append(out, file.Data)
		}
	}
	return append(out, fmt.Appendf(nil, configMap, "a"))
}
