package kustomize

import (
	"encoding/json"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/types"
)

// replacements reads the files that hold replacements, and puts what they hold in their place.
func (s *scan) replacements(k *kustomization) error {
	var written []types.ReplacementField
	for i, r := range k.spec.Replacements {
		if r.Path == "" {
			written = append(written, r)
			continue
		}
		e := k.entry("replacements", i)
		if r.Source != nil || len(r.Targets) > 0 {
			s.fail(e, ReasonBuild, "needs either path or a source with targets, and not both")
			continue
		}
		documents, _, err := s.config(e.to("path"), r.Path)
		if err != nil {
			return err
		}
		for _, d := range documents {
			var list []types.ReplacementField
			if data := d.JSON; json.Unmarshal(asList(d.Node, data), &list) != nil {
				s.fail(e.to("path"), ReasonBuild, "%s holds no replacements: compare it with kustomize's reference", printable(r.Path))
			}
			for _, r := range list {
				r.Path = "" // a file names no further files
				written = append(written, r)
			}
		}
	}
	for _, r := range written {
		k.replacements = append(k.replacements, r.Replacement)
	}
	k.spec.Replacements = written
	return nil
}

func asList(node *yaml.Node, data []byte) []byte {
	if node.Kind == yaml.SequenceNode {
		return data
	}
	return append(append([]byte{'['}, data...), ']')
}
