package inventory

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/value"

	"kilter.dev/kilter/internal/phrase"
)

// Change is what one field manager did to fields that a manifest sets.
type Change struct {
	Manager string    // empty: the fields are gone, and the server keeps no record of who removed them
	At      time.Time // when the manager wrote to the object last; zero when that is not known
	Fields  []string  // as the server writes paths: `.spec.template.spec.containers[name="web"].image`
}

// String renders who, when and what: "changed by kubectl-edit at 2026-11-23T14:03:11Z: .spec.replicas". It shows no value of a field.
func (c Change) String() string {
	who := c.Manager
	switch who {
	case "":
		return "removed by somebody: " + phrase.Few(c.Fields, 3)
	case FieldManager:
		who = "somebody under Kilter's own name"
	}
	if !c.At.IsZero() {
		who += " at " + c.At.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("changed by %s: %s", who, phrase.Few(c.Fields, 3))
}

// Changes returns who took which fields of a manifest from our Apply entry, the newest first, and last what was removed. They are the
// fields that the manifest sets and our entry has not, given to whoever has them now. No schema is needed: how the items of a list are told
// apart, our entry and theirs show. Where the server keeps none of what a manifest says, such as a Secret's stringData, nothing is missing.
func Changes(manifest *unstructured.Unstructured, entries []metav1.ManagedFieldsEntry) []Change {
	ours := fieldpath.NewSet()
	others := make([]*fieldpath.Set, len(entries))
	for i := range entries {
		e, fields := &entries[i], fieldpath.NewSet()
		if e.FieldsV1 == nil || e.Subresource == "status" || fields.FromJSON(bytes.NewReader(e.FieldsV1.GetRawBytes())) != nil {
			continue
		}
		if isOurs(e) {
			ours = fields
		} else {
			others[i] = fields
		}
	}
	var changes []Change
	for _, path := range missing(stated(manifest), ours, nil) {
		newest := Change{Fields: []string{path.String()}}
		for i := range entries {
			if others[i] == nil || !holds(others[i], path) {
				continue
			}
			var at time.Time
			if entries[i].Time != nil {
				at = entries[i].Time.Time
			}
			if newest.Manager == "" || at.After(newest.At) {
				newest.Manager, newest.At = entries[i].Manager, at
			}
		}
		known := slices.IndexFunc(changes, func(c Change) bool { return c.Manager == newest.Manager && c.At.Equal(newest.At) })
		if known < 0 {
			changes = append(changes, newest)
			continue
		}
		changes[known].Fields = append(changes[known].Fields, newest.Fields...)
	}
	slices.SortStableFunc(changes, func(a, b Change) int {
		if (a.Manager == "") != (b.Manager == "") {
			return strings.Compare(b.Manager, a.Manager)
		}
		return b.At.Compare(a.At)
	})
	return changes
}

// stated returns what of a manifest the server keeps in an Apply entry.
func stated(manifest *unstructured.Unstructured) map[string]any {
	kept := map[string]any{}
	for field, v := range manifest.Object {
		switch field {
		case "apiVersion", "kind", "status":
		case "stringData": // becomes data
		case "metadata":
			metadata := map[string]any{}
			for _, name := range []string{"labels", "annotations", "finalizers", "ownerReferences"} {
				if found, ok, _ := unstructured.NestedFieldNoCopy(manifest.Object, "metadata", name); ok {
					metadata[name] = found
				}
			}
			kept[field] = metadata
		default:
			kept[field] = v
		}
	}
	return kept
}

// missing returns the paths of what a value holds and a set has neither whole nor in part, in order. Null and empty values state nothing.
func missing(of any, set *fieldpath.Set, path fieldpath.Path) []fieldpath.Path {
	var all []fieldpath.Path
	each := func(element fieldpath.PathElement, v any) {
		below, partly := set.Children.Get(element)
		switch {
		case partly:
			all = append(all, missing(v, below, append(path.Copy(), element))...)
		case set.Members.Has(element) || empty(v):
		default:
			fields, isMap := v.(map[string]any)
			if isMap && element.FieldName != nil {
				all = append(all, missing(fields, fieldpath.NewSet(), append(path.Copy(), element))...)
				return
			}
			all = append(all, append(path.Copy(), element))
		}
	}
	switch v := of.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			each(fieldpath.PathElement{FieldName: &name}, v[name])
		}
	case []any:
		for i, item := range v {
			each(elementOf(set, i, item), item)
		}
	}
	return all
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return false
}

// elementOf returns how a set that knows items of a list names one of them: by its keys, its value or its place. Keys that an item leaves to their
// defaults are those of the item in the set that agrees with it in all others.
func elementOf(set *fieldpath.Set, i int, item any) fieldpath.PathElement {
	fields, keyed := item.(map[string]any)
	var sample *value.FieldList
	var found *fieldpath.PathElement
	look := func(e fieldpath.PathElement) {
		if e.Key == nil || !keyed {
			return
		}
		sample = e.Key
		for _, key := range *e.Key {
			if v, ok := fields[key.Name]; ok && !value.Equals(value.NewValueInterface(v), key.Value) {
				return
			}
		}
		found = &e
	}
	set.Members.Iterate(look)
	set.Children.Iterate(look)
	switch {
	case found != nil:
		return *found
	case sample != nil:
		var keys value.FieldList
		for _, key := range *sample {
			if v, ok := fields[key.Name]; ok {
				keys = append(keys, value.Field{Name: key.Name, Value: value.NewValueInterface(v)})
			}
		}
		return fieldpath.PathElement{Key: &keys}
	case keyed:
		return fieldpath.PathElement{Index: &i}
	}
	v := value.NewValueInterface(item)
	return fieldpath.PathElement{Value: &v}
}

// holds reports whether a set has a path, something below it, or something above it as a whole.
func holds(set *fieldpath.Set, path fieldpath.Path) bool {
	for i, element := range path {
		below, partly := set.Children.Get(element)
		if !partly {
			return set.Members.Has(element)
		}
		if i < len(path)-1 {
			set = below
		}
	}
	return true
}
