package manifests

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kilter.dev/kilter/manifests/document"
)

// checkMetadata reports what no manifest may lack or hold, whatever its kind.
func checkMetadata(node *yaml.Node, report func(at *yaml.Node, field, reason, message string)) {
	key, metadata := entry(node, "metadata")
	if metadata == nil {
		report(node, "metadata", ReasonStructure, "metadata.name is missing")
		return
	}
	if metadata.Kind != yaml.MappingNode {
		report(key, "metadata", string(metav1.CauseTypeTypeInvalid), "must be a mapping")
		return
	}
	for i := 0; i+1 < len(metadata.Content); i += 2 {
		name, value := metadata.Content[i], metadata.Content[i+1]
		if slices.Contains(serverFields, name.Value) && !document.IsNull(value) {
			report(name, "metadata."+name.Value, string(metav1.CauseTypeForbidden), "set by the server: remove it")
		}
	}
	nameKey, name := entry(metadata, "name")
	generateKey, _ := entry(metadata, "generateName")
	switch {
	case name == nil && generateKey != nil:
		report(generateKey, "metadata.generateName", ReasonStructure,
			"gives a new object at every apply: give a name instead, so that the same object is kept as Git says")
	case name == nil:
		report(key, "metadata.name", ReasonStructure, "missing")
	case stringAt(metadata, "name") == "":
		report(nameKey, "metadata.name", ReasonStructure, "must be a string that is not empty"+quoteHint(name))
	}
	if key, namespace := entry(metadata, "namespace"); namespace != nil && !document.IsNull(namespace) && stringAt(metadata, "namespace") == "" {
		report(key, "metadata.namespace", ReasonStructure, "must be a string that is not empty, or be left out"+quoteHint(namespace))
	}
}

// serverFields are the fields of metadata that the server owns. What it merely ignores is left out instead (generated).
var serverFields = []string{
	"creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "managedFields", "resourceVersion", "uid",
}

// quoteHint is the way out for a name that YAML does not read as a string.
func quoteHint(node *yaml.Node) string {
	if s, err := document.Resolve(node); err == nil && (s.Kind == document.Bool || s.Kind == document.Number) {
		return fmt.Sprintf(": YAML reads %s as %s, so quote it", node.Value, s.Kind)
	}
	return ""
}

// generated reports whether an entry is one that generators and "kubectl get -o yaml" add and the server ignores: it is left out.
func generated(parent string, depth int, key, value *yaml.Node) bool {
	switch key.Value {
	case "status":
		return depth == 1
	case "creationTimestamp":
		return parent == "metadata" && document.IsNull(value)
	case "generation", "selfLink":
		return depth == 2 && parent == "metadata"
	}
	return false
}
