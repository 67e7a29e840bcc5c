package document

import "go.yaml.in/yaml/v3"

// Entry returns the key and value nodes of a mapping's entry, or nils. It looks at every entry: for a constant number of look-ups.
func Entry(node *yaml.Node, name string) (key, value *yaml.Node) {
	if node == nil || node.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == name {
			return node.Content[i], node.Content[i+1]
		}
	}
	return nil, nil
}

// Lookup follows mapping keys down and returns the value there, or nil.
func Lookup(node *yaml.Node, names ...string) *yaml.Node {
	for _, name := range names {
		_, node = Entry(node, name)
	}
	return node
}

// StringAt returns the string at the end of the keys, or "" when there is none or it is no string.
func StringAt(node *yaml.Node, names ...string) string {
	value := Lookup(node, names...)
	if value == nil || value.Kind != yaml.ScalarNode {
		return ""
	}
	if scalar, err := Resolve(value); err != nil || scalar.Kind != String {
		return ""
	}
	return value.Value
}

// IsNull reports whether a node is a scalar that means null: null, ~, or nothing at all.
func IsNull(node *yaml.Node) bool {
	if node.Kind != yaml.ScalarNode {
		return false
	}
	s, err := Resolve(node)
	return err == nil && s.Kind == Null
}
