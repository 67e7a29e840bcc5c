package verdict

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	kjson "sigs.k8s.io/json"
)

// mismatches explains a fatal decoding error. The decoder stops at the first value of a wrong type and names a Go type; authors
// want every one, with its path. So the value is walked beside the type, only after the decoder has decided that it is wrong.
// The decoder's own words are not used: they may hold values.
func mismatches(t reflect.Type, text []byte) []Cause {
	var value any
	if err := kjson.UnmarshalCaseSensitivePreserveInts(text, &value); err != nil {
		return refusal("", metav1.CauseTypeTypeInvalid, err).Causes
	}
	var w walk
	w.visit(t, value, "")
	if len(w.causes) == 0 {
		w.hidden(text)
	}
	if len(w.causes) == 0 {
		w.add("", "cannot be read as "+t.Name())
	}
	return w.causes
}

// hidden names the fields that are given twice: a value that does not fit can only be one that a later one of the same name hides.
func (w *walk) hidden(text []byte) {
	var value any
	twice, _ := kjson.UnmarshalStrict(text, &value) // it is JSON: the caller has read it
	for _, err := range twice {
		if field, ok := errors.AsType[kjson.FieldError](err); ok && len(w.causes) < maxCauses {
			w.add(field.FieldPath(), "the field is given twice, and not every value fits: remove one")
		}
	}
}

// maxCauses bounds what one manifest can say, as the server's decoder bounds its strict errors.
const maxCauses = 100

// walk collects the values that do not fit their types.
type walk struct{ causes []Cause }

func (w *walk) add(path, message string) {
	w.causes = append(w.causes, Cause{Field: path, Reason: string(metav1.CauseTypeTypeInvalid), Message: message})
}

// visit compares one value with its type. Null fits every type: the decoder leaves the field alone.
func (w *walk) visit(t reflect.Type, value any, path string) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if value == nil || len(w.causes) >= maxCauses {
		return
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
		w.custom(t, value, path)
		return
	}
	switch t.Kind() {
	case reflect.Struct:
		w.object(t, value, path)
	case reflect.Map:
		members, ok := value.(map[string]any)
		if !ok {
			w.add(path, "must be a mapping, "+found(value))
			return
		}
		for _, key := range slices.Sorted(maps.Keys(members)) {
			w.visit(t.Elem(), members[key], path+"["+key+"]")
		}
	case reflect.Slice:
		w.list(t, value, path)
	default:
		w.scalar(t, value, path)
	}
}

func (w *walk) object(t reflect.Type, value any, path string) {
	members, ok := value.(map[string]any)
	if !ok {
		w.add(path, "must be a mapping, "+found(value))
		return
	}
	fields := fieldsOf(t)
	for _, key := range slices.Sorted(maps.Keys(members)) {
		if field, ok := fields[key]; ok {
			w.visit(field, members[key], join(path, key))
		}
	}
}

func (w *walk) list(t reflect.Type, value any, path string) {
	if t.Elem().Kind() == reflect.Uint8 {
		w.bytes(t, value, path)
		return
	}
	items, ok := value.([]any)
	if !ok {
		w.add(path, "must be a list, "+found(value))
		return
	}
	for i, item := range items {
		w.visit(t.Elem(), item, path+"["+strconv.Itoa(i)+"]")
	}
}

func (w *walk) bytes(t reflect.Type, value any, path string) {
	if _, ok := value.(string); !ok {
		w.add(path, "must be a string in base64, "+found(value))
	} else if !fits(t, value) {
		w.add(path, "must be base64: encode it, or use stringData for plain text in a Secret")
	}
}

func (w *walk) scalar(t reflect.Type, value any, path string) {
	if fits(t, value) {
		return
	}
	switch t.Kind() {
	case reflect.String:
		w.add(path, "must be a string, "+found(value)+quoteIt(value))
	case reflect.Bool:
		w.add(path, "must be true or false, "+found(value)+unquoteIt(value, func(s string) bool { return s == "true" || s == "false" }))
	case reflect.Int32, reflect.Int64, reflect.Int, reflect.Int16, reflect.Int8, reflect.Uint32, reflect.Uint64:
		if _, ok := value.(float64); ok {
			w.add(path, fmt.Sprintf("must be an integer, found %v", value))
		} else if _, ok := value.(int64); ok {
			w.add(path, fmt.Sprintf("must be an integer of %d bits, found %v", t.Bits(), value))
		} else {
			w.add(path, "must be an integer, "+found(value)+unquoteIt(value, isInteger))
		}
	default:
		w.add(path, "must be a number, "+found(value)+unquoteIt(value, isInteger))
	}
}

// custom visits a type that decodes itself.
func (w *walk) custom(t reflect.Type, value any, path string) {
	if fits(t, value) {
		return
	}
	// A CustomResourceDefinition has places for a schema or for something else, which decode themselves.
	if schema, ok := t.FieldByName("Schema"); ok {
		if members, ok := value.(map[string]any); ok {
			w.visit(schema.Type, members, path)
			return
		}
	}
	switch t {
	case reflect.TypeFor[intstr.IntOrString]():
		w.add(path, "must be an integer or a string, "+found(value))
	case reflect.TypeFor[resource.Quantity]():
		w.add(path, `must be a quantity such as 500m, 2 or "1Gi"`+butFound(value))
	case reflect.TypeFor[metav1.Time](), reflect.TypeFor[metav1.MicroTime]():
		w.add(path, `must be a time such as "2026-01-31T08:00:00Z"`+butFound(value))
	case reflect.TypeFor[metav1.Duration]():
		w.add(path, `must be a duration such as "1m30s"`+butFound(value))
	default:
		w.add(path, "has the wrong shape"+butFound(value))
	}
}

// fits lets the decoder itself say whether a value is of a type.
func fits(t reflect.Type, value any) bool {
	text, err := json.Marshal(value)
	return err == nil && kjson.UnmarshalCaseSensitivePreserveInts(text, reflect.New(t).Interface()) == nil
}

// fieldsOf returns the types of a struct's JSON fields, those of embedded structs included.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case name == "-":
		case name == "" && field.Anonymous:
			embedded := field.Type
			if embedded.Kind() == reflect.Pointer {
				embedded = embedded.Elem()
			}
			maps.Copy(fields, fieldsOf(embedded))
		case name != "":
			fields[name] = field.Type
		}
	}
	return fields
}

// found names what stands where something else was wanted, without its value.
func found(value any) string {
	switch v := value.(type) {
	case bool:
		return fmt.Sprintf("found the boolean %v", v)
	case int64, float64:
		return "found a number"
	case string:
		return "found a string"
	case []any:
		return "found a list"
	}
	return "found a mapping"
}

// butFound is found for values of the right JSON type and the wrong form, which need no further word.
func butFound(value any) string {
	if _, ok := value.(string); ok {
		return ""
	}
	return ", " + found(value)
}

// quoteIt is the way out where YAML read an unquoted word as something other than a string.
func quoteIt(value any) string {
	switch value.(type) {
	case bool:
		return ": quote it (unquoted y, n, yes, no, on, off, true and false are booleans)"
	case int64, float64:
		return ": quote it"
	}
	return ""
}

// unquoteIt is the way out where a number or boolean stands in quotes.
func unquoteIt(value any, plain func(string) bool) string {
	if s, ok := value.(string); ok && plain(s) {
		return ": remove the quotes"
	}
	return ""
}

func isInteger(s string) bool {
	_, err := strconv.ParseInt(s, 10, 64)
	return err == nil
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
