package diff

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

// Culprits returns the paths of the fields that the judge refuses to change, sorted, written as those of Fields. The judge is asked about each
// field that differs alone: whether before, with that field as it is in after, would be refused. Of a server that says only that something in
// a spec must not change, this tells what.
func Culprits(
	converter managedfields.TypeConverter, before, after *unstructured.Unstructured, refused func(*unstructured.Unstructured) bool,
) ([]string, error) {
	two, err := compare(converter, before, after)
	if err != nil {
		return nil, err
	}
	var culprits []string
	for _, path := range two.paths {
		alone, err := two.only(converter, path)
		if err != nil {
			return nil, err
		}
		// What compare leaves out has to be there again: without its identity the judge refuses any object.
		for _, name := range []string{"creationTimestamp", "generation", "resourceVersion", "uid"} {
			if kept, found, err := unstructured.NestedFieldCopy(before.Object, "metadata", name); found && err == nil {
				_ = unstructured.SetNestedField(alone.Object, kept, "metadata", name) // metadata is a map: it has a name in it
			}
		}
		if status, found := before.Object["status"]; found {
			alone.Object["status"] = status
		}
		if refused(alone) {
			culprits = append(culprits, pathText(path))
		}
	}
	slices.Sort(culprits)
	return culprits, nil
}

// only returns the state before, with one field as it is in the state after.
func (c *comparison) only(converter managedfields.TypeConverter, path fieldpath.Path) (*unstructured.Unstructured, error) {
	changed := c.before.RemoveItems(fieldpath.NewSet(path))
	if at := valueText(c.after, path); at != "" {
		var err error
		changed, err = changed.Merge(c.after.ExtractItems(fieldpath.NewSet(path), typed.WithAppendKeyFields()))
		if err != nil {
			return nil, fmt.Errorf("cannot change %s alone: %w", pathText(path), err)
		}
	}
	object, err := converter.TypedToObject(changed)
	if err != nil {
		return nil, fmt.Errorf("cannot change %s alone: %w", pathText(path), err)
	}
	alone, ok := object.(*unstructured.Unstructured)
	if !ok {
		return nil, fmt.Errorf("cannot change %s alone: it became a %T", pathText(path), object)
	}
	return alone, nil
}
