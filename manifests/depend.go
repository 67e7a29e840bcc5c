package manifests

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The annotations that this package reads.
const (
	annotationDependsOn   = "config.kubernetes.io/depends-on"
	annotationLocalConfig = "config.kubernetes.io/local-config"
	annotationMutation    = "client.lifecycle.config.k8s.io/mutation"

	dependsOnField = "metadata.annotations[" + annotationDependsOn + "]"
)

// dependencies reads the depends-on annotation.
func (m *manifest) dependencies(text string, refuse func(message string)) {
	for reference := range strings.SplitSeq(text, ",") {
		id, err := parseReference(strings.TrimSpace(reference))
		if err != nil {
			refuse(err.Error())
			continue
		}
		m.object.DependsOn = append(m.object.DependsOn, id)
	}
	slices.SortFunc(m.object.DependsOn, ID.Compare)
	m.object.DependsOn = slices.Compact(m.object.DependsOn)
}

// DependsOnAnnotation names what an object comes after.
const DependsOnAnnotation = annotationDependsOn

// References returns the IDs in a value of config.kubernetes.io/depends-on, in their order. What names nothing is left out: Load reports it
// where the annotation stands in Git, and in the cluster nobody is there to be told.
func References(text string) []ID {
	var ids []ID
	for reference := range strings.SplitSeq(text, ",") {
		if id, err := parseReference(strings.TrimSpace(reference)); err == nil {
			ids = append(ids, id)
		}
	}
	return ids
}

// parseReference reads "group/namespaces/namespace/Kind/name" or, for cluster-scoped objects, "group/Kind/name". The core group is
// empty: "/namespaces/default/ConfigMap/settings".
func parseReference(text string) (ID, error) {
	parts := strings.Split(text, "/")
	switch {
	case len(parts) == 5 && parts[1] == "namespaces" && parts[2] != "" && parts[3] != "" && parts[4] != "":
		return ID{Group: parts[0], Namespace: parts[2], Kind: parts[3], Name: parts[4]}, nil
	case len(parts) == 3 && parts[1] != "" && parts[2] != "":
		return ID{Group: parts[0], Kind: parts[1], Name: parts[2]}, nil
	case text == "":
		return ID{}, errors.New("names nothing: write group/namespaces/namespace/Kind/name, and a comma only between two of them")
	}
	return ID{}, fmt.Errorf("%q is not of the form group/namespaces/namespace/Kind/name, or group/Kind/name for a cluster-scoped object "+
		"(the core group is empty, so its references start with a slash)", text)
}

// dependsOn writes an ID as parseReference reads it.
func dependsOn(id ID) string {
	if id.Namespace == "" {
		return id.Group + "/" + id.Kind + "/" + id.Name
	}
	return id.Group + "/namespaces/" + id.Namespace + "/" + id.Kind + "/" + id.Name
}

// missing explains a dependency that is not in the tree; inNamespaces lists where objects of its kind and name are.
func missing(id ID, local bool, inNamespaces []string) string {
	switch {
	case local:
		return fmt.Sprintf("%s is marked %s and never applied: remove the dependency or the mark", id, annotationLocalConfig)
	case id.Namespace == "" && len(inNamespaces) > 0:
		id.Namespace = inNamespaces[0]
		return fmt.Sprintf("%s is namespaced: write %s", id.Kind, dependsOn(id))
	case len(inNamespaces) > 0:
		return fmt.Sprintf("%s is not in this tree (there is one in namespace %s): correct the reference, or add the object",
			id, strings.Join(inNamespaces, ", "))
	}
	return fmt.Sprintf("%s is not in this tree: add it, or correct or remove the reference", id)
}
