package verdict

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	smdschema "sigs.k8s.io/structured-merge-diff/v6/schema"

	"kilter.dev/kilter/internal/golden"
)

// TestMergedLists compares lists.txt with the schemas of the server's type converters.
func TestMergedLists(t *testing.T) {
	lines := map[string]bool{}
	for _, gvk := range Linked() {
		obj, err := kinds()[gvk].scheme.New(gvk)
		if err != nil {
			t.Fatal(err)
		}
		obj.GetObjectKind().SetGroupVersionKind(gvk)
		root, err := converterOf(gvk).ObjectToTyped(obj)
		if err != nil {
			t.Logf("%s: %v", gvk, err) // not in client-go
			continue
		}
		w := listWalk{schema: root.Schema(), met: map[reflect.Type]bool{}, lines: lines}
		w.visit(root.TypeRef(), reflect.TypeOf(obj))
	}
	golden.Check(t, "lists.txt", strings.Join(slices.Sorted(maps.Keys(lines)), "\n")+"\n")
}

// listWalk goes through a Go type and its schema side by side.
type listWalk struct {
	schema *smdschema.Schema
	met    map[reflect.Type]bool
	lines  map[string]bool
}

func (w *listWalk) visit(ref smdschema.TypeRef, t reflect.Type) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	atom, _ := w.schema.Resolve(ref)
	switch {
	case atom.Map != nil && t.Kind() == reflect.Struct && !w.met[t]:
		w.met[t] = true
		for name, f := range jsonFields(t) {
			if known, ok := atom.Map.FindField(name); ok {
				w.list(t, name, known.Type)
				w.visit(known.Type, f.Type)
			}
		}
	case atom.Map != nil && t.Kind() == reflect.Map:
		w.visit(atom.Map.ElementType, t.Elem())
	case atom.List != nil && t.Kind() == reflect.Slice:
		w.visit(atom.List.ElementType, t.Elem())
	}
}

func (w *listWalk) list(structure reflect.Type, name string, ref smdschema.TypeRef) {
	atom, _ := w.schema.Resolve(ref)
	if atom.List == nil || atom.List.ElementRelationship != smdschema.Associative {
		return
	}
	line := typeName(structure) + " " + name
	entry, _ := w.schema.Resolve(atom.List.ElementType)
	for _, key := range atom.List.Keys {
		line += " " + key
		if known, ok := entry.Map.FindField(key); ok && known.Default != nil && !reflect.ValueOf(known.Default).IsZero() {
			line += fmt.Sprintf("=%v", known.Default)
		}
	}
	w.lines[line] = true
}

// TestUnmergeable doubles the first entry of each list of each sample, and wants a cause exactly where the server's type
// converter, asked without any short cut, refuses the object.
func TestUnmergeable(t *testing.T) {
	refused, accepted := 0, 0
	for gvk, text := range samples(t) {
		var object unstructured.Unstructured
		if err := object.UnmarshalJSON(text); err != nil {
			t.Fatal(err)
		}
		if _, err := converterOf(gvk).ObjectToTyped(&object); err != nil {
			t.Logf("%s: %v", gvk, err) // not in client-go
			continue
		}
		for path, doubled := range doublings(object.Object) {
			_, err := converterOf(gvk).ObjectToTyped(&unstructured.Unstructured{Object: doubled})
			data := marshal(t, &unstructured.Unstructured{Object: doubled})
			v, _ := Create(gvk, "team-a", data)
			found := slices.ContainsFunc(v.Causes, func(c Cause) bool {
				return c.Apply || c.Reason == string(metav1.CauseTypeFieldValueDuplicate)
			})
			if err != nil {
				refused++
			} else {
				accepted++
			}
			if err != nil && !found || err == nil && slices.ContainsFunc(v.Causes, func(c Cause) bool { return c.Apply }) {
				t.Errorf("%s with %s doubled: the converter says %v, the verdict %q", gvk, path, err, lines(v))
			}
		}
	}
	if refused < 30 || accepted < 100 {
		t.Errorf("%d refused and %d accepted objects prove too little", refused, accepted)
	}
}

// TestUnmergeableNamesOnlyTheRepeated has one value twice, beside another, and different ones in a second list.
func TestUnmergeableNamesOnlyTheRepeated(t *testing.T) {
	const text = `{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"a","finalizers":["a.b/c","a.b/d","a.b/c"]},"spec":{` +
		`"accessModes":["ReadWriteOnce","ReadOnlyMany"],"resources":{"requests":{"storage":"1Gi"}}}}`
	v, _ := Create(kindOf(t, text), "", []byte(text))
	want := []string{"metadata.finalizers[2] FieldValueDuplicate: this value is also that of finalizers[0], " +
		"and server-side apply refuses two: remove one"}
	if got := lines(v); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// doublings returns copies of an object, in each of which one list has its first entry twice, by the list's path.
func doublings(object map[string]any) map[string]map[string]any {
	all := map[string]map[string]any{}
	var visit func(value any, path string, rebuild func(any) map[string]any)
	visit = func(value any, path string, rebuild func(any) map[string]any) {
		switch v := value.(type) {
		case map[string]any:
			for key, inner := range v {
				visit(inner, join(path, key), func(other any) map[string]any {
					changed := maps.Clone(v)
					changed[key] = other
					return rebuild(changed)
				})
			}
		case []any:
			for i, inner := range v {
				visit(inner, path+"[]", func(other any) map[string]any {
					changed := slices.Clone(v)
					changed[i] = other
					return rebuild(changed)
				})
			}
			if len(v) > 0 {
				all[path] = rebuild(append(slices.Clone(v), v[0]))
			}
		}
	}
	visit(object, "", func(whole any) map[string]any { return whole.(map[string]any) })
	return all
}
