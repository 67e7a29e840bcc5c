// Package document reads the text of a manifest file, YAML or JSON, into node trees whose every node knows its line and column,
// and writes a node tree as the JSON that kubectl would send for it.
//
// Parse cuts a file into Documents; Place finds the node of a field that the API server names; Encoder writes JSON and reports
// everything that has no place in a manifest: aliases, tags, keys that are no strings, numbers that JSON cannot hold exactly.
//
// It knows no Kubernetes: which fields exist is others' business. Nor does it keep anything: a Document is done with when the
// next one is read.
//
// Lines are what editors count: they end at a line feed, with or without a carriage return before it. Columns count characters
// (Unicode code points), tabs as one. Both start at 1, and a byte order mark has no column.
package document
