package manifests

import "go.yaml.in/yaml/v3"

// UsesOf returns what a live object refers to and cannot work without, sorted, as Object.Uses has it for a manifest. Nothing is returned for an
// object that is not of the shape of its kind.
func UsesOf(id ID, content map[string]any) []ID {
	var node yaml.Node
	if err := node.Encode(content); err != nil {
		return nil
	}
	return inNamespace(uses(referencesOf(id, &node)), id.Namespace)
}
