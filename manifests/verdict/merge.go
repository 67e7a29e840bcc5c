package verdict

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/client/applyconfiguration"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/client-go/applyconfigurations"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	smdschema "sigs.k8s.io/structured-merge-diff/v6/schema"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

// Server-side apply merges lists by keys, and refuses a manifest in which two entries of such a list have the same key, with an
// error that a POST does not give: HTTP 500, no field, no reason. Whether it refuses is decided by the server's own type
// converter, with the schema that client-go holds. The converter is slow beside everything else here, so it is asked only when a
// walk over the Go value has seen two entries that could clash (shape).

// The server's converter, with the schema of every kind in k8s.io/api, and that of definitions.
var (
	converter = sync.OnceValue(func() managedfields.TypeConverter {
		return applyconfigurations.NewTypeConverter(clientgoscheme.Scheme)
	})
	definitionConverter = sync.OnceValue(func() managedfields.TypeConverter {
		return applyconfiguration.NewTypeConverter(builtin())
	})
)

func converterOf(gvk schema.GroupVersionKind) managedfields.TypeConverter {
	if gvk.Group == apiextensions.GroupName {
		return definitionConverter()
	}
	return converter()
}

// unmergeable returns what server-side apply refuses in an object as the author wrote it.
func unmergeable(gvk schema.GroupVersionKind, versioned runtime.Object) []Cause {
	if shape := shapeOf(reflect.TypeOf(versioned)); shape == nil || !shape.suspicious(reflect.ValueOf(versioned)) {
		return nil
	}
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(versioned)
	if err != nil {
		return nil // it came from JSON, so it is JSON
	}
	object := &unstructured.Unstructured{Object: fields}
	if _, err := converterOf(gvk).ObjectToTyped(object); err == nil {
		return nil
	}
	lenient, err := converterOf(gvk).ObjectToTyped(object, typed.AllowDuplicates)
	if err != nil { // something else than a duplicate: a key that is missing, which the rules refuse too
		return nil
	}
	d := duplicates{schema: lenient.Schema()}
	d.visit(lenient.TypeRef(), fields, "")
	return d.causes
}

// duplicates finds the list entries that the converter refused.
type duplicates struct {
	schema *smdschema.Schema
	causes []Cause
}

func (d *duplicates) visit(ref smdschema.TypeRef, value any, path string) {
	atom, ok := d.schema.Resolve(ref)
	if !ok {
		return
	}
	switch v := value.(type) {
	case map[string]any:
		if atom.Map == nil {
			return
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if field, ok := atom.Map.FindField(key); ok {
				d.visit(field.Type, v[key], join(path, key))
			} else {
				d.visit(atom.Map.ElementType, v[key], path+"["+key+"]")
			}
		}
	case []any:
		if atom.List == nil {
			return
		}
		d.entries(atom.List, v, path)
		for i, item := range v {
			d.visit(atom.List.ElementType, item, path+"["+strconv.Itoa(i)+"]")
		}
	}
}

// entries reports each entry of a list whose key an earlier one has.
func (d *duplicates) entries(list *smdschema.List, items []any, path string) {
	if list.ElementRelationship != smdschema.Associative {
		return
	}
	first := map[string]int{}
	for i, item := range items {
		key, shown := d.key(list, item)
		if before, ok := first[key]; ok {
			name := path[strings.LastIndexByte(path, '.')+1:]
			d.causes = append(d.causes, Cause{
				Field:   path + "[" + strconv.Itoa(i) + "]",
				Reason:  string(metav1.CauseTypeFieldValueDuplicate),
				Message: fmt.Sprintf("%s is also that of %s[%d], and server-side apply refuses two: remove one", shown, name, before),
				Apply:   true,
			})
		} else {
			first[key] = i
		}
	}
}

// key renders the key of a list entry, and how to show it. Keys are names, ports, paths and the like; an entry that is a value, and
// its own key, is not shown.
func (d *duplicates) key(list *smdschema.List, item any) (key, shown string) {
	fields, ok := item.(map[string]any)
	if !ok || len(list.Keys) == 0 {
		return fmt.Sprintf("%T %v", item, item), "this value"
	}
	atom, _ := d.schema.Resolve(list.ElementType)
	parts := make([]string, 0, len(list.Keys))
	for _, name := range list.Keys {
		value, given := fields[name]
		if field, ok := atom.Map.FindField(name); !given && ok {
			value = field.Default
		}
		parts = append(parts, fmt.Sprintf("%s %v", name, value))
	}
	key = strings.Join(parts, ", ")
	return key, key
}
