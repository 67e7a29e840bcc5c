package mutate

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Sweep returns changes for every field of the object below its root, in the order of their paths: removed, given twice, of the
// wrong type, and the values that validation most often has an opinion on. The fields in except are left alone, with all that is
// below them.
func Sweep(object map[string]any, except ...string) []Change {
	var s sweep
	s.except = except
	s.mapping(object, "")
	return s.changes
}

type sweep struct {
	except  []string
	changes []Change
}

func (s *sweep) add(path string, values ...any) {
	for _, value := range values {
		s.changes = append(s.changes, Change{path, value})
	}
}

func (s *sweep) mapping(object map[string]any, path string) {
	for _, key := range slices.Sorted(maps.Keys(object)) {
		child := path + "[" + key + "]"
		if !strings.ContainsAny(key, "./") {
			child = strings.TrimPrefix(path+"."+key, ".")
		}
		if !slices.Contains(s.except, child) {
			s.add(child, Remove, Twice, nil)
			s.value(object[key], child)
		}
	}
}

// value proposes values in the place of one, by its type.
func (s *sweep) value(value any, path string) {
	switch value := value.(type) {
	case map[string]any:
		s.add(path, "text", []any{}, map[string]any{})
		s.add(path+".unknownField", "text")
		s.mapping(value, path)
	case []any:
		s.add(path, "text", map[string]any{}, []any{})
		for i, item := range value {
			place := path + "[" + strconv.Itoa(i) + "]"
			s.add(place, Remove, Again)
			s.value(item, place)
		}
	case string:
		s.add(path, int64(7), true, "", "x", "Not_A name!", "a/b/c", "-1", strings.Repeat("x", 64), strings.Repeat("x", 300))
	case bool:
		s.add(path, !value, "true", int64(1))
	default:
		s.add(path, int64(0), int64(1), int64(-1), int64(65536), int64(1)<<40, 0.5, "text", true)
	}
}
