package verdict

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// suggestion returns ": did you mean …?" for an unknown field that differs from a known one beside it by case or by up to two
// letters, or nothing.
func suggestion(t reflect.Type, path string) string {
	parent, name := "", path
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		parent, name = path[:i], path[i+1:]
	}
	t, ok := typeAt(t, parent)
	if !ok || len(name) > 63 || t.Kind() != reflect.Struct {
		return ""
	}
	best := Nearest(name, slices.Collect(maps.Keys(fieldsOf(t))))
	if best == "" {
		return ""
	}
	return ": did you mean " + best + "?"
}

// typeAt returns the type that a field path leads to.
func typeAt(t reflect.Type, path string) (reflect.Type, bool) {
	for segment := range strings.FieldsFuncSeq(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		switch t.Kind() {
		case reflect.Struct:
			field, ok := fieldsOf(t)[segment]
			if !ok {
				return nil, false
			}
			t = field
		case reflect.Slice, reflect.Map:
			t = t.Elem()
		default:
			return nil, false
		}
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t, true
}

// edits is the Levenshtein distance: how many letters to add, remove or replace.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
