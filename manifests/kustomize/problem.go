package kustomize

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// Place is a place in the tree. Line and Column count from 1, Document from 0; zero Line means the whole file.
type Place struct {
	File         string
	Document     int
	Line, Column int
}

// Problem is one thing that is wrong with a kustomization or with a file that it uses.
type Problem struct {
	Place
	Field   string // within the document, such as "resources[2]"; may be empty
	Reason  string // one of the Reason constants, or a reason of the strict reader's
	Message string // one sentence, without any value that could be secret
	Warning bool   // accepted, and not what the author may think
}

// The reasons of this package.
const (
	ReasonRefused = "Unsupported"   // kustomize could, and it is not done here: remote files, plugins, helm…
	ReasonLimit   = "LimitExceeded" // the build would cost too much
	ReasonBuild   = "BuildFailed"   // kustomize cannot build it
	ReasonWarning = "Warning"
)

// Text is YAML or JSON that stands in the tree: a file, or a scalar within one.
type Text struct {
	File    string // its extension says whether it is JSON
	Data    []byte
	Objects bool // whether each document must be a Kubernetes object; Lists are taken apart then
}

// Document is one value of a Text.
type Document struct {
	Index int        // of the document in its file, from 0
	Node  *yaml.Node // with lines and columns of the Text
	JSON  []byte     // the same, compact, with sorted keys; nil when a Problem says why not
}

// child returns the key and value of a mapping's entry, or nils. Kustomize does not mind the case of keys, and so neither does it.
func child(node *yaml.Node, name string) (key, value *yaml.Node) {
	if node == nil || node.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if strings.EqualFold(node.Content[i].Value, name) {
			return node.Content[i], node.Content[i+1]
		}
	}
	return nil, nil
}

// lookup follows keys down and returns the value there, or nil.
func lookup(node *yaml.Node, names ...string) *yaml.Node {
	for _, name := range names {
		_, node = child(node, name)
	}
	return node
}

// text returns the scalar at the end of the keys, or "".
func text(node *yaml.Node, names ...string) string {
	if node = lookup(node, names...); node == nil || node.Kind != yaml.ScalarNode {
		return ""
	}
	return node.Value
}
