package manifests

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"kilter.dev/kilter/manifests/verdict"
)

// TestLoaderForgetsNothingAndKeepsNothing walks one Loader through random trees: after each step it must say what a new one says.
func TestLoaderForgetsNothingAndKeepsNothing(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	tree := newHashedTree(map[string]string{"a.yaml": piece(random)})
	loader := NewLoader(Options{})
	for step := range 300 {
		file := fmt.Sprintf("%c.yaml", 'a'+random.IntN(5))
		switch random.IntN(4) {
		case 0:
			delete(tree.MapFS, file)
		case 1: // only another namespace
		default:
			var documents []string
			for range random.IntN(3) + 1 {
				documents = append(documents, piece(random))
			}
			tree.MapFS[file] = &fstest.MapFile{Data: []byte(strings.Join(documents, "---\n"))}
		}
		target := Target{DefaultNamespace: []string{"one", "two"}[random.IntN(2)]}
		got, want := describe(mustLoad(t, loader, tree, target)), describe(mustLoad(t, NewLoader(Options{}), tree, target))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("step %d: a new Loader and the old one differ (-new +old):\n%s", step, diff)
		}
	}
}

// piece returns one of a few manifests that depend on each other in every way.
func piece(random *rand.Rand) string {
	object := func(apiVersion, kind, more string) string {
		return fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata: {name: %s%s}\n%s\n", apiVersion, kind, string('a'+rune(random.IntN(2))),
			[]string{"", ", namespace: one", ", annotations: {config.kubernetes.io/depends-on: /namespaces/one/ConfigMap/a}"}[random.IntN(3)], more)
	}
	switch random.IntN(9) {
	case 0:
		return object("v1", "ConfigMap", "data: {k: v}")
	case 1:
		return object("v1", "ConfigMap", "data: {l: v}")
	case 2:
		return object("v1", "Secret", "")
	case 3, 4:
		return object("v1", "Pod", "spec: {serviceAccountName: b, containers: [{name: a, image: a, env: [{name: A, valueFrom: "+
			"{configMapKeyRef: {name: a, key: k}}}]}], volumes: [{name: s, secret: {secretName: a}}]}")
	case 5:
		return object("example.com/v1", "Widget", "spec: {size: 1, of: a}")
	case 6:
		return object("example.com/v1", "Widget", "spec: {size: text}")
	case 7:
		return widgetCRD("integer")
	}
	return widgetCRD("string")
}

func widgetCRD(size string) string {
	return `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
  versions:
    - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, properties:
        {spec: {type: object, properties: {size: {type: ` + size + `}, of: {type: string}}}}}}}
`
}

func widget(name, size string) string {
	return "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: " + name + "}\nspec: {size: " + size + "}\n"
}

// Compiling a schema costs much, and judging an object something: neither is done for what is remembered.
func TestCustomVerdictsAreRemembered(t *testing.T) {
	tree := newHashedTree(map[string]string{"crd.yaml": widgetCRD("integer"), "a.yaml": widget("a", "1"), "b.yaml": widget("b", "text")})
	loader := NewLoader(Options{})
	memory := &loader.memory.customs
	before := mustLoad(t, loader, tree, Target{})
	if len(memory.versions) != 1 || len(memory.verdicts) != 2 || len(before.Problems) != 1 {
		t.Fatalf("%d compiled, %d judged, problems %v", len(memory.versions), len(memory.verdicts), before.Problems)
	}

	clear(memory.versions) // what is compiled from here on is seen
	for key := range memory.verdicts {
		memory.verdicts[key] = verdict.Verdict{Causes: []verdict.Cause{{Field: "spec", Message: "remembered"}}}
	}
	after := mustLoad(t, loader, tree, Target{})
	if len(memory.versions) != 0 || len(after.Problems) != 2 || after.Problems[0].Message != "remembered" || after.Problems[1].Message != "remembered" {
		t.Errorf("an unchanged tree compiled %d schemas and says %v", len(memory.versions), after.Problems)
	}

	tree.MapFS["b.yaml"] = &fstest.MapFile{Data: []byte(widget("b", "3"))}
	after = mustLoad(t, loader, tree, Target{})
	if len(memory.versions) != 1 || len(memory.verdicts) != 2 || len(after.Problems) != 1 || after.Problems[0].Object.Name != "a" {
		t.Errorf("one changed object: %d compiled, %d verdicts, %v", len(memory.versions), len(memory.verdicts), after.Problems)
	}

	tree.MapFS["crd.yaml"] = &fstest.MapFile{Data: []byte(widgetCRD("string"))}
	after = mustLoad(t, loader, tree, Target{})
	if len(memory.versions) != 1 || len(memory.verdicts) != 2 || len(after.Problems) != 2 || after.Problems[0].Message == "remembered" {
		t.Errorf("a changed CRD: %d compiled, %d verdicts, %v", len(memory.versions), len(memory.verdicts), after.Problems)
	}

	delete(tree.MapFS, "crd.yaml")
	if after = mustLoad(t, loader, tree, Target{}); len(memory.versions) != 0 || len(memory.verdicts) != 0 || len(after.Problems) != 0 {
		t.Errorf("without the CRD: %d compiled, %d verdicts, %v", len(memory.versions), len(memory.verdicts), after.Problems)
	}
}

// A schema that no object needs is not compiled.
func TestSchemasAreCompiledWhenNeeded(t *testing.T) {
	loader := NewLoader(Options{})
	mustLoad(t, loader, newHashedTree(map[string]string{"crd.yaml": widgetCRD("integer")}), Target{})
	if n := len(loader.memory.customs.versions); n != 0 {
		t.Errorf("%d schemas compiled", n)
	}
}

// A load that is called off says so, and spoils nothing for the next one.
func TestLoadIsCalledOff(t *testing.T) {
	files := map[string]string{"crd.yaml": strings.Replace(widgetCRD("array, maxItems: 9, items: {type: string, maxLength: 9}"), "{type: object, properties: {size",
		"{type: object, x-kubernetes-validations: [{rule: 'self.size.all(a, a != \"q\")'}], properties: {size", 1)}
	for i := range 20 {
		files[fmt.Sprintf("%d.yaml", i)] = widget(fmt.Sprintf("w%d", i), "["+strings.Repeat("abcdef, ", 5)+"z]")
	}
	tree, loader := newHashedTree(files), NewLoader(Options{})
	ctx, cancel := context.WithCancel(t.Context())
	called := callOff{tree, cancel, "crd.yaml"}
	if set, err := loader.Load(ctx, called, Target{}); !errors.Is(err, context.Canceled) || set != nil {
		t.Errorf("got %v, %v", set, err)
	}
	got, want := describe(mustLoad(t, loader, tree, Target{})), describe(mustLoad(t, NewLoader(Options{}), tree, Target{}))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-new +called off before:\n%s", diff)
	}
}

// callOff cancels a context when the last file is read.
type callOff struct {
	hashedTree
	cancel context.CancelFunc
	last   string
}

func (t callOff) Hash(name string) (string, error) {
	if name == t.last {
		t.cancel()
	}
	return t.hashedTree.Hash(name)
}

// A hostile tree may hold circles through every object: what is said of them stays small, and is found in time.
func TestManyCircles(t *testing.T) {
	const n = 2000
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c%d\n  annotations: {config.kubernetes.io/depends-on: '"+
			"/namespaces/default/ConfigMap/c%d,/namespaces/default/ConfigMap/c%d'}\n---\n", i, (i+1)%n, (i+n-1)%n)
	}
	set := mustLoad(t, NewLoader(Options{}), newHashedTree(map[string]string{"a.yaml": b.String()}), Target{})
	size := 0
	for _, p := range set.Problems {
		size += len(p.Message)
	}
	if len(set.Problems) < maxCycles || len(set.Problems) > 3*maxCycles || size > 1<<20 {
		t.Errorf("%d problems of %d bytes", len(set.Problems), size)
	}

	ring := strings.ReplaceAll(b.String(), ",/namespaces", ",x/y/z,/namespaces")
	for i := range n { // one circle of all
		ring = strings.Replace(ring, fmt.Sprintf(",x/y/z,/namespaces/default/ConfigMap/c%d'", (i+n-1)%n), "'", 1)
	}
	set = mustLoad(t, NewLoader(Options{}), newHashedTree(map[string]string{"a.yaml": ring}), Target{})
	if len(set.Problems) != maxListed+1 || len(set.Problems[0].Message) > 2000 || !strings.Contains(set.Problems[0].Message, "more) -> ConfigMap default/c") {
		t.Errorf("%d problems, the first: %s", len(set.Problems), set.Problems[0])
	}
}

// A CRD and its wrong objects, many in one file, cost one more reading of the file, not one each.
func TestManyWrongObjects(t *testing.T) {
	const n = 2000
	files := map[string]string{"crd.yaml": widgetCRD("integer")}
	var b strings.Builder
	for i := range n {
		b.WriteString(widget(fmt.Sprintf("w%d", i), "text") + "---\n")
	}
	files["w.yaml"] = b.String()
	tree := newHashedTree(files)
	set := mustLoad(t, NewLoader(Options{}), tree, Target{})
	if len(set.Problems) != maxListed+1 || tree.opened["w.yaml"] != 2 {
		t.Fatalf("%d problems, the file opened %d times", len(set.Problems), tree.opened["w.yaml"])
	}
	if got := set.Problems[maxListed-1].Origin; got.Line != 5*maxListed-1 || got.Column != 8 {
		t.Errorf("the last that is listed is at %s", got)
	}
}
