package manifests

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

const configMap = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s\n"

// hashedTree is a tree that knows its files' hashes, as source.Tree does, and counts what is read.
type hashedTree struct {
	fstest.MapFS
	opened map[string]int
}

func (t hashedTree) Hash(name string) (string, error) {
	file, ok := t.MapFS[name]
	if !ok {
		return "", fs.ErrNotExist
	}
	return fmt.Sprintf("%x", sha256.Sum256(file.Data)), nil
}

func (t hashedTree) Open(name string) (fs.File, error) {
	t.opened[name]++
	return t.MapFS.Open(name)
}

func newHashedTree(files map[string]string) hashedTree {
	tree := hashedTree{fstest.MapFS{}, map[string]int{}}
	for name, text := range files {
		tree.MapFS[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return tree
}

func TestOnlyChangedFilesAreRead(t *testing.T) {
	tree := newHashedTree(map[string]string{
		"a.yaml": fmt.Sprintf(configMap, "a"), "b.yaml": fmt.Sprintf(configMap, "b"), "bad.yaml": "kind: [",
	})
	loader := NewLoader(Options{})
	before := mustLoad(t, loader, tree, Target{})
	tree.MapFS["b.yaml"] = &fstest.MapFile{Data: []byte(fmt.Sprintf(configMap, "b") + "data: {a: b}\n")}
	after := mustLoad(t, loader, tree, Target{})

	if tree.opened["a.yaml"] != 1 || tree.opened["bad.yaml"] != 1 || tree.opened["b.yaml"] != 2 {
		t.Errorf("opened %v, want the unchanged files once and the changed one twice", tree.opened)
	}
	if before.Objects[0] != after.Objects[0] {
		t.Error("an unchanged object is a new one")
	}
	if before.Objects[1].Hash == after.Objects[1].Hash {
		t.Error("a changed object has the same hash")
	}
	if len(after.Problems) != 1 || after.Problems[0] != before.Problems[0] {
		t.Errorf("problems of an unchanged file: %v, then %v", before.Problems, after.Problems)
	}

	delete(tree.MapFS, "bad.yaml")
	mustLoad(t, loader, tree, Target{})
	if len(loader.last) != 2 {
		t.Error("a file that is gone is still remembered")
	}
}

func TestRememberedObjectsFollowTheTarget(t *testing.T) {
	tree := newHashedTree(map[string]string{
		"a.yaml": fmt.Sprintf(configMap, "a") + "  labels: {a: b}\n",
		"w.yaml": "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w, namespace: own}\n",
	})
	loader := NewLoader(Options{})
	one := mustLoad(t, loader, tree, Target{DefaultNamespace: "one"})
	two := mustLoad(t, loader, tree, Target{DefaultNamespace: "two", Scope: func(gvk schema.GroupVersionKind) (bool, bool) {
		return gvk.Kind == "ConfigMap", true
	}})
	again := mustLoad(t, loader, tree, Target{DefaultNamespace: "one"})

	for _, test := range []struct {
		set  *Set
		want []string
	}{
		{one, []string{"ConfigMap one/a", "Widget own/w"}},
		{two, []string{"Widget w", "ConfigMap two/a"}},
		{again, []string{"ConfigMap one/a", "Widget own/w"}},
	} {
		var got []string
		for _, o := range test.set.Objects {
			got = append(got, o.ID.String())
			sum := sha256.Sum256(o.JSON)
			if o.Hash != hex.EncodeToString(sum[:]) {
				t.Errorf("%s: the hash is not the JSON's", o.ID)
			}
			want := ""
			if o.ID.Namespace != "" {
				want = `"namespace":"` + o.ID.Namespace + `"`
			}
			if !strings.Contains(string(o.JSON), want) || want == "" && strings.Contains(string(o.JSON), `"namespace"`) {
				t.Errorf("%s: %s", o.ID, o.JSON)
			}
		}
		if strings.Join(got, ", ") != strings.Join(test.want, ", ") {
			t.Errorf("got %v, want %v", got, test.want)
		}
	}
	if one.Objects[0].Hash != again.Objects[0].Hash {
		t.Error("the same manifest for the same namespace has another hash")
	}
}

func TestUnknownKindOnCluster(t *testing.T) {
	tree := fstest.MapFS{
		"a.yaml": {Data: []byte("apiVersion: example.com/v1\nkind: Foo\nmetadata: {name: a}\n")},
		"b.yaml": {Data: []byte("apiVersion: batch/v1beta1\nkind: CronJob\nmetadata: {name: b}\n")},
	}
	set := load(t, tree, Target{Scope: func(schema.GroupVersionKind) (bool, bool) { return false, false }})
	for i, want := range []string{
		`no kind "Foo" in example.com/v1 on this cluster: install its CRD, put it in this tree, or correct apiVersion and kind`,
		"batch/v1beta1 CronJob is not served since Kubernetes 1.25: use apiVersion: batch/v1 and kind: CronJob",
	} {
		if set.Problems[i].Message != want || set.Problems[i].Reason != ReasonUnknown {
			t.Errorf("got %q, want %q", set.Problems[i].Message, want)
		}
	}
}

func TestLimits(t *testing.T) {
	two := fmt.Sprintf(configMap, "a") + "---\n" + fmt.Sprintf(configMap, "b")
	for _, test := range []struct {
		name    string
		options Options
		tree    map[string]string
		want    string
	}{
		{
			"file",
			Options{MaxFileBytes: 20},
			map[string]string{"a.yaml": two},
			"a.yaml: larger than 20 bytes: split it, or raise the limit",
		},
		{
			"tree",
			Options{MaxTreeBytes: 150},
			map[string]string{"a.yaml": two, "b.yaml": two},
			"b.yaml: the manifests up to this file are larger than 150 bytes together: " +
				"split the tree, list what is no manifest in .kilterignore, or raise the limit",
		},
		{
			"documents",
			Options{MaxDocuments: 1},
			map[string]string{"a.yaml": two},
			"a.yaml: the manifests up to this file hold more than 1 objects: " +
				"split the tree, list what is no manifest in .kilterignore, or raise the limit",
		},
		{
			"depth",
			Options{MaxDepth: 4},
			map[string]string{"a.yaml": fmt.Sprintf(configMap, "a") + "data:\n  a: [[[b]]]\n"},
			"a.yaml:6:8: ConfigMap default/a: data.a[0][0]: nested deeper than 4 levels",
		},
		{
			"lists",
			Options{MaxDepth: 1},
			map[string]string{"a.yaml": "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: List, items: []}\n"},
			"a.yaml:4:3: lists nested deeper than 1 levels",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			set := mustLoad(t, NewLoader(test.options), newHashedTree(test.tree), Target{})
			if len(set.Problems) != 1 || set.Problems[0].String() != test.want || set.Problems[0].Reason != ReasonLimit {
				t.Errorf("got %v, want %q", set.Problems, test.want)
			}
		})
	}
}

// brokenTree fails to open one file.
type brokenTree struct {
	fstest.MapFS
	name string
}

var errBroken = errors.New("broken")

func (t brokenTree) Open(name string) (fs.File, error) {
	if name == t.name {
		return nil, errBroken
	}
	return t.MapFS.Open(name)
}

func (t brokenTree) ReadDir(name string) ([]fs.DirEntry, error) {
	if name == t.name {
		return nil, errBroken
	}
	return t.MapFS.ReadDir(name)
}

func TestAnUnreadableTreeIsNoSet(t *testing.T) {
	files := fstest.MapFS{"a.yaml": {Data: []byte(fmt.Sprintf(configMap, "a"))}, "dir/b.yaml": {}, "dir/.kilterignore": {}}
	for _, name := range []string{"a.yaml", "dir", "dir/.kilterignore"} {
		set, err := NewLoader(Options{}).Load(t.Context(), brokenTree{files, name}, Target{})
		if !errors.Is(err, errBroken) || set != nil {
			t.Errorf("%s cannot be read: got %v, %v", name, set, err)
		}
	}
}

func TestFilesThatAreNoText(t *testing.T) {
	tree := fstest.MapFS{
		"link.yaml": {Mode: fs.ModeSymlink, Data: []byte("a.yaml")},
		"utf8.yaml": {Data: []byte("a: b\nc: \xff\n")},
	}
	set := load(t, tree, Target{})
	for i, want := range []string{
		"link.yaml: not a regular file: replace the link by the file it points to",
		"utf8.yaml:2:4: not UTF-8 text: save the file as UTF-8",
	} {
		if got := set.Problems[i].String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestLocate(t *testing.T) {
	list := "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: a}\n" +
		"- apiVersion: v1\n  kind: ConfigMap\n  metadata:\n    name: b\n    labels:\n      app.kubernetes.io/name: x\n      app: z\n"
	tree := fstest.MapFS{"a.yaml": {Data: []byte("# first\n---\n" + list)}}
	set := load(t, tree, Target{})
	b := set.Objects[1]
	for field, want := range map[string]string{
		"":         "a.yaml:9:3",
		"metadata": "a.yaml:11:3",
		"metadata.labels[app.kubernetes.io/name]": "a.yaml:14:7",
		"metadata.labels.app.kubernetes.io/name":  "a.yaml:14:7",
		"metadata.labels.app":                     "a.yaml:15:7",
		"metadata.labels[gone]":                   "a.yaml:13:5",
		"metadata.labels.appendix":                "a.yaml:13:5",
		"metadata.name[0].x":                      "a.yaml:12:5",
		"spec.containers[3]":                      "a.yaml:9:3",
	} {
		if got := Locate(tree, b.Origin, field).String(); got != want {
			t.Errorf("%q is at %s, want %s", field, got, want)
		}
	}
	if got := Locate(fstest.MapFS{}, b.Origin, "metadata"); got != b.Origin {
		t.Errorf("in a file that is gone: %s, want the origin", got)
	}
}

func mustLoad(t testing.TB, loader *Loader, tree fs.FS, target Target) *Set {
	t.Helper()
	set, err := loader.Load(t.Context(), tree, target)
	if err != nil {
		t.Fatal(err)
	}
	return set
}
