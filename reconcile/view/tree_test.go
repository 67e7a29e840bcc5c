package view

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"kilter.dev/kilter/internal/golden"
	"kilter.dev/kilter/manifests"
)

// Each archive in testdata/tree is a Sight: the set's parent, its members, what controllers made, the JobRuns, and a repository where somebody
// has read it. Its last file, tree.txt, is how the tree is drawn; its comment says what it shows.
func TestTree(t *testing.T) {
	names, err := filepath.Glob("testdata/tree/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatal("no archives in testdata/tree", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			sight := sightOf(t, archive)
			before := clone(t, sight)
			got := sight.Tree().Text()
			if diff := cmp.Diff(before, clone(t, sight)); diff != "" {
				t.Errorf("Tree changed what was seen (-before +after):\n%s", diff)
			}
			if again := sightOf(t, archive).Tree().Text(); again != got {
				t.Errorf("the same Sight gives another tree (-first +second):\n%s", cmp.Diff(got, again))
			}
			if last := len(archive.Files) - 1; archive.Files[last].Name == "tree.txt" {
				archive.Files = archive.Files[:last]
			}
			archive.Files = append(archive.Files, txtar.File{Name: "tree.txt", Data: []byte(got)})
			golden.Check(t, name, string(txtar.Format(archive)))
		})
	}
}

// clone returns the Sight as JSON.
func clone(t *testing.T, s *Sight) string {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func sightOf(t *testing.T, archive *txtar.Archive) *Sight {
	t.Helper()
	s := &Sight{}
	tree := fstest.MapFS{}
	for _, file := range archive.Files {
		switch file.Name {
		case "parent.yaml":
			set, ok := newSet(objects(t, file.Data)[0])
			if !ok {
				t.Fatal("parent.yaml is no parent of a set")
			}
			s.Set = set
		case "members.yaml":
			s.Members = objects(t, file.Data)
		case "made.yaml":
			s.Made = objects(t, file.Data)
		case "runs.yaml":
			s.Runs = readRuns(objects(t, file.Data))
		case "revision":
			s.Revision = strings.TrimSpace(string(file.Data))
		case "tree.txt":
		default:
			tree[file.Name] = &fstest.MapFile{Data: file.Data}
		}
	}
	if len(tree) > 0 {
		set, err := manifests.NewLoader(manifests.Options{}).Load(t.Context(), tree, manifests.Target{DefaultNamespace: "shop"})
		if err != nil || set.Rejected() {
			t.Fatal(err, set.Problems)
		}
		s.Desired = set.Objects
	}
	return s
}

// objects reads a stream of YAML documents.
func objects(t *testing.T, data []byte) []*unstructured.Unstructured {
	t.Helper()
	var all []*unstructured.Unstructured
	for decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096); ; {
		var u unstructured.Unstructured
		err := decoder.Decode(&u)
		if errors.Is(err, io.EOF) {
			sortByID(all)
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, &u)
	}
}
