package manifests

import (
	"fmt"
	"net"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// watch puts a git in the PATH that leaves a trace, and listens where every URL of a test leads. It returns what tells how often one
// of the two was called.
func watch(t *testing.T) (address string, calls func() int) {
	t.Helper()
	dir := t.TempDir()
	trace := filepath.Join(dir, "called")
	script := "#!/bin/sh\necho \"$@\" >> " + trace + "\nexit 1\n"
	for _, program := range []string{"git", "helm", "docker"} {
		if err := os.WriteFile(filepath.Join(dir, program), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var accepted atomic.Int32
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			accepted.Add(1)
			_ = connection.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return listener.Addr().String(), func() int {
		traced, err := os.ReadFile(trace)
		if err != nil && !os.IsNotExist(err) {
			t.Error(err)
		}
		return int(accepted.Load()) + strings.Count(string(traced), "\n")
	}
}

// hostileEntries are ways to name something that is not in the tree; %s is an address at which somebody listens.
var hostileEntries = []string{
	"http://%s/a.yaml", "HTTP://%s/a.yaml", "https://%s/org/repo", "https://%s/org/repo?ref=main", "https://%s/org/repo.git//sub",
	"git@%s:org/repo", "git::http://%s/org/repo", "ssh://git@%s/org/repo", "file:///etc", "github.com/org/repo", "GitHub.com:org/repo",
	"git@github.com:org/repo.git", "a@b:c/d", "http:%s", "_git/x", "x.git", "//%s/x", "\\\\%s\\x", "/etc/passwd", "../../../etc/passwd",
	"./http://%s/a.yaml", "k=http://%s/a.yaml", "http://%s/a.yaml\n", " http://%s/a.yaml",
}

// hostileFields are the places where a kustomization can name something.
var hostileFields = []string{
	"resources: [%q]", "bases: [%q]", "components: [%q]", "configurations: [%q]", "crds: [%q]", "openapi: {path: %q}",
	"generators: [%q]", "transformers: [%q]", "validators: [%q]", "patches: [{path: %q}]", "patchesStrategicMerge: [%q]",
	"patchesJson6902: [{path: %q, target: {version: v1, kind: ConfigMap, name: a}}]", "replacements: [{path: %q}]",
	"configMapGenerator: [{name: a, files: [%q]}]", "configMapGenerator: [{name: a, envs: [%q]}]", "secretGenerator: [{name: a, env: %q}]",
	"helmCharts: [{name: a, repo: %q}]", "Resources: [%q]", "rEsources: [%q]",
	"transformers: ['{apiVersion: builtin, kind: PatchTransformer, metadata: {name: a}, path: %q}']",
	"transformers: ['{apiVersion: builtin, kind: PatchTransformer, metadata: {name: a}, path: x, PATH: %q}']",
	"generators: ['{apiVersion: builtin, kind: ConfigMapGenerator, metadata: {name: a}, name: a, files: [%q]}']",
	"generators: ['{apiVersion: builtin, kind: HelmChartInflationGenerator, metadata: {name: a}, name: a, repo: %q}']",
	"generators: ['{apiVersion: v1, kind: Exec, metadata: {name: a}, x: %q}']",
	"transformers: ['{apiVersion: v1, kind: F, metadata: {name: a, annotations: {config.kubernetes.io/function: \"container: {image: a}\"}}, x: %q}']",
}

// TestNothingIsFetchedAndNothingIsRun loads every hostile entry in every field.
func TestNothingIsFetchedAndNothingIsRun(t *testing.T) {
	address, calls := watch(t)
	for _, field := range hostileFields {
		for _, entry := range hostileEntries {
			entry = strings.ReplaceAll(entry, "%s", address)
			text := "namePrefix: x-\n" + fmt.Sprintf(field, entry) + "\n"
			set := load(t, fstest.MapFS{"a/kustomization.yaml": {Data: []byte(text)}}, Target{})
			if !set.Rejected() {
				t.Errorf("accepted: %s", text)
			}
		}
	}
	if n := calls(); n > 0 {
		t.Fatalf("%d programs or connections were started", n)
	}
	// Kustomize itself does both with the same entries, or this test shows nothing.
	for i, entry := range []string{"git@" + address + ":org/repo", "http://" + address + "/a.yaml"} {
		memory := filesys.MakeFsInMemory()
		if err := memory.WriteFile("/a/kustomization.yaml", fmt.Appendf(nil, "resources: [%q]\n", entry)); err != nil {
			t.Fatal(err)
		}
		before := calls()
		if _, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(memory, "/a"); err == nil || calls() == before {
			t.Errorf("control %d: %v, with %d calls: nobody would notice", i, err, calls()-before)
		}
	}
}

// TestTheBuildIsKustomizes builds the same trees with kustomize as it is, and compares the objects.
func TestTheBuildIsKustomizes(t *testing.T) {
	archives, err := filepath.Glob("testdata/kustomize-*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, name := range archives {
		archive, tree := open(t, name)
		for file := range tree {
			dir := path.Dir(file)
			if path.Base(file) != "kustomization.yaml" {
				continue
			}
			set := load(t, tree, Target{Paths: []string{dir}})
			if set.Rejected() || len(set.Objects) == 0 {
				continue
			}
			compared++
			if diff := cmp.Diff(plainBuild(t, archive, dir), objectTexts(set)); diff != "" {
				t.Errorf("%s, %s: -kustomize +here:\n%s", name, dir, diff)
			}
		}
	}
	if compared < 10 {
		t.Errorf("only %d builds were compared", compared)
	}
}

// plainBuild builds a directory of an archive with kustomize, and decodes what it prints.
func plainBuild(t *testing.T, archive *txtar.Archive, dir string) []string {
	t.Helper()
	root := t.TempDir()
	for _, file := range archive.Files {
		name := filepath.Join(root, filepath.FromSlash(file.Name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, file.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(root, dir))
	if err != nil {
		t.Fatal(err)
	}
	var text []byte
	for _, resource := range built.Resources() {
		object, err := resource.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, object...)
	}
	return objectTexts(load(t, fstest.MapFS{"built.json": {Data: text}}, Target{}))
}

func objectTexts(set *Set) []string {
	var texts []string
	for _, o := range set.Objects {
		texts = append(texts, string(o.JSON))
	}
	slices.Sort(texts)
	return texts
}

// TestNothingIsPrinted builds what kustomize prints notices for.
func TestNothingIsPrinted(t *testing.T) {
	_, tree := open(t, "testdata/kustomize-deprecated.txtar")
	captured, err := os.CreateTemp(t.TempDir(), "stderr")
	if err != nil {
		t.Fatal(err)
	}
	stderr := os.Stderr
	os.Stderr = captured
	t.Cleanup(func() { os.Stderr = stderr })
	if set := load(t, tree, Target{}); set.Rejected() {
		t.Error(set.Problems)
	}
	if os.Stderr != captured {
		t.Error("os.Stderr was not put back")
	}
	if info, err := captured.Stat(); err != nil || info.Size() > 0 {
		t.Errorf("%d bytes were printed, %v", info.Size(), err)
	}
}

// TestHostileKustomizations builds small trees that are made to be expensive. Each must be refused, or be done in bounded time.
func TestHostileKustomizations(t *testing.T) {
	const bound = 60 * time.Second
	cm := fmt.Sprintf(configMap, "a") + "data: {a: b}\n"
	big := fmt.Sprintf(configMap, "a") + "data: {a: " + strings.Repeat("x", 500_000) + "}\n"
	bomb := "namePrefix: x-\ncommonAnnotations:\n  a: &a x\n"
	double := func(replacement string) string {
		return "resources: [cm.yaml]\nreplacements:\n" + strings.Repeat(replacement, 40)
	}
	levels := fstest.MapFS{"0/kustomization.yaml": {Data: []byte("resources: [cm.yaml]")}, "0/cm.yaml": {Data: []byte(cm)}}
	for i := 1; i < 40; i++ {
		levels[fmt.Sprintf("%d/kustomization.yaml", i)] = &fstest.MapFile{Data: fmt.Appendf(nil, "resources: [../l%d, ../r%d]", i, i)}
		for _, side := range []string{"l", "r"} {
			levels[fmt.Sprintf("%s%d/kustomization.yaml", side, i)] = &fstest.MapFile{
				Data: fmt.Appendf(nil, "resources: [../%d]\nnamePrefix: %s", i-1, side),
			}
		}
	}
	many := func(n int) string { return numbered(fmt.Sprintf(configMap, "c%d")+"---\n", n) }
	containers := func(format string) string {
		return "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec:\n  template:\n    spec:\n      containers:\n" +
			numbered("      "+format, 3000)
	}
	pod := containers("- {name: c%d, image: i}\n")
	for name, c := range map[string]struct {
		tree    fstest.MapFS
		refused string // part of a problem; empty when it is to be built
	}{
		"bases used twice at each level": {levels, "counted as often"},
		"an alias bomb":                  {kustomized(bomb, cm), "anchors"},
		"copies": {kustomized("resources: [cm.yaml]\npatches:\n- target: {kind: ConfigMap}\n  patch: |\n"+
			strings.Repeat("    - {op: copy, from: /data, path: /data/x}\n", 40), cm), "bytes together"},
		"replacements of a mapping by itself": {kustomized(double("- source: {kind: ConfigMap, name: a, fieldPath: data}\n"+
			"  targets: [{select: {kind: ConfigMap}, fieldPaths: [data.x], options: {create: true}}]\n"), cm), "bytes together"},
		"replacements that append": {kustomized(double("- source: {kind: ConfigMap, name: a, fieldPath: data.a}\n"+
			"  targets: [{select: {kind: ConfigMap}, fieldPaths: [data.a], options: {delimiter: '-', index: 9999999}}]\n"), cm), "bytes together"},
		"a large value in many places": {kustomized("resources: [cm.yaml, many.yaml]\nreplacements:\n"+
			"- source: {kind: ConfigMap, name: a, fieldPath: data.a}\n"+
			"  targets: [{select: {kind: ConfigMap}, fieldPaths: [data.x], options: {create: true}}]\n", big,
			"a/many.yaml", many(300)), "bytes together"},
		"vars": {kustomized("resources: [cm.yaml, pod.yaml]\nvars: [{name: A, objref: {apiVersion: v1, kind: ConfigMap, name: a}, "+
			"fieldref: {fieldpath: data.a}}]\n", big, "a/pod.yaml",
			fmt.Sprintf(configMap, "v")+"data: {v: '"+strings.Repeat("$(A)", 100_000)+"'}\n"), "bytes together"},
		"a patch for everything": {kustomized("resources: [many.yaml]\npatches: [{path: cm.yaml, target: {kind: ConfigMap}}]\n", big,
			"a/many.yaml", many(300)), "bytes together"},
		"too many objects":        {kustomized("resources: [cm.yaml]\n", many(3000)), "more than 2000 objects"},
		"lists merged with lists": {kustomized("resources: [cm.yaml]\npatches: [{path: patch.yaml}]\n", pod, "a/patch.yaml", pod), "too much work"},
		"references to each of many": {kustomized("resources: [cm.yaml, many.yaml]\nnamePrefix: x-\n",
			containers("- {name: c%[1]d, envFrom: [{configMapRef: {name: c%[1]d}}, {secretRef: {name: c%[1]d}}]}\n"), "a/many.yaml", many(1500)), "refer to others"},
		"many images": {
			kustomized("resources: [cm.yaml]\nimages:\n"+numbered("- {name: i%d, newTag: a}\n", 5000), many(1500)),
			"too much work",
		},
		"JSON patch tests": {kustomized("resources: [cm.yaml]\npatches: [{path: p.yaml, target: {kind: Deployment}}]\n", pod, "a/p.yaml",
			strings.Repeat("- {op: test, path: /spec/template/spec/containers/0/name, value: c0}\n", 10_000)), ""},
		"places to look for": {kustomized("resources: [cm.yaml]\nconfigurations: [conf.yaml]\n", many(1500), "a/conf.yaml",
			"namePrefix:\n"+strings.Repeat("- {path: a/b/c/d/e/f}\n", 20_000)), "too much work"},
		"deep nesting": {kustomized("resources: [cm.yaml]\n", fmt.Sprintf(configMap, "a")+"data: "+strings.Repeat("[", 100_000)), "a/cm.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			set := load(t, c.tree, Target{})
			took := time.Since(start)
			if took > bound {
				t.Errorf("took %s", took)
			}
			t.Log(took)
			if c.refused != "" && !slices.ContainsFunc(set.Problems, func(p Problem) bool { return strings.Contains(p.String(), c.refused) }) {
				t.Errorf("not refused with %q: %.300v", c.refused, set.Problems)
			}
		})
	}
}

// kustomized is a tree of one kustomization with a file cm.yaml and others, given as name and content in turn.
func kustomized(kustomization, cm string, more ...string) fstest.MapFS {
	tree := fstest.MapFS{"a/kustomization.yaml": {Data: []byte(kustomization)}, "a/cm.yaml": {Data: []byte(cm)}}
	for i := 0; i < len(more); i += 2 {
		tree[more[i]] = &fstest.MapFile{Data: []byte(more[i+1])}
	}
	return tree
}

// FuzzKustomization builds arbitrary kustomizations of arbitrary files: it must not panic, and every place must be in its file. The seeds
// are the kustomizations of testdata.
func FuzzKustomization(f *testing.F) {
	patch := []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {b: c}\n")
	for _, name := range archives(f) {
		_, tree := open(f, name)
		for file := range tree {
			if path.Base(file) == "kustomization.yaml" {
				f.Add(tree[file].Data, fmt.Appendf(nil, configMap, "a"), patch)
			}
		}
	}
	f.Fuzz(func(t *testing.T, kustomization, resource, patch []byte) {
		tree := fstest.MapFS{
			"a/kustomization.yaml": {Data: kustomization}, "a/cm.yaml": {Data: resource}, "a/patch.yaml": {Data: patch},
			"base/kustomization.yaml": {Data: []byte("resources: [cm.yaml]\n")}, "base/cm.yaml": {Data: resource},
		}
		for _, p := range load(t, tree, Target{}).Problems {
			if at, ok := tree[p.Origin.File]; ok && p.Origin.Line > strings.Count(string(at.Data), "\n")+1 {
				t.Errorf("%s is beyond the file's end", p)
			}
		}
	})
}
