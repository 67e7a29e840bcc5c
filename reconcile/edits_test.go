package reconcile

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing/fstest"
)

// gitTree is a tree that knows the hashes of its files, and of its directories, as one of Git does: a directory's changes exactly when
// anything below it does. Like that, it lists a directory without looking at any other.
type gitTree struct {
	fstest.MapFS
	directories map[string]*directory
}

// directory is one of a gitTree: its entries by name, each with its hash.
type directory struct {
	entries map[string]entry
	hash    string
}

type entry struct {
	fs.DirEntry
	hash string
}

func newGitTree(files map[string]string) gitTree {
	t := gitTree{fstest.MapFS{}, map[string]*directory{".": {entries: map[string]entry{}}}}
	for name, text := range files {
		t.put(name, text)
	}
	return t
}

// put writes a file, and hashes it and every directory above it anew.
func (t gitTree) put(name, text string) {
	t.MapFS[name] = &fstest.MapFile{Data: []byte(text)}
	for hash := hashed(text); name != "."; name = path.Dir(name) {
		above := t.directories[path.Dir(name)]
		if above == nil {
			above = &directory{entries: map[string]entry{}}
			t.directories[path.Dir(name)] = above
		}
		known := above.entries[path.Base(name)]
		if known.DirEntry == nil {
			known.DirEntry = dirEntry(path.Base(name), t.directories[name] != nil)
		}
		known.hash = hash
		above.entries[path.Base(name)] = known
		all := sha256.New()
		for _, each := range slices.Sorted(maps.Keys(above.entries)) {
			fmt.Fprintf(all, "%s %s\n", each, above.entries[each].hash)
		}
		above.hash = hex.EncodeToString(all.Sum(nil))
		hash = above.hash
	}
}

func dirEntry(name string, directory bool) fs.DirEntry {
	mode := fs.FileMode(0o644)
	if directory {
		mode = fs.ModeDir
	}
	tree := fstest.MapFS{name: {Mode: mode}}
	entries, err := tree.ReadDir(".")
	if err != nil {
		panic(err)
	}
	return entries[0]
}

func hashed(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func (t gitTree) Hash(name string) (string, error) {
	if above := t.directories[path.Dir(name)]; above != nil && above.entries[path.Base(name)].hash != "" {
		return above.entries[path.Base(name)].hash, nil
	}
	return "", &fs.PathError{Op: "hash", Path: name, Err: fs.ErrNotExist}
}

func (t gitTree) HashDir(name string) (string, bool) {
	if d := t.directories[name]; d != nil {
		return d.hash, true
	}
	return "", false
}

func (t gitTree) ReadDir(name string) ([]fs.DirEntry, error) {
	d := t.directories[name]
	if d == nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrNotExist}
	}
	entries := make([]fs.DirEntry, 0, len(d.entries))
	for _, each := range slices.Sorted(maps.Keys(d.entries)) {
		entries = append(entries, d.entries[each].DirEntry)
	}
	return entries, nil
}

// Stat looks at no other directory.
func (t gitTree) Stat(name string) (fs.FileInfo, error) {
	if t.directories[name] != nil {
		return fstest.MapFS{path.Join(name, "x"): {}}.Stat(name)
	}
	return t.MapFS.Stat(name)
}

// edited is a repository under random edits. Its manifests meet each other in every way that crosses files: by name, as duplicates, by
// references, dependencies, custom resources, and in kustomizations.
type edited struct {
	random *rand.Rand
	files  map[string]string // documents of a manifest are parted by "---\n"
	past   []map[string]string
	done   []string // the edits, in words
}

const root = "prod" // the path that is followed; a kustomization may reach beside it

var directories = []string{root, root + "/a", root + "/a/deep", root + "/b", "base"}

func newEdited(random *rand.Rand) *edited {
	e := &edited{random: random, files: map[string]string{"base/kustomization.yaml": "resources: [one.yaml]\n", "base/one.yaml": ""}}
	e.files["base/one.yaml"] = e.document()
	e.files[root+"/crd.yaml"] = e.definition()
	for range 5 {
		e.files[e.fresh()] = e.documents()
	}
	return e
}

// of returns one of several, at random.
func of[T any](random *rand.Rand, all ...T) T { return all[random.IntN(len(all))] }

func (e *edited) fresh() string {
	return fmt.Sprintf("%s/%c.yaml", of(e.random, directories...), 'a'+rune(e.random.IntN(6)))
}

// some returns a manifest's name; there is always one.
func (e *edited) some() string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(e.files)) {
		if strings.HasSuffix(name, ".yaml") && path.Base(name) != "kustomization.yaml" {
			names = append(names, name)
		}
	}
	return of(e.random, names...)
}

func (e *edited) documents() string {
	all := make([]string, 1+e.random.IntN(3))
	for i := range all {
		all[i] = e.document()
	}
	return strings.Join(all, "---\n")
}

// document is one manifest. Names are few, so that objects meet.
func (e *edited) document() string {
	r := e.random
	name, other := of(r, "v", "w", "x", "y"), of(r, "v", "w", "x", "y", "z")
	annotations := of(r, "", "", "", "config.kubernetes.io/local-config: 'true'", "kilter.dev/run: on-commit", "kilter.dev/rerun-on: config",
		"config.kubernetes.io/depends-on: /namespaces/one/ConfigMap/"+other,
		"config.kubernetes.io/depends-on: batch/namespaces/one/Job/"+other,
		"config.kubernetes.io/depends-on: 'example.com/namespaces/two/Widget/"+other+",/namespaces/two/Secret/"+other+"'")
	metadata := fmt.Sprintf("{name: %s%s, annotations: {%s}}", name, of(r, "", "", ", namespace: one", ", namespace: two"), annotations)
	if r.IntN(20) == 0 { // what is wrong in a file of its own accord
		return of(r, "kind: [", "a: b\n", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: Not_A_Name}\n",
			"apiVersion: v1\nkind: ConfigMap\nmetadata: "+metadata+"\ndata: {k: 1}\ndta: {}\n", "apiVersion: v1\nkind: Nothing\nmetadata: {name: x}\n")
	}
	object := func(apiVersion, kind, more string) string {
		return "apiVersion: " + apiVersion + "\nkind: " + kind + "\nmetadata: " + metadata + "\n" + more + "\n"
	}
	pod := "{restartPolicy: " + of(r, "Never", "Never", "Never", "Never", "Always") + ", serviceAccountName: " + other + ", containers: [{name: a, image: 'a:" + name +
		"', env: [{name: A, valueFrom: {configMapKeyRef: {name: " + other + ", key: " + of(r, "k", "l") + "}}}]}], volumes: [{name: s, secret: {secretName: " + other + "}}]}"
	labels := "{labels: {app: " + other + "}}"
	switch r.IntN(13) {
	case 0, 1:
		return object("v1", "ConfigMap", "data: {"+of(r, "k: v", "k: w", "l: v")+"}")
	case 2:
		return object("v1", "Secret", "stringData: {k: v}")
	case 3:
		return object("v1", "ServiceAccount", "")
	case 4:
		return "apiVersion: v1\nkind: Namespace\nmetadata: {name: " + of(r, "one", "two") + "}\n"
	case 5:
		return object("batch/v1", "Job", "spec: {template: {spec: "+pod+"}}")
	case 6:
		return object("apps/v1", "Deployment", "spec: {replicas: "+of(r, "1", "2")+", selector: {matchLabels: {app: "+of(r, other, name)+"}}, template: {metadata: "+
			labels+", spec: "+strings.Replace(pod, "restartPolicy: Never, ", "", 1)+"}}")
	case 7:
		return object("v1", "Service", "spec: {selector: {app: "+other+"}, ports: [{port: 80}]}")
	case 8:
		return object("autoscaling/v2", "HorizontalPodAutoscaler",
			"spec: {maxReplicas: 3, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: "+other+"}}")
	case 9, 10:
		return object(of(r, "example.com/v1", "example.com/v1", "example.com/v1", "example.com/v2"), "Widget", "spec: {size: "+of(r, "1", "text")+", of: "+other+"}")
	case 11:
		return "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: " + metadata + "}\n" +
			"- {apiVersion: served.example.com/v1beta, kind: Gadget, metadata: {name: " + other + "}, spec: {uses: " + name + "}}\n"
	}
	return e.definition()
}

// definition is the CRD of Widgets, as this commit has it.
func (e *edited) definition() string {
	r := e.random
	version := func(name string, storage bool) string {
		rules := of(r, "", "", "", "", "", ", x-kubernetes-validations: [{rule: 'self.of != \"z\"', message: no z}]")
		return fmt.Sprintf("    - {name: %s, served: %s, storage: %t, schema: {openAPIV3Schema: {type: object, properties:\n"+
			"        {spec: {type: object, properties: {size: {type: %s}, of: {type: string}}%s}}}}}\n",
			name, of(r, "true", "true", "true", "false"), storage, of(r, "integer", "string"), rules)
	}
	return "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: widgets.example.com}\nspec:\n" +
		"  group: example.com\n  scope: " + of(r, "Namespaced", "Namespaced", "Cluster") +
		"\n  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}\n  versions:\n" + version("v1", true) + of(r, "", version("v2", false))
}

// kustomization is one for a directory, of some of what is there now, or was, and perhaps of the base beside the path.
func (e *edited) kustomization(dir string) string {
	var resources []string
	for _, name := range slices.Sorted(maps.Keys(e.files)) {
		below, inside := strings.CutPrefix(name, dir+"/")
		switch {
		case !inside || !strings.HasSuffix(name, ".yaml") || e.random.IntN(3) == 0:
		case path.Base(name) == "kustomization.yaml" && path.Dir(below) != ".":
			resources = append(resources, path.Dir(below))
		case path.Base(name) != "kustomization.yaml":
			resources = append(resources, below)
		}
	}
	if dir != "base" && e.random.IntN(3) == 0 {
		resources = append(resources, strings.Repeat("../", strings.Count(dir, "/")+1)+"base")
	}
	return "resources: [" + strings.Join(resources, ", ") + "]\n" + of(e.random, "", "namePrefix: p-\n", "namespace: two\n",
		"configMapGenerator: [{name: x, literals: [k=v]}]\n", "labels: [{pairs: {app: x}, includeSelectors: true}]\n",
		"patches: [{target: {kind: ConfigMap}, patch: '[{op: add, path: /data/k, value: patched}]'}]\n", "nonsense: [\n")
}

// edit makes one edit.
func (e *edited) edit() {
	r := e.random
	name := e.some()
	e.past = append(e.past, maps.Clone(e.files))
	say := func(format string, args ...any) { e.done = append(e.done, fmt.Sprintf(format, args...)) }
	documents := strings.Split(e.files[name], "---\n")
	i := r.IntN(len(documents))
	switch r.IntN(16) {
	case 0:
		name = e.fresh()
		e.files[name] = e.documents()
		say("write %s", name)
	case 1, 2, 3:
		documents[i] = e.document()
		e.files[name] = strings.Join(documents, "---\n")
		say("change document %d of %s", i, name)
	case 4:
		e.remove(name)
		say("remove %s", name)
	case 5:
		to := e.fresh()
		e.files[to] = e.files[name]
		if to != name {
			e.remove(name)
		}
		say("rename %s to %s", name, to)
	case 6, 7:
		to := e.some()
		if to != name {
			e.files[to] += "---\n" + documents[i]
			e.files[name] = strings.Join(slices.Delete(documents, i, i+1), "---\n")
		}
		say("move document %d of %s to %s", i, name, to)
	case 8:
		to := e.some()
		e.files[to] = documents[i] + "---\n" + e.files[to]
		say("copy document %d of %s to %s", i, name, to)
	case 9, 10:
		dir := of(r, directories...)
		e.files[dir+"/kustomization.yaml"] = e.kustomization(dir)
		say("kustomize %s", dir)
	case 11:
		dir := of(r, directories[:4]...)
		delete(e.files, dir+"/kustomization.yaml")
		say("remove the kustomization of %s", dir)
	case 12:
		dir := of(r, directories...)
		e.files[dir+"/.kilterignore"] = of(r, "", "a.yaml\n", "deep\n", "*.yaml\n!b.yaml\n", "/c.yaml\n")
		say("ignore in %s", dir)
	case 13:
		e.files[root+"/crd.yaml"] = e.definition()
		say("define Widgets")
	case 14:
		from, to := of(r, directories[1:4]...), of(r, directories[1:]...)
		e.move(from, to)
		say("move directory %s to %s", from, to)
	default:
		e.files = maps.Clone(of(r, e.past...))
		say("revert")
	}
}

// remove removes a file, unless it is the last manifest.
func (e *edited) remove(name string) {
	kept := e.files[name]
	delete(e.files, name)
	if !slices.ContainsFunc(slices.Collect(maps.Keys(e.files)), func(n string) bool {
		return strings.HasSuffix(n, ".yaml") && path.Base(n) != "kustomization.yaml" && strings.HasPrefix(n, root+"/")
	}) {
		e.files[name] = kept
	}
}

func (e *edited) move(from, to string) {
	if to == from || strings.HasPrefix(to, from+"/") || strings.HasPrefix(from, to+"/") {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(e.files)) {
		if below, inside := strings.CutPrefix(name, from+"/"); inside {
			e.files[to+"/"+below] = e.files[name]
			delete(e.files, name)
		}
	}
	if _, err := fs.Stat(newGitTree(e.files), root); err != nil { // the path has to be there
		e.files = maps.Clone(e.past[len(e.past)-1])
	}
}
