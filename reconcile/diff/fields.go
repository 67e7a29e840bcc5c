package diff

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
	"sigs.k8s.io/structured-merge-diff/v6/value"
)

// Field is one field that differs between two states of an object.
type Field struct {
	// Path is the field's place, list items by their keys: "spec.template.spec.containers[name=web].image". A whole subtree that
	// appears or goes is one Field.
	Path string
	// Before and After are compact JSON, cut to maxValue bytes; empty where there is no such field. Both are Hidden in a Secret.
	Before, After string
}

// Hidden stands for every value in a Secret: which field differs is told, and nothing of what it holds.
const Hidden = "(hidden)"

// maxValue bounds a value in a plan, in bytes.
const maxValue = 160

// Fields returns what differs between two states of one object, sorted by path. Before is nil for an object that does not exist, after for
// one that goes. What the server keeps for itself is left out: status, identity, versions and managedFields.
//
// Both have to be as the server stores them, or would store them by a dry run: then defaults, other notations of a quantity and other
// managers' fields are the same on both sides. The converter knows the schema, and with it which lists have keys.
func Fields(converter managedfields.TypeConverter, before, after *unstructured.Unstructured) ([]Field, error) {
	if before == nil || after == nil {
		return nil, nil
	}
	two, err := compare(converter, before, after)
	if err != nil {
		return nil, err
	}
	fields := make([]Field, 0, len(two.paths))
	for _, path := range two.paths {
		fields = append(fields, Field{Path: pathText(path), Before: valueText(two.before, path), After: valueText(two.after, path)})
	}
	if secret(after) {
		for i := range fields {
			fields[i].Before, fields[i].After = hide(fields[i].Before), hide(fields[i].After)
		}
	}
	slices.SortFunc(fields, func(a, b Field) int { return strings.Compare(a.Path, b.Path) })
	return fields, nil
}

// comparison is what differs between two states of one object.
type comparison struct {
	before, after *typed.TypedValue
	paths         []fieldpath.Path // of what differs, and of a subtree that appears or goes only its own
}

func compare(converter managedfields.TypeConverter, before, after *unstructured.Unstructured) (*comparison, error) {
	old, err := converter.ObjectToTyped(withoutBookkeeping(before), typed.AllowDuplicates)
	if err != nil {
		return nil, fmt.Errorf("cannot read the live object: %w", err)
	}
	updated, err := converter.ObjectToTyped(withoutBookkeeping(after), typed.AllowDuplicates)
	if err != nil {
		return nil, fmt.Errorf("cannot read the object as it would be: %w", err)
	}
	compared, err := old.Compare(updated)
	if err != nil {
		return nil, fmt.Errorf("cannot compare the two: %w", err)
	}
	two := &comparison{before: old, after: updated}
	for path := range compared.Added.Union(compared.Modified).Union(compared.Removed).All() {
		if highest(path, compared) {
			two.paths = append(two.paths, path.Copy())
		}
	}
	return two, nil
}

// Overlay returns what before becomes when wanted is laid over it, lists merged by their keys. It is not what an apply gives: nothing is
// defaulted, and nothing that wanted no longer has is removed.
func Overlay(converter managedfields.TypeConverter, before, wanted *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	base, err := converter.ObjectToTyped(before, typed.AllowDuplicates)
	if err != nil {
		return nil, err
	}
	over, err := converter.ObjectToTyped(wanted)
	if err != nil {
		return nil, err
	}
	merged, err := base.Merge(over)
	if err != nil {
		return nil, err
	}
	object, err := converter.TypedToObject(merged)
	if err != nil {
		return nil, err
	}
	result, ok := object.(*unstructured.Unstructured)
	if !ok {
		return nil, fmt.Errorf("merged into a %T", object)
	}
	return result, nil
}

// highest reports whether no parent of path was added or removed whole.
func highest(path fieldpath.Path, compared *typed.Comparison) bool {
	for i := 1; i < len(path); i++ {
		if compared.Added.Has(path[:i]) || compared.Removed.Has(path[:i]) {
			return false
		}
	}
	return true
}

// withoutBookkeeping returns a copy without what changes at every write, or belongs to the status.
func withoutBookkeeping(object *unstructured.Unstructured) *unstructured.Unstructured {
	bare := object.DeepCopy()
	unstructured.RemoveNestedField(bare.Object, "status")
	for _, name := range []string{
		"creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid",
	} {
		unstructured.RemoveNestedField(bare.Object, "metadata", name)
	}
	return bare
}

func secret(object *unstructured.Unstructured) bool {
	gvk := object.GroupVersionKind()
	return gvk.Group == "" && gvk.Kind == "Secret"
}

func hide(text string) string {
	if text == "" {
		return ""
	}
	return Hidden
}

// pathText writes a path as people do: names with dots or slashes in brackets, list items by their keys or values.
func pathText(path fieldpath.Path) string {
	var b strings.Builder
	for _, element := range path {
		switch {
		case element.FieldName != nil && strings.ContainsAny(*element.FieldName, "./"):
			fmt.Fprintf(&b, "[%s]", *element.FieldName)
		case element.FieldName != nil:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(*element.FieldName)
		case element.Key != nil:
			keys := make([]string, len(*element.Key))
			for i, key := range *element.Key {
				keys[i] = fmt.Sprintf("%s=%v", key.Name, key.Value.Unstructured())
			}
			fmt.Fprintf(&b, "[%s]", strings.Join(keys, ","))
		case element.Value != nil:
			fmt.Fprintf(&b, "[%v]", (*element.Value).Unstructured())
		case element.Index != nil:
			fmt.Fprintf(&b, "[%d]", *element.Index)
		}
	}
	return b.String()
}

// valueText returns the JSON of the value at path, or "" where there is none.
func valueText(object *typed.TypedValue, path fieldpath.Path) string {
	at := object.AsValue()
	for _, element := range path {
		if at = child(at, element); at == nil {
			return ""
		}
	}
	text, err := json.Marshal(at.Unstructured())
	if err != nil {
		return ""
	}
	if len(text) > maxValue {
		return strings.ToValidUTF8(string(text[:maxValue]), "") + "…"
	}
	return string(text)
}

// child returns the member of a map, or the item of a list, that a path element names; nil when there is none.
func child(parent value.Value, element fieldpath.PathElement) value.Value {
	switch {
	case element.FieldName != nil && parent.IsMap():
		if member, ok := parent.AsMap().Get(*element.FieldName); ok {
			return member
		}
	case element.Index != nil && parent.IsList() && *element.Index < parent.AsList().Length():
		return parent.AsList().At(*element.Index)
	case parent.IsList():
		for i := range parent.AsList().Length() {
			if item := parent.AsList().At(i); names(element, item) {
				return item
			}
		}
	}
	return nil
}

// names reports whether a path element means this item of a list.
func names(element fieldpath.PathElement, item value.Value) bool {
	switch {
	case element.Value != nil:
		return value.Equals(*element.Value, item)
	case element.Key == nil || !item.IsMap():
		return false
	}
	for _, key := range *element.Key {
		if member, ok := item.AsMap().Get(key.Name); ok && !value.Equals(member, key.Value) {
			return false // a key that the item leaves out has its default, which the path holds
		}
	}
	return true
}
