// Package manifests turns the files of a snapshot into a Set: every object one commit asks for, each with the file, document and
// line it comes from, or Problems that say in which file and line an author has to mend what.
//
// A Loader lists the tree (list.go), has package document parse each file that changed into node trees that know their lines and turn
// each object into JSON, and asks for its verdict (decode.go) and for the lint's remarks (lint.go); what can only be decided beside
// all other objects comes last (assemble.go): which kinds there are (scope.go), duplicates (index.go), custom resources by the CRD of
// the tree (custom.go), dependencies (depend.go, cycle.go), references that lead nowhere (uses.go, reference.go). Hardly a position is
// kept: a field's line is found in the node tree while there is one, and places.go parses the file again later.
//
// It decodes strictly, asks package verdict what the API server would say, fills in namespaces, and finds duplicates and
// dependency cycles. It knows no Git and no cluster: files come as an io/fs.FS, and which kinds exist and are namespaced
// comes as a function.
package manifests
