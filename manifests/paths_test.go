package manifests

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestPathsAreOneTree(t *testing.T) {
	manifest := func(name string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\n")}
	}
	tree := fstest.MapFS{
		"prod/a.yaml":           manifest("a"),
		"prod/.kilterignore":    {Data: []byte("draft*\nold/\n")},
		"prod/draft.yaml":       manifest("draft"),
		"prod/old/b.yaml":       manifest("b"),
		"prod/notes.txt":        manifest("notes"),
		"prod/.hidden/c.yaml":   manifest("c"),
		"staging/d.yaml":        manifest("d"),
		"staging/object":        {Data: []byte("\n{ \"apiVersion\": \"v1\", \"kind\": \"ConfigMap\",\n\t\"metadata\": {\"name\": \"json\"}}")},
		"staging/sub/e.yaml":    manifest("e"),
		"elsewhere/broken.yaml": {Data: []byte("}")},
	}
	for _, test := range []struct {
		paths []string
		names string // of the objects
		skips string
	}{
		{[]string{"prod"}, "a", "prod/draft.yaml prod/old"},
		{[]string{"prod", "staging"}, "a d e", "prod/draft.yaml prod/old"},
		{[]string{"staging", "prod/", "./prod", "prod/a.yaml"}, "a d e", "prod/draft.yaml prod/old"},
		{[]string{"prod/draft.yaml", "prod"}, "a draft", "prod/old"},
		{[]string{"prod/old", "prod"}, "a b", "prod/draft.yaml"},
		{[]string{"prod/notes.txt", "prod/.hidden/c.yaml"}, "c notes", ""},
		{[]string{"staging/sub", "staging"}, "d e", ""},
		{[]string{"staging/object"}, "json", ""},
	} {
		set := load(t, tree, Target{Paths: test.paths})
		var names, skips []string
		for _, o := range set.Objects {
			names = append(names, o.ID.Name)
		}
		for _, s := range set.Skipped {
			skips = append(skips, s.Origin.File)
		}
		slices.Sort(skips)
		if got := strings.Join(names, " "); got != test.names || len(set.Problems) > 0 {
			t.Errorf("%q: got objects %q and problems %v, want objects %q", test.paths, got, set.Problems, test.names)
		}
		if got := strings.Join(skips, " "); got != test.skips {
			t.Errorf("%q: got skipped %q, want %q", test.paths, got, test.skips)
		}
	}
	if _, err := NewLoader(Options{}).Load(t.Context(), tree, Target{Paths: []string{"prod", "none"}}); err == nil {
		t.Error("a path that does not exist is no error")
	}
}

func TestMessagesUsePeoplesNames(t *testing.T) {
	same := &fstest.MapFile{Data: []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")}
	tree := fstest.MapFS{"prod/a.yaml": same, "prod/b.yaml": same}
	set := load(t, tree, Target{Name: func(file string) string { return "../" + file }})
	if len(set.Problems) != 1 {
		t.Fatal(set.Problems)
	}
	p := set.Problems[0]
	if want := "the same object is also given in ../prod/a.yaml:1:1: remove one"; p.Message != want || p.Origin.File != "prod/b.yaml" || p.Version != "v1" {
		t.Errorf("got %q in %s of version %q, want %q", p.Message, p.Origin, p.Version, want)
	}
}
