package manifests

import "io/fs"

// Locate returns the place of a field, given as the API server names it, of the object that stands at origin; for a field that is
// missing, the place of its nearest parent. It reads the file again, so it is for errors: those of the server at apply,
// too. When the file no longer holds the object, it returns origin.
func Locate(tree fs.FS, origin Origin, field string) Origin {
	found := origin
	locateAll(tree, origin.File, map[Origin][]string{origin.written(): {field}}, func(_ Origin, _ string, at Origin) {
		found.Line, found.Column = at.Line, at.Column
	})
	return found
}
