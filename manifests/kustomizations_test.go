package manifests

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// TestOnlyChangedKustomizationsAreBuilt changes one thing after another, and looks at which files are opened and which objects are new.
func TestOnlyChangedKustomizationsAreBuilt(t *testing.T) {
	tree := newHashedTree(map[string]string{
		"plain.yaml":                   fmt.Sprintf(configMap, "plain"),
		"base/kustomization.yaml":      "resources: [cm.yaml]\n",
		"base/cm.yaml":                 fmt.Sprintf(configMap, "base"),
		"dev/kustomization.yaml":       "resources: [../base]\nnamePrefix: dev-\n",
		"prod/kustomization.yaml":      "resources: [../base, more]\nnamePrefix: prod-\n",
		"prod/more/kustomization.yaml": "configMapGenerator: [{name: more, files: [a.txt]}]\n",
		"prod/more/a.txt":              "a",
	})
	base := []string{"base/cm.yaml", "base/kustomization.yaml"}
	prod := append(slices.Clone(base), "prod/kustomization.yaml", "prod/more/a.txt", "prod/more/kustomization.yaml")
	loader := NewLoader(Options{})
	objects := names(mustLoad(t, loader, tree, Target{}))
	for _, step := range []struct {
		name, file, text string   // an empty text removes the file
		opened           []string // and nothing else
		fresh            []string // objects that are not the same as before
	}{
		{"nothing", "", "", nil, nil},
		{"a plain file", "plain.yaml", fmt.Sprintf(configMap, "plain") + "data: {a: b}\n", []string{"plain.yaml"}, []string{"plain"}},
		{"a file that nothing reads", "prod/more/b.txt", "b", nil, nil},
		{
			"an overlay", "dev/kustomization.yaml", "resources: [../base]\nnamePrefix: dev-\nnameSuffix: -one\n",
			append(slices.Clone(base), "dev/kustomization.yaml"),
			[]string{"dev-base-one"},
		},
		{"a generator's file", "prod/more/a.txt", "b", prod, []string{"prod-base", "prod-more-6th95dft6k"}},
		{"the overlay's end", "dev/kustomization.yaml", "", nil, nil},
	} {
		t.Run(step.name, func(t *testing.T) {
			clear(tree.opened)
			switch {
			case step.text != "":
				tree.MapFS[step.file] = &fstest.MapFile{Data: []byte(step.text)}
			case step.file != "":
				delete(tree.MapFS, step.file)
			}
			set := mustLoad(t, loader, tree, Target{})
			if set.Rejected() {
				t.Fatal(set.Problems)
			}
			if diff := cmp.Diff(step.opened, slices.Sorted(maps.Keys(tree.opened))); diff != "" {
				t.Errorf("files opened, -want +got:\n%s", diff)
			}
			after := names(set)
			var fresh []string
			for _, name := range slices.Sorted(maps.Keys(after)) {
				if objects[name] != after[name] {
					fresh = append(fresh, name)
				}
			}
			if diff := cmp.Diff(step.fresh, fresh); diff != "" {
				t.Errorf("objects made anew, -want +got:\n%s", diff)
			}
			objects = after
		})
	}
}

func names(set *Set) map[string]*Object {
	byName := map[string]*Object{}
	for _, o := range set.Objects {
		byName[o.ID.Name] = o
	}
	return byName
}

// TestWhatWasLookedForCounts adds a file where the build found none, and takes it away again.
func TestWhatWasLookedForCounts(t *testing.T) {
	tree := newHashedTree(map[string]string{"a/kustomization.yaml": "resources: [cm.yaml]\n"})
	loader := NewLoader(Options{})
	step := func(rejected bool) {
		t.Helper()
		if set := mustLoad(t, loader, tree, Target{}); set.Rejected() != rejected {
			t.Errorf("rejected: %t, want %t: %v", set.Rejected(), rejected, set.Problems)
		}
	}
	step(true)
	tree.MapFS["a/cm.yaml"] = &fstest.MapFile{Data: []byte(fmt.Sprintf(configMap, "a"))}
	step(false)
	tree.MapFS["a/kustomization.yml"] = &fstest.MapFile{Data: []byte("resources: [cm.yaml]\n")}
	step(true)
	delete(tree.MapFS, "a/kustomization.yml")
	step(false)
	delete(tree.MapFS, "a/cm.yaml")
	step(true)
}

// TestABaseIsBuiltOnceItIsNoPart removes the overlay of a base.
func TestABaseIsBuiltOnceItIsNoPart(t *testing.T) {
	tree := newHashedTree(map[string]string{
		"base/kustomization.yaml": "resources: [cm.yaml]\n",
		"base/cm.yaml":            fmt.Sprintf(configMap, "a"),
		"prod/kustomization.yaml": "resources: [../base]\nnamePrefix: prod-\n",
	})
	loader := NewLoader(Options{})
	for _, want := range []string{"prod-a", "a", "prod-a"} {
		set := mustLoad(t, loader, tree, Target{})
		if len(set.Objects) != 1 || set.Objects[0].ID.Name != want {
			t.Errorf("got %v, want %s", set.Objects, want)
		}
		if want == "prod-a" {
			delete(tree.MapFS, "prod/kustomization.yaml")
		} else {
			tree.MapFS["prod/kustomization.yaml"] = &fstest.MapFile{Data: []byte("resources: [../base]\nnamePrefix: prod-\n")}
		}
	}
}

// TestAPathHoldsOnlyItsOverlays builds an overlay whose base is outside of the target's path.
func TestAPathHoldsOnlyItsOverlays(t *testing.T) {
	tree := fstest.MapFS{
		"base/kustomization.yaml":          {Data: []byte("resources: [cm.yaml]\n")},
		"base/cm.yaml":                     {Data: []byte(fmt.Sprintf(configMap, "a"))},
		"base/forgotten.yaml":              {Data: []byte(fmt.Sprintf(configMap, "b"))},
		"overlays/prod/kustomization.yaml": {Data: []byte("resources: [../../base]\nnamePrefix: prod-\n")},
		"overlays/dev/kustomization.yaml":  {Data: []byte("not read")},
	}
	got := describe(load(t, tree, Target{Paths: []string{"overlays/prod"}}))
	want := `object ConfigMap default/prod-a from base/cm.yaml:1:1 document 0: ` +
		`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"prod-a","namespace":"default"}}` + "\nfiles 3\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAnUnreadableBaseIsNoSet(t *testing.T) {
	files := fstest.MapFS{
		"base/kustomization.yaml": {Data: []byte("resources: [cm.yaml]\n")},
		"base/cm.yaml":            {Data: []byte(fmt.Sprintf(configMap, "a"))},
		"prod/kustomization.yaml": {Data: []byte("resources: [../base]\n")},
	}
	for name := range files {
		set, err := NewLoader(Options{}).Load(t.Context(), brokenTree{files, name}, Target{Paths: []string{"prod"}})
		if err == nil || !strings.Contains(err.Error(), errBroken.Error()) || set != nil {
			t.Errorf("%s cannot be read: got %v, %v", name, set, err)
		}
	}
}

func TestLinksAreNotFollowed(t *testing.T) {
	tree := fstest.MapFS{
		"prod/kustomization.yaml": {Data: []byte("resources: [link.yml.txt, ../linked, ../linked/sub]\n")},
		"prod/link.yml.txt":       {Mode: 0o777 | 1<<27, Data: []byte("../secret")},
		"linked":                  {Mode: 0o777 | 1<<27, Data: []byte("base")},
		"base/kustomization.yaml": {Data: []byte("resources: [cm.yaml]\n")},
	}
	set := load(t, tree, Target{Paths: []string{"prod"}})
	if len(set.Problems) != 4 { // each entry, and the link in the directory
		t.Fatal(set.Problems)
	}
	for _, p := range set.Problems {
		if p.Reason != ReasonUnsupported || !strings.Contains(p.Message, " link") {
			t.Errorf("got %s", p)
		}
	}
}

// TestLocateInABase finds a field in the file that a built object came from, and stays at a generator's entry.
func TestLocateInABase(t *testing.T) {
	tree := fstest.MapFS{
		"base/kustomization.yaml": {Data: []byte("resources: [cm.yaml]\nconfigMapGenerator:\n- {name: g}\n")},
		"base/cm.yaml":            {Data: []byte(fmt.Sprintf(configMap, "a") + "data:\n  x: z\n")},
		"prod/kustomization.yaml": {Data: []byte("resources: [../base]\nnamePrefix: prod-\n")},
	}
	want := map[string]string{"prod-a": "base/cm.yaml:6:3", "prod-g-6ct58987ht": "base/kustomization.yaml:3:3"}
	for _, o := range load(t, tree, Target{}).Objects {
		at := Locate(tree, o.Origin, "data.x")
		if at.String() != want[o.ID.Name] || at.BuiltBy != "prod/kustomization.yaml" {
			t.Errorf("%s: data.x is at %s, built by %s; want %s", o.ID, at, at.BuiltBy, want[o.ID.Name])
		}
	}
}
