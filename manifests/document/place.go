package document

import (
	"encoding/json"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Place returns the node where an author would mend the field at a server's path: the key of a mapping's entry, or a list's
// item. For a field that is missing, it is the nearest parent that exists; for a path that leads nowhere, root.
//
// The server writes paths in several ways, and all are understood:
//
//	spec.containers[0].image                       validation (k8s.io/apimachinery/pkg/util/validation/field)
//	metadata.labels[a.b/c], metadata.labels.a.b/c  validation and strict decoding of map keys; also ["a.b/c"] and ['a.b/c']
//	.spec.containers[name="a"].ports[containerPort=80,protocol="TCP"]  structured merge diff: items by key
//	.metadata.finalizers[="a/b"]                   structured merge diff: items of sets
//
// A path is not split beforehand, because keys may hold dots and brackets: at each mapping every key that the rest of the path starts
// with is followed, and the one that leads furthest counts. Validation leaves "metadata" out of some template paths (batch's
// "spec.template.labels"), so an entry may also stand below it.
func Place(root *yaml.Node, path string) *yaml.Node {
	at, _ := Find(root, path)
	return at
}

// Find returns what Place returns, and the value that stands there; nil when the path leads further.
func Find(root *yaml.Node, path string) (at, value *yaml.Node) {
	found, left := follow(pair{root, root}, path)
	if left > 0 {
		return found.key, nil
	}
	return found.key, found.value
}

// follow goes down from a value as far as path leads. It returns what stands there, and how much of the path is left. In a tree each
// node is come to by one way only, so the whole costs no more than the tree is large.
func follow(from pair, path string) (found pair, left int) {
	path = strings.TrimPrefix(path, ".")
	found, left = from, len(path)
	node := from.value
	try := func(at, value *yaml.Node, rest string) {
		if deeper, remaining := follow(pair{at, value}, rest); remaining < left {
			found, left = deeper, remaining
		}
	}
	switch node.Kind {
	case yaml.SequenceNode:
		if item, rest := cutItem(node.Content, path); item != nil {
			try(item, item, rest)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if rest, ok := cutKey(path, node.Content[i].Value); ok {
				try(node.Content[i], node.Content[i+1], rest)
			}
		}
		if _, metadata := Entry(node, "metadata"); metadata != nil && left == len(path) && metadata.Kind == yaml.MappingNode {
			for i := 0; i+1 < len(metadata.Content); i += 2 {
				if rest, ok := cutKey(path, metadata.Content[i].Value); ok {
					try(metadata.Content[i], metadata.Content[i+1], rest)
				}
			}
		}
	}
	return found, left
}

// cutKey removes a mapping's key, bare or in brackets, from the start of a path.
func cutKey(path, key string) (rest string, ok bool) {
	if bracketed, found := strings.CutPrefix(path, "["); found {
		for _, quote := range []string{"", `"`, "'"} {
			if rest, ok = strings.CutPrefix(bracketed, quote); !ok {
				continue
			}
			if rest, ok = strings.CutPrefix(rest, key); !ok {
				continue
			}
			if rest, ok = strings.CutPrefix(rest, quote); !ok {
				continue
			}
			if rest, ok = strings.CutPrefix(rest, "]"); ok {
				return rest, true
			}
		}
		return "", false
	}
	rest, ok = strings.CutPrefix(path, key)
	return rest, ok && key != "" && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// cutItem removes the choice of a list's item, in brackets, from the start of a path. Of several items that fit, it is the last: what
// is said of a key that is given twice is about the second.
func cutItem(items []*yaml.Node, path string) (item *yaml.Node, rest string) {
	inside, rest, ok := cutBrackets(path)
	if !ok {
		return nil, ""
	}
	if i, err := strconv.Atoi(inside); err == nil {
		if i < 0 || i >= len(items) {
			return nil, ""
		}
		return items[i], rest
	}
	wanted := itemKey(inside)
	best := 0
	for _, candidate := range items {
		if n := matching(candidate, wanted); n >= max(best, 1) {
			item, best = candidate, n
		}
	}
	return item, rest
}

// cutBrackets cuts off "[…]", in which a quoted string may hold a bracket.
func cutBrackets(path string) (inside, rest string, ok bool) {
	if !strings.HasPrefix(path, "[") {
		return "", "", false
	}
	quoted := false
	for i := 1; i < len(path); i++ {
		switch {
		case quoted && path[i] == '\\':
			i++
		case path[i] == '"':
			quoted = !quoted
		case path[i] == ']' && !quoted:
			return path[1:i], path[i+1:], true
		}
	}
	return "", "", false
}

// itemKey reads `name="a",port=80`, or `="v"` for an item that is a scalar itself. The values are as YAML writes them.
func itemKey(text string) map[string]string {
	wanted := map[string]string{}
	for text != "" {
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			return nil
		}
		decoder := json.NewDecoder(strings.NewReader(value))
		decoder.UseNumber()
		var token any
		if decoder.Decode(&token) != nil {
			return nil
		}
		text = strings.TrimPrefix(value[decoder.InputOffset():], ",")
		switch v := token.(type) {
		case string:
			wanted[name] = v
		case json.Number:
			wanted[name] = v.String()
		case bool:
			wanted[name] = strconv.FormatBool(v)
		default:
			return nil
		}
	}
	return wanted
}

// matching counts how many parts of the key an item has; none when one differs. A part may be missing: the server defaults it.
func matching(item *yaml.Node, wanted map[string]string) int {
	if value, scalar := wanted[""]; scalar {
		if item.Kind == yaml.ScalarNode && item.Value == value {
			return 1
		}
		return 0
	}
	n := 0
	for name, value := range wanted {
		switch _, own := Entry(item, name); {
		case own == nil:
		case own.Kind != yaml.ScalarNode || own.Value != value:
			return 0
		default:
			n++
		}
	}
	return n
}
