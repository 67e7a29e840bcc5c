package manifests

import (
	"go.yaml.in/yaml/v3"

	"kilter.dev/kilter/manifests/document"
)

// What package document knows about nodes, under the short names that this package uses everywhere.

func entry(node *yaml.Node, name string) (key, value *yaml.Node) { return document.Entry(node, name) }

func lookup(node *yaml.Node, names ...string) *yaml.Node { return document.Lookup(node, names...) }

func stringAt(node *yaml.Node, names ...string) string { return document.StringAt(node, names...) }

func place(root *yaml.Node, path string) *yaml.Node { return document.Place(root, path) }
