package lint_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"kilter.dev/kilter/internal/golden"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/manifests/lint"
)

// now is the clock of all tests here.
var now = time.Date(2026, time.September, 1, 12, 0, 0, 0, time.UTC)

// TestGolden loads the archive of each rule as a tree and compares what the rules say with the archive's last file, "want". An
// object whose name says "fires" must draw a remark of that rule, all others none of any: that keeps rules out of each other's
// way.
func TestGolden(t *testing.T) {
	for _, rule := range lint.Rules() {
		t.Run(rule.ID, func(t *testing.T) {
			name := filepath.Join("testdata", rule.ID+".txtar")
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			archive.Files = slices.DeleteFunc(archive.Files, func(f txtar.File) bool { return f.Name == "want" })
			set := load(t, archive)
			var want strings.Builder
			fired := map[string]bool{}
			for _, p := range set.Problems {
				if p.Reason == manifests.ReasonNoReference {
					continue // the archives hold what rules look at, and not what else a tree needs
				}
				fmt.Fprintln(&want, p)
				fired[p.Object.Name] = true
				if p.Rule != rule.ID || !strings.Contains(p.Object.Name, "fires") {
					t.Errorf("unwanted: %s", p)
				}
			}
			quiet := false
			for _, o := range set.Objects {
				expected := strings.Contains(o.ID.Name, "fires")
				if expected && !fired[o.ID.Name] {
					t.Errorf("%s: no remark", o.ID)
				}
				quiet = quiet || strings.Contains(o.ID.Name, "quiet")
			}
			if !quiet || len(fired) == 0 || !bytes.Contains(archive.Files[0].Data, []byte(lint.IgnoreAnnotation+": "+rule.ID)) {
				t.Error("the archive needs objects that fire, that are quiet and that are ignored")
			}
			archive.Files = append(archive.Files, txtar.File{Name: "want", Data: []byte(want.String())})
			golden.Check(t, name, string(txtar.Format(archive)))
		})
	}
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) != len(lint.Rules()) {
		t.Errorf("%d archives for %d rules: each archive is named after its rule (%v)", len(archives), len(lint.Rules()), err)
	}
}

func load(t testing.TB, archive *txtar.Archive) *manifests.Set {
	t.Helper()
	tree := fstest.MapFS{}
	for _, file := range archive.Files {
		tree[file.Name] = &fstest.MapFile{Data: file.Data}
	}
	return lintedSet(t, tree)
}

func lintedSet(t testing.TB, tree fs.FS) *manifests.Set {
	t.Helper()
	loader := manifests.NewLoader(manifests.Options{Now: func() time.Time { return now }})
	set, err := loader.Load(t.Context(), tree, manifests.Target{})
	if err != nil {
		t.Fatal(err)
	}
	return set
}
