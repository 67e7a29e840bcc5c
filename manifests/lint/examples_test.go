package lint_test

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"kilter.dev/kilter/manifests"
)

// TestExamples keeps the repository that people copy from free of what the lint warns of.
func TestExamples(t *testing.T) {
	set := lintTree(t, os.DirFS("../.."), "examples/prod")
	if len(set.Objects) < 20 {
		t.Errorf("only %d objects", len(set.Objects))
	}
}

// TestChart does the same for what the chart installs.
func TestChart(t *testing.T) {
	rendered, err := filepath.Glob("../../charts/kilter/testdata/*.golden.yaml")
	if err != nil || len(rendered) == 0 {
		t.Fatal("no rendered chart", err)
	}
	for _, name := range rendered {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		lintTree(t, fstest.MapFS{path.Base(name): &fstest.MapFile{Data: data}}, "")
	}
}

// lintTree loads a tree and fails the test for each remark of the lint.
func lintTree(t *testing.T, tree fs.FS, below string) *manifests.Set {
	t.Helper()
	loader := manifests.NewLoader(manifests.Options{Now: func() time.Time { return now }})
	set, err := loader.Load(t.Context(), tree, manifests.Target{Paths: []string{below}, DefaultNamespace: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range set.Problems {
		if p.Rule != "" {
			t.Error(p)
		}
	}
	return set
}
