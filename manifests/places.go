package manifests

import (
	"io/fs"

	"go.yaml.in/yaml/v3"

	"kilter.dev/kilter/manifests/document"
)

// unplaced is a problem of an assembly whose field has not been found in its file yet.
type unplaced struct {
	problem  int // its index
	manifest *manifest
}

// place gives every problem the line of its field. Each file is read once more, and what was found is remembered with the manifest, as long
// as its file stays the same.
func (a *assembly) place() {
	wanted := map[string]map[Origin][]string{} // fields by file and object
	for _, u := range a.unplaced {
		p := &a.problems[u.problem]
		if _, known := u.manifest.places[p.Field]; known {
			continue
		}
		if wanted[p.Origin.File] == nil {
			wanted[p.Origin.File] = map[Origin][]string{}
		}
		written := p.Origin.written()
		wanted[p.Origin.File][written] = append(wanted[p.Origin.File][written], p.Field)
	}
	found := map[Origin]map[string]Origin{}
	for file, fields := range wanted {
		locateAll(a.tree, file, fields, func(object Origin, field string, at Origin) {
			if found[object] == nil {
				found[object] = map[string]Origin{}
			}
			found[object][field] = at
		})
	}
	for _, u := range a.unplaced {
		p := &a.problems[u.problem]
		if at, ok := found[p.Origin.written()][p.Field]; ok {
			at.BuiltBy = p.Origin.BuiltBy
			if u.manifest.places == nil {
				u.manifest.places = map[string]Origin{}
			}
			u.manifest.places[p.Field] = at
		}
		if at, known := u.manifest.places[p.Field]; known {
			p.Origin = at
		}
	}
}

// locateAll finds fields of the objects that stand at the given origins of one file, and reports each.
func locateAll(tree fs.FS, file string, wanted map[Origin][]string, report func(object Origin, field string, at Origin)) {
	data, err := readUpTo(tree, file, Options{}.withDefaults().MaxTreeBytes)
	if err != nil {
		return
	}
	for doc, err := range document.Parse(file, data) {
		if err != nil || doc.Root == nil {
			continue
		}
		eachObject(doc.Root, func(node *yaml.Node) {
			object := Origin{File: file, Document: doc.Index, Line: node.Line, Column: node.Column}
			for _, field := range wanted[object] {
				at, found := object, place(node, field)
				at.Line, at.Column = found.Line, found.Column
				report(object, field, at)
			}
		})
	}
}

// eachObject calls f for a document and, where it is a list, for every item of it.
func eachObject(node *yaml.Node, f func(*yaml.Node)) {
	f(node)
	for _, item := range items(node, "items") {
		eachObject(item, f)
	}
}
