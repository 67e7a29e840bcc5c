package kustomize

import (
	"cmp"
	"encoding/json"
	"errors"
	"path"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/types"
)

// kustomization is one kustomization file, on its way from what its author wrote to what kustomize is given.
type kustomization struct {
	dir, file string
	document  int
	root      *yaml.Node // the mapping
	lines     []string   // of the file
	spec      types.Kustomization
	cost      cost // of building it once, bases included

	replacements []types.Replacement // all of its own, from wherever they were read
}

func (k *kustomization) component() bool { return k.spec.Kind == types.ComponentKind }

// kustomization reads the kustomization in a directory, once, with everything it names. It returns nil after a Problem. By is the
// entry that names the directory; nil for the outermost.
func (s *scan) kustomization(dir string, by *entry) (*kustomization, error) {
	if k, done := s.known[dir]; done {
		return k, nil
	}
	s.known[dir] = nil // until it is read; for ever, when it cannot be
	k, err := s.open(dir, by)
	if err != nil || k == nil {
		return nil, err
	}
	s.known[dir] = k
	s.stack = append(s.stack, dir)
	defer func() { s.stack = s.stack[:len(s.stack)-1] }()
	s.notices(k)
	// The order is kustomize's own: it decides which patch has the last word.
	for _, part := range []func(*kustomization) error{
		s.resources, s.configurations, s.generators, s.components, s.patches, s.replacements, s.plugins, s.estimate,
	} {
		if err := part(k); err != nil {
			return nil, err
		}
	}
	s.plan.kusts = append(s.plan.kusts, k)
	written, err := json.Marshal(k.spec)
	if err != nil {
		return nil, err
	}
	s.plan.memory[path.Join(dir, konfig.DefaultKustomizationFileName())] = quoted(written)
	return k, nil
}

// open finds, reads and decodes the one kustomization file of a directory.
func (s *scan) open(dir string, by *entry) (*kustomization, error) {
	var found []string
	for _, name := range konfig.RecognizedKustomizationFileNames() {
		is, err := s.files.stat(path.Join(dir, name))
		if err != nil {
			return nil, err
		}
		if is == file {
			found = append(found, path.Join(dir, name))
		}
	}
	k := &kustomization{dir: dir, file: dir}
	if len(found) > 0 {
		k.file = found[0]
	}
	where := entry{k: k}
	if by != nil {
		where = *by
	} else {
		s.plan.File = k.file
	}
	switch {
	case len(found) == 0:
		s.fail(where, ReasonBuild, "%s holds no kustomization.yaml: add one, or name its files instead of the directory", dir)
		return nil, nil
	case len(found) > 1:
		s.fail(where, ReasonBuild, "%s holds more than one kustomization file, %s: remove all but one", dir, strings.Join(found, " and "))
		return nil, nil
	}
	data, err := s.read(entry{k: k}, k.file)
	if data == nil {
		return nil, err
	}
	k.lines = strings.Split(string(data), "\n")
	documents, ok := s.strict(Text{File: k.file, Data: data})
	switch {
	case !ok:
		return nil, nil
	case len(documents) == 0:
		s.fail(entry{k: k}, ReasonBuild, "empty: name the resources, generators or components to build")
		return nil, nil
	}
	k.root, k.document = documents[0].Node, documents[0].Index
	if len(documents) > 1 {
		k.document = documents[1].Index
		s.fail(entry{k: k, node: documents[1].Node}, ReasonBuild, "a kustomization file holds one document: remove the others")
		return nil, nil
	}
	if k.root.Kind != yaml.MappingNode {
		s.fail(entry{k: k, node: k.root}, ReasonBuild, "not a kustomization, which is a mapping")
		return nil, nil
	}
	if !s.decode(k, documents[0].JSON) {
		return nil, nil
	}
	return k, nil
}

// decode reads the fields as kustomize does, and says which of them it does not know.
func (s *scan) decode(k *kustomization, data []byte) bool {
	kind, apiVersion := text(k.root, "kind"), text(k.root, "apiVersion")
	version := types.KustomizationVersion
	if kind == types.ComponentKind {
		version = types.ComponentVersion
	}
	switch {
	case kind != "" && kind != types.KustomizationKind && kind != types.ComponentKind:
		s.fail(k.entry("kind"), ReasonBuild, "must be %s or %s", types.KustomizationKind, types.ComponentKind)
		return false
	case apiVersion != "" && apiVersion != version:
		s.fail(k.entry("apiVersion"), ReasonBuild, "must be %s: a file of this name is taken for a kustomization", version)
		return false
	}
	if err := k.spec.Unmarshal(quoted(data)); err != nil {
		s.undecodable(k, err)
		return false
	}
	if err := k.spec.CheckEmpty(); err != nil {
		s.fail(entry{k: k, node: k.root}, ReasonBuild, "empty: name the resources, generators or components to build")
		return false
	}
	return true
}

var unknownField = regexp.MustCompile(`unknown field "([^"]*)"`)

var embedded = regexp.MustCompile(`\b(GeneratorArgs|KvPairSources|ResId|Gvk)\.`)

// undecodable says why a kustomization file cannot be decoded.
func (s *scan) undecodable(k *kustomization, err error) {
	if match := unknownField.FindStringSubmatch(err.Error()); match != nil {
		e := entry{k: k, node: key(k.root, match[1]), field: match[1]}
		s.fail(e, ReasonBuild, "not a field of a kustomization: correct its name, or remove it")
		return
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		// The path leaves out which item of a list it is, and names the structs that kustomize nests.
		field := embedded.ReplaceAllString(wrong.Field, "")
		top, _, _ := strings.Cut(field, ".")
		e := k.entry(top)
		if name := path.Ext(field); name != "" && e.value != nil {
			e = entry{k: k, node: cmp.Or(key(e.value, name[1:]), e.node), field: field}
		}
		s.fail(e, ReasonBuild, "of the wrong type: kustomize wants %s here", wanted(wrong.Type.String()))
		return
	}
	s.fail(entry{k: k, node: k.root}, ReasonBuild, "cannot be read as a kustomization: compare it with kustomize's reference")
}

// wanted describes a Go type to somebody who writes YAML.
func wanted(goType string) string {
	switch {
	case goType == "string":
		return "a string (quote it)"
	case goType == "bool":
		return "true or false"
	case strings.HasPrefix(goType, "int"):
		return "a whole number"
	case strings.HasPrefix(goType, "[]"):
		return "a list"
	}
	return "a mapping"
}

// key returns the first key of that name, at any depth.
func key(node *yaml.Node, name string) *yaml.Node {
	if found, _ := child(node, name); found != nil {
		return found
	}
	for _, below := range node.Content {
		if found := key(below, name); found != nil {
			return found
		}
	}
	return nil
}

// notices reports what is deprecated, and refuses what would run a program or change what other builds see.
func (s *scan) notices(k *kustomization) {
	for _, field := range []struct{ name, instead string }{
		{"bases", "resources"},
		{"commonLabels", "labels, with includeSelectors: true"},
		{"imageTags", "images"},
		{"patchesJson6902", "patches"},
		{"patchesStrategicMerge", "patches"},
		{"vars", "replacements"},
	} {
		if found, _ := child(k.root, field.name); found != nil {
			s.problem(Problem{
				Place: k.at(found), Field: field.name, Reason: ReasonWarning, Warning: true,
				Message: "deprecated by kustomize: use " + field.instead,
			})
		}
	}
	for _, field := range []string{"helmCharts", "helmChartInflationGenerator", "helmGlobals"} {
		if found, _ := child(k.root, field); found != nil {
			s.fail(k.entry(field), ReasonRefused, "helm is a program and is not run during a build: commit what \"helm template\" prints, "+
				"and list that under resources")
		}
	}
	if found, _ := child(k.root, "crds"); found != nil {
		s.fail(k.entry("crds"), ReasonRefused, "not supported: say which fields hold names or labels in a file under configurations")
	}
	if _, custom := k.spec.OpenAPI["path"]; custom {
		s.fail(k.entry("openapi", "path"), ReasonRefused,
			"a schema of one's own is not supported: patch lists of custom resources with JSON patches")
	}
}
