package kustomize

import (
	"bytes"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/types"
)

// patch is one document of a patch: a strategic merge patch, or a list of JSON patch operations.
type patch struct {
	file     string
	document Document
	applies  func(kind, name string) bool // to the object as its source has it
}

func (p patch) at(node *yaml.Node) Place {
	return Place{File: p.file, Document: p.document.Index, Line: node.Line, Column: node.Column}
}

// patches reads the patches of a kustomization, of the current form and of the two deprecated ones.
func (s *scan) patches(k *kustomization) error {
	merges, operations := k.spec.PatchesStrategicMerge, k.spec.PatchesJson6902 //nolint:staticcheck // deprecated, and still read by kustomize
	for i := range merges {
		if err := s.strategicMerge(k.entry("patchesStrategicMerge", i), &merges[i]); err != nil {
			return err
		}
	}
	for i := range k.spec.Patches {
		if err := s.patch(k.entry("patches", i), &k.spec.Patches[i]); err != nil {
			return err
		}
	}
	for i := range operations {
		if err := s.patch(k.entry("patchesJson6902", i), &operations[i]); err != nil {
			return err
		}
	}
	return nil
}

// strategicMerge reads an entry of patchesStrategicMerge, which is either a path or the patch itself.
func (s *scan) strategicMerge(e entry, p *types.PatchStrategicMerge) error {
	path := string(*p)
	if strings.ContainsAny(path, "\n{") {
		path = ""
	}
	patches, err := s.patchText(e, path, e.value)
	if err != nil || patches == nil {
		return err
	}
	*p = types.PatchStrategicMerge(joined(patches))
	s.addPatches(&e.k.cost, patches, nil)
	return nil
}

// patch reads an entry of patches or patchesJson6902.
func (s *scan) patch(e entry, p *types.Patch) error {
	if (p.Path == "") == (p.Patch == "") {
		s.fail(e, ReasonBuild, "needs either path or patch, and not both")
		return nil
	}
	where := e.to("patch")
	if p.Path != "" {
		where = e.to("path")
	}
	patches, err := s.patchText(where, p.Path, where.value)
	if err != nil || patches == nil {
		return err
	}
	operations := patches[0].document.Node.Kind == yaml.SequenceNode
	switch {
	case operations && p.Target == nil:
		s.fail(e, ReasonBuild, "a JSON patch needs a target: say which objects it changes")
	case len(patches) > 1 && (p.Target != nil || operations):
		s.fail(e, ReasonBuild, "a patch with a target must be one document: make an entry for each")
	}
	p.Path, p.Patch = "", joined(patches)
	s.addPatches(&e.k.cost, patches, p.Target)
	return nil
}

// patchText reads a patch from a file or, without a path, from the scalar it stands in. It returns nil after a Problem.
func (s *scan) patchText(e entry, path string, scalar *yaml.Node) ([]patch, error) {
	var documents []Document
	file, ok := e.k.file, false
	if path == "" {
		documents, ok = s.inline(e, scalar)
	} else {
		clean, data, found, err := s.file(e, path)
		if !found {
			return nil, err
		}
		file = clean
		documents, ok = s.strict(Text{File: clean, Data: data})
	}
	if ok && len(documents) == 0 {
		s.fail(e, ReasonBuild, "the patch is empty: write it, or remove the entry")
	}
	var patches []patch
	for i, d := range documents {
		p := patch{file: file, document: d}
		if d.Node.Kind != yaml.MappingNode && (d.Node.Kind != yaml.SequenceNode || i > 0) {
			s.problem(Problem{
				Place: p.at(d.Node), Reason: ReasonBuild,
				Message: "neither a strategic merge patch, which is a mapping, nor a list of JSON patch operations",
			})
			ok = false
		}
		patches = append(patches, p)
	}
	if !ok {
		return nil, nil
	}
	return patches, nil
}

// joined writes patches for kustomize.
func joined(patches []patch) string {
	var all [][]byte
	for _, p := range patches {
		all = append(all, quoted(p.document.JSON))
	}
	return string(bytes.Join(all, []byte("\n---\n")))
}

// addPatches remembers patches, what they apply to and what they may cost.
func (s *scan) addPatches(c *cost, patches []patch, target *types.Selector) {
	for _, p := range patches {
		node := p.document.Node
		if target != nil {
			kind, name := anchored(target.Kind), anchored(target.Name)
			p.applies = func(k, n string) bool { return kind.MatchString(k) && name.MatchString(n) }
			c.each += len(p.document.JSON)
		} else {
			kind, name := text(node, "kind"), text(node, "metadata", "name")
			p.applies = func(k, n string) bool { return kind == k && name == n }
			c.bytes += len(p.document.JSON)
		}
		s.patched(c, p)
		s.plan.patches = append(s.plan.patches, p)
	}
}

// anchored is the expression that kustomize makes of a selector's field. What is empty matches everything; what is wrong is for
// kustomize to refuse.
func anchored(pattern string) *regexp.Regexp {
	if compiled, err := regexp.Compile("^(?:" + pattern + ")$"); err == nil && pattern != "" {
		return compiled
	}
	return regexp.MustCompile("")
}
