package manifests

import (
	"io/fs"

	"go.yaml.in/yaml/v3"

	"kilter.dev/kilter/manifests/document"
)

// Locate returns the place of a field, given as the API server names it, of the object that stands at origin; for a field that is
// missing, the place of its nearest parent. It reads the file again, so it is for errors: those of the server at apply,
// too. When the file no longer holds the object, it returns origin.
func Locate(tree fs.FS, origin Origin, field string) Origin {
	data, err := readUpTo(tree, origin.File, Options{}.withDefaults().MaxTreeBytes)
	if err != nil {
		return origin
	}
	at := origin
	for doc, err := range document.Parse(origin.File, data) {
		if err != nil || doc.Index != origin.Document || doc.Root == nil {
			continue
		}
		if node := objectAt(doc.Root, origin); node != nil {
			found := place(node, field)
			at.Line, at.Column = found.Line, found.Column
			break
		}
	}
	return at
}

// objectAt finds the object whose first key stands at origin: the node itself, or an item of the list it is.
func objectAt(node *yaml.Node, origin Origin) *yaml.Node {
	if start := node; start.Line == origin.Line && start.Column == origin.Column {
		return node
	}
	items := lookup(node, "items")
	if items == nil {
		return nil
	}
	for _, item := range items.Content {
		if found := objectAt(item, origin); found != nil {
			return found
		}
	}
	return nil
}
