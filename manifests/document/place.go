package document

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Place returns the node where an author would mend the field at a server's path: the key of a mapping's entry, or a list's
// item. For a field that is missing, it is the nearest parent that exists.
//
// The path is not split beforehand, because keys may hold dots ("metadata.labels[a.b/c]", or "metadata.labels.a.b/c" in strict
// decoding errors): at each mapping the longest key that the rest of the path starts with is taken. Validation leaves "metadata"
// out of some template paths (batch's "spec.template.labels"), so an entry may also stand below it.
func Place(root *yaml.Node, path string) *yaml.Node {
	at := root
	for node, rest := root, path; rest != ""; {
		key, value, left := step(node, rest)
		if value == nil && node.Kind == yaml.MappingNode {
			if _, metadata := Entry(node, "metadata"); metadata != nil {
				key, value, left = step(metadata, rest)
			}
		}
		if value == nil {
			break
		}
		at, node, rest = key, value, left
	}
	return at
}

// step takes the first element off a path. It returns the key node (for an item, the item itself), the value and the rest of
// the path, or a nil value when node has no such element.
func step(node *yaml.Node, path string) (key, value *yaml.Node, rest string) {
	path = strings.TrimPrefix(path, ".")
	switch node.Kind {
	case yaml.SequenceNode:
		number, rest, ok := strings.Cut(strings.TrimPrefix(path, "["), "]")
		i, err := strconv.Atoi(number)
		if !ok || err != nil || i < 0 || i >= len(node.Content) {
			return nil, nil, ""
		}
		return node.Content[i], node.Content[i], rest
	case yaml.MappingNode:
		longest := -1
		for i := 0; i+1 < len(node.Content); i += 2 {
			name := node.Content[i].Value
			if left, ok := cutKey(path, name); ok && len(name) > longest {
				longest, key, value, rest = len(name), node.Content[i], node.Content[i+1], left
			}
		}
	}
	return key, value, rest
}

// cutKey removes a mapping's key, bare or in brackets, from the start of a path.
func cutKey(path, key string) (rest string, ok bool) {
	if bracketed, found := strings.CutPrefix(path, "["); found {
		if rest, ok = strings.CutPrefix(bracketed, key); ok {
			return strings.CutPrefix(rest, "]")
		}
		return "", false
	}
	rest, ok = strings.CutPrefix(path, key)
	return rest, ok && key != "" && (rest == "" || rest[0] == '.' || rest[0] == '[')
}
