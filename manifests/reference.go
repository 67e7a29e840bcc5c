package manifests

import "strings"

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

// DependsOnAnnotation names what an object comes after.
const DependsOnAnnotation = annotationDependsOn
