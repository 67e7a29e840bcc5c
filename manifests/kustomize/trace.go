package kustomize

import (
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Trace finds out where each part of a built object is written. Root is the object's JSON as nodes. A part stands where the last patch
// put it that has exactly this value there; otherwise where the source has it; a part that neither has, because kustomize made it,
// is placed at its nearest parent.
func (p *Plan) Trace(root *yaml.Node, from *Source) map[*yaml.Node]Place {
	t := trace{places: map[*yaml.Node]Place{}}
	start := Place{File: p.File}
	var layers []layer // the last first
	if from != nil {
		start = from.Place
		for _, patch := range slices.Backward(p.patches) {
			if !patch.applies(from.kind, from.name) {
				continue
			}
			if patch.document.Node.Kind == yaml.MappingNode {
				layers = append(layers, layer{patch: true, at: patch.at, node: patch.document.Node})
				continue
			}
			for _, operation := range slices.Backward(patch.document.Node.Content) {
				if node := asPatch(operation); node != nil {
					layers = append(layers, layer{patch: true, at: patch.at, node: node})
				}
			}
		}
		if from.node != nil {
			at := func(node *yaml.Node) Place {
				return Place{File: from.File, Document: from.Document, Line: node.Line, Column: node.Column}
			}
			layers = append(layers, layer{at: at, node: from.node})
		}
	}
	t.walk(root, start, layers)
	return t.places
}

// layer is one text that an object, or a part of it, may come from.
type layer struct {
	patch bool
	at    func(*yaml.Node) Place
	node  *yaml.Node
}

// asPatch writes a JSON patch operation that sets a value as the mapping that has the value at the same place.
func asPatch(operation *yaml.Node) *yaml.Node {
	value := lookup(operation, "value")
	if op := text(operation, "op"); value == nil || op != "add" && op != "replace" {
		return nil
	}
	where, _ := child(operation, "value")
	node := value
	elements := strings.Split(strings.TrimPrefix(text(operation, "path"), "/"), "/")
	for _, element := range slices.Backward(elements) {
		name := strings.NewReplacer("~1", "/", "~0", "~").Replace(element)
		node = &yaml.Node{Kind: yaml.MappingNode, Line: where.Line, Column: where.Column, Content: []*yaml.Node{
			{Kind: yaml.ScalarNode, Value: name, Line: where.Line, Column: where.Column}, node,
		}}
	}
	return node
}

type trace struct{ places map[*yaml.Node]Place }

// walk places a node and all below it.
func (t *trace) walk(node *yaml.Node, at Place, layers []layer) {
	t.places[node] = at
	switch node.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			key, value := node.Content[i], node.Content[i+1]
			here := here{at: at, node: value}
			for _, l := range layers {
				if k, v := exactly(l.node, key.Value); v != nil {
					here.add(l, k, v)
				}
			}
			t.places[key] = here.at
			t.walk(value, here.at, here.layers)
		}
	case yaml.SequenceNode:
		for i, item := range node.Content {
			here := here{at: at, node: item}
			for _, l := range layers {
				if v := counterpart(l, node, i); v != nil {
					here.add(l, v, v)
				}
			}
			t.walk(item, here.at, here.layers)
		}
	}
}

// here gathers the layers of one node, the last first, and the place they make it stand at.
type here struct {
	at     Place
	node   *yaml.Node
	layers []layer
}

// add takes a layer's value in. A scalar stands in the last layer that has it, a mapping or list in the first: there it was begun, and
// there what it lacks is to be added.
func (h *here) add(l layer, key, value *yaml.Node) {
	if l.patch && !agree(value, h.node) {
		return
	}
	if len(h.layers) == 0 || h.node.Kind != yaml.ScalarNode {
		h.at = l.at(key)
	}
	h.layers = append(h.layers, layer{l.patch, l.at, value})
}

// exactly returns the key and value of a mapping's entry, or nils.
func exactly(node *yaml.Node, name string) (key, value *yaml.Node) {
	if node.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == name {
				return node.Content[i], node.Content[i+1]
			}
		}
	}
	return nil, nil
}

// agree reports whether a patch's value can have become what the object has: scalars must be the same.
func agree(patch, object *yaml.Node) bool {
	return patch.Kind == object.Kind && (patch.Kind != yaml.ScalarNode || patch.Value == object.Value) ||
		patch.Kind == yaml.MappingNode && object.Kind == yaml.SequenceNode // an operation's index
}

// itemNames are the fields that tell the items of Kubernetes' lists apart.
var itemNames = []string{"name", "mountPath", "containerPort", "devicePath", "port", "key", "topologyKey", "ip", "host", "uid", "type"}

// counterpart returns what an item of a list is in a layer, or nil.
func counterpart(l layer, list *yaml.Node, i int) *yaml.Node {
	item := list.Content[i]
	switch {
	case l.node.Kind == yaml.MappingNode: // of an operation
		if _, value := exactly(l.node, strconv.Itoa(i)); value != nil {
			return value
		}
		if _, value := exactly(l.node, "-"); value != nil && i == len(list.Content)-1 {
			return value
		}
		return nil
	case l.node.Kind != yaml.SequenceNode:
		return nil
	case item.Kind == yaml.MappingNode:
		for _, name := range itemNames {
			if _, value := exactly(item, name); value != nil && value.Kind == yaml.ScalarNode {
				return itemNamed(l.node, name, value.Value)
			}
		}
	case item.Kind == yaml.ScalarNode:
		for _, candidate := range l.node.Content {
			if candidate.Kind == yaml.ScalarNode && candidate.Value == item.Value {
				return candidate
			}
		}
	}
	if len(l.node.Content) == len(list.Content) {
		return l.node.Content[i]
	}
	return nil
}

// itemNamed returns the one item of a list that has the value in a field, or nil.
func itemNamed(list *yaml.Node, field, value string) (found *yaml.Node) {
	for _, item := range list.Content {
		if _, v := exactly(item, field); v != nil && v.Value == value {
			if found != nil {
				return nil
			}
			found = item
		}
	}
	return found
}
