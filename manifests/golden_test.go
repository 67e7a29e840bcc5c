package manifests

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"kilter.dev/kilter/internal/golden"
)

// TestGolden loads each archive in testdata as a tree and compares all that Load says with the archive's last file, "want".
func TestGolden(t *testing.T) {
	for _, name := range archives(t) {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, tree := open(t, name)
			archive.Files = append(archive.Files[:len(tree)], txtar.File{Name: "want", Data: []byte(describe(load(t, tree, Target{})))})
			golden.Check(t, name, string(txtar.Format(archive)))
		})
	}
}

// TestLineEndings loads the same trees with CRLF and a byte order mark: neither may move a line or column.
func TestLineEndings(t *testing.T) {
	for _, name := range archives(t) {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, tree := open(t, name)
			for file := range tree {
				if isManifest(file) {
					tree[file].Data = []byte("\ufeff" + strings.ReplaceAll(string(tree[file].Data), "\n", "\r\n"))
				}
			}
			if diff := cmp.Diff(wanted(t, archive), describe(load(t, tree, Target{}))); diff != "" {
				t.Errorf("-with LF +with CRLF and BOM:\n%s", diff)
			}
		})
	}
}

func archives(t testing.TB) []string {
	t.Helper()
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatal("no archives in testdata", err)
	}
	return names
}

// open reads an archive: its files but "want" are the tree.
func open(t testing.TB, name string) (*txtar.Archive, fstest.MapFS) {
	t.Helper()
	archive, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	tree := fstest.MapFS{}
	for _, file := range archive.Files {
		if file.Name != "want" {
			tree[file.Name] = &fstest.MapFile{Data: bytes.Clone(file.Data)}
		}
	}
	return archive, tree
}

func wanted(t *testing.T, archive *txtar.Archive) string {
	t.Helper()
	last := archive.Files[len(archive.Files)-1]
	if last.Name != "want" {
		t.Fatal(`the archive has no file "want": run go test -update`)
	}
	return string(last.Data)
}

func load(t *testing.T, tree fstest.MapFS, target Target) *Set {
	t.Helper()
	set, err := NewLoader(Options{}).Load(t.Context(), tree, target)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// describe prints a Set whole, hashes excepted.
func describe(set *Set) string {
	var b strings.Builder
	for _, p := range set.Problems {
		if p.Reason == ReasonLint {
			continue // the lint's goldens are its own: another rule is no news for all of these
		}
		fmt.Fprintf(&b, "%s [%s]\n", p, p.Reason)
	}
	for _, o := range set.Objects {
		fmt.Fprintf(&b, "object %s from %s document %d: %s\n", o.ID, o.Origin, o.Origin.Document, o.JSON)
		for _, id := range o.DependsOn {
			fmt.Fprintf(&b, "  depends on %s\n", id)
		}
		for _, id := range o.Uses {
			fmt.Fprintf(&b, "  uses %s\n", id)
		}
		if o.Defines != nil {
			fmt.Fprintf(&b, "  defines %s\n", o.Defines)
		}
	}
	for _, s := range set.Skipped {
		fmt.Fprintf(&b, "skipped %s: %s\n", s.Origin, s.Reason)
	}
	fmt.Fprintf(&b, "files %d\n", set.Files)
	return b.String()
}
