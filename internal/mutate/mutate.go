// Package mutate changes fields of manifests, one at a time, for tests that compare what two judges say of the same manifest. It
// knows JSON and no Kubernetes: a Change puts a value at a path, Sweep proposes changes for every field that a manifest has.
package mutate

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Change is one value at one path. A path is written as the API server writes it, list items by index and keys with dots in
// brackets: "spec.containers[0].resources.limits[example.com/gpu]".
type Change struct {
	Path  string
	Value any // JSON as encoding/json decodes it, with int64 for integers; or one of the Edits
}

// Edit is a change that is not a value.
type Edit string

const (
	// Remove takes the field or the list item away.
	Remove Edit = "removed"
	// Twice gives the field's key a second time, with the same value.
	Twice Edit = "given twice"
	// Again appends a copy of the list item at the path to its list.
	Again Edit = "repeated in its list"
)

// String is the change in one short line.
func (c Change) String() string {
	if edit, ok := c.Value.(Edit); ok {
		return c.Path + " " + string(edit)
	}
	text, err := json.Marshal(c.Value)
	if err != nil {
		text = fmt.Append(nil, c.Value)
	}
	if len(text) > 100 {
		return fmt.Sprintf("%s=%s… (%d bytes)", c.Path, text[:60], len(text))
	}
	return c.Path + "=" + string(text)
}

// Apply makes the change in place and reports whether the path leads anywhere: mappings on the way are made, list items are not,
// save the one just behind the last. Removing what is not there is no change.
func (c Change) Apply(object map[string]any) bool {
	steps := Split(c.Path)
	_, ok := apply(object, steps, c.Value)
	return ok
}

// apply returns the changed parent, which is a new one when a list grew or shrank.
func apply(parent any, steps []string, value any) (any, bool) {
	step, rest := steps[0], steps[1:]
	switch parent := parent.(type) {
	case map[string]any:
		return parent, applyKey(parent, step, rest, value)
	case []any:
		i, err := strconv.Atoi(step)
		if err != nil || i < 0 || i > len(parent) {
			return parent, false
		}
		return applyItem(parent, i, rest, value)
	}
	return parent, false
}

func applyKey(parent map[string]any, key string, rest []string, value any) bool {
	child, exists := parent[key]
	if len(rest) > 0 {
		if child == nil {
			if _, edit := value.(Edit); edit {
				return false
			}
			child = map[string]any{}
		}
		child, ok := apply(child, rest, value)
		if ok {
			parent[key] = child
		}
		return ok
	}
	switch value {
	case Remove:
		delete(parent, key)
	case Twice:
		parent[key+twin] = child
	case Again:
		return false
	default:
		parent[key] = Copy(value)
		return true
	}
	return exists
}

func applyItem(list []any, i int, rest []string, value any) ([]any, bool) {
	edit, isEdit := value.(Edit)
	switch {
	case i == len(list) && (len(rest) > 0 || isEdit):
		return list, false
	case len(rest) > 0:
		child, ok := apply(list[i], rest, value)
		if ok {
			list[i] = child
		}
		return list, ok
	case edit == Remove:
		return slices.Delete(list, i, i+1), true
	case edit == Again:
		return append(list, Copy(list[i])), true
	case isEdit:
		return list, false
	case i == len(list):
		return append(list, Copy(value)), true
	}
	list[i] = Copy(value)
	return list, true
}

// Split returns the steps of a path.
func Split(path string) []string {
	var steps []string
	for path != "" {
		if path[0] == '[' {
			end := strings.IndexByte(path, ']')
			steps = append(steps, path[1:end])
			path = strings.TrimPrefix(path[end+1:], ".")
			continue
		}
		end := strings.IndexAny(path, ".[")
		if end < 0 {
			end = len(path)
		}
		steps = append(steps, path[:end])
		path = strings.TrimPrefix(path[end:], ".")
	}
	return steps
}

// twin marks the second of two equal keys until the object is encoded; no key of a manifest holds a NUL.
const twin = "\x00"

// Encode returns the object as JSON, with keys twice where a change asked for it.
func Encode(object map[string]any) ([]byte, error) {
	text, err := json.Marshal(object)
	return []byte(strings.ReplaceAll(string(text), `\u0000`, "")), err
}

// Copy returns a copy that shares no mapping and no list with the value.
func Copy(value any) any {
	switch value := value.(type) {
	case map[string]any:
		m := maps.Clone(value)
		for key, child := range m {
			m[key] = Copy(child)
		}
		return m
	case []any:
		l := slices.Clone(value)
		for i, child := range l {
			l[i] = Copy(child)
		}
		return l
	}
	return value
}
