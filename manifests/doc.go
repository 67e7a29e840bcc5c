// Package manifests turns the files of a snapshot into a Set: every object one commit asks for, each with the file, document and
// line it comes from, or Problems that say in which file and line an author has to mend what.
//
// It decodes strictly, asks package verdict what the API server would say, fills in namespaces, and finds duplicates and
// dependency cycles. It knows no Git and no cluster: files come as an io/fs.FS, and which kinds exist and are namespaced
// comes as a function.
package manifests
