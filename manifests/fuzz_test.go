package manifests

import (
	"bytes"
	"fmt"
	"testing"
	"testing/fstest"
)

// FuzzDecode decodes arbitrary files: it must not panic, each Problem must have a place in the file, and two loads must say the same. The
// seeds are the files of testdata.
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
			if p.Origin.Line < 1 && p.Reason != ReasonLimit || p.Origin.Line > lines {
				t.Errorf("%s is not one of the file's %d lines: %s", p.Origin, lines, p)
			}
		}
		if again := load(t, tree, Target{}); describe(again) != describe(set) {
			t.Errorf("two loads differ:\n%s\n%s", describe(set), describe(again))
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
