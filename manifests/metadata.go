package manifests

import (
	"fmt"
	"time"

	"go.yaml.in/yaml/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kilter.dev/kilter/manifests/document"
)

// reporter takes what is wrong with an object, or remarkable.
type reporter func(severity Severity, at *yaml.Node, field, reason, message string)

// checkMetadata reports what no manifest may lack or hold, whatever its kind.
func checkMetadata(node *yaml.Node, report reporter) {
	key, metadata := entry(node, "metadata")
	if metadata == nil {
		report(Error, node, "metadata", ReasonStructure, "metadata.name is missing")
		return
	}
	if metadata.Kind != yaml.MappingNode {
		report(Error, key, "metadata", string(metav1.CauseTypeTypeInvalid), "must be a mapping")
		return
	}
	for i := 0; i+1 < len(metadata.Content); i += 2 {
		key, value := metadata.Content[i], metadata.Content[i+1]
		field := "metadata." + key.Value
		if why, ok := refused[key.Value]; ok && !isUnset(value) {
			report(Error, key, field, string(metav1.CauseTypeForbidden), why+": remove it")
		} else if ignored(key, value) && !document.IsNull(value) {
			report(Warning, key, field, ReasonWarning, "set by the server, and left out here: remove it")
		}
	}
	nameKey, name := entry(metadata, "name")
	generateKey, _ := entry(metadata, "generateName")
	switch {
	case name == nil && generateKey != nil:
		report(Error, generateKey, "metadata.generateName", ReasonStructure,
			"gives a new object at every apply: give a name instead, so that the same object is kept as Git says")
	case name == nil:
		report(Error, key, "metadata.name", ReasonStructure, "missing")
	case stringAt(metadata, "name") == "":
		report(Error, nameKey, "metadata.name", ReasonStructure, "must be a string that is not empty"+quoteHint(name))
	}
	if key, namespace := entry(metadata, "namespace"); namespace != nil && !document.IsNull(namespace) && !isEmptyString(namespace) &&
		stringAt(metadata, "namespace") == "" {
		report(Error, key, "metadata.namespace", ReasonStructure, "must be a string that is not empty, or be left out"+quoteHint(namespace))
	}
}

// refused are the fields of metadata with which the server refuses an apply, and why.
var refused = map[string]string{
	"managedFields":   "no apply may contain it",
	"resourceVersion": "it names one state of the object, and the server would refuse every later apply",
	"uid":             "the server chooses it, and refuses an apply for any other object",
}

// isUnset reports whether a value means to the server that the field is not there.
func isUnset(value *yaml.Node) bool {
	return document.IsNull(value) || value.Kind == yaml.ScalarNode && value.Value == ""
}

// ignored reports whether an entry of metadata is one that the server sets by itself, whatever a manifest says. A value that it could not
// even read is not.
func ignored(key, value *yaml.Node) bool {
	switch key.Value {
	case "creationTimestamp", "deletionTimestamp":
		_, err := time.Parse(time.RFC3339, value.Value)
		return err == nil || document.IsNull(value)
	case "deletionGracePeriodSeconds":
		s, err := document.Resolve(value)
		return value.Kind == yaml.ScalarNode && err == nil && (s.Kind == document.Number || s.Kind == document.Null)
	}
	return false
}

// quoteHint is the way out for a name that YAML does not read as a string.
func quoteHint(node *yaml.Node) string {
	if s, err := document.Resolve(node); err == nil && (s.Kind == document.Bool || s.Kind == document.Number) {
		return fmt.Sprintf(": YAML reads %s as %s, so quote it", node.Value, s.Kind)
	}
	return ""
}

// isEmptyString reports whether a value is "": of a namespace, that is none.
func isEmptyString(value *yaml.Node) bool {
	s, err := document.Resolve(value)
	return value.Kind == yaml.ScalarNode && err == nil && s.Kind == document.String && value.Value == ""
}

// generated reports whether an entry is one that generators and "kubectl get -o yaml" add and the server ignores: it is left out.
func generated(parent string, depth int, key, value *yaml.Node) bool {
	switch key.Value {
	case "status":
		return depth == 1
	case "creationTimestamp":
		if parent == "metadata" && document.IsNull(value) {
			return true // in templates, too
		}
	case "namespace":
		return depth == 2 && parent == "metadata" && isEmptyString(value)
	case "generation", "selfLink":
		return depth == 2 && parent == "metadata"
	}
	return depth == 2 && parent == "metadata" && ignored(key, value)
}
