package kustomize

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/types"
)

// plugins reads the configurations of generators, transformers and validators. Only those compiled into kustomize are run; all others
// are programs.
func (s *scan) plugins(k *kustomization) error {
	for _, list := range []struct {
		field string
		names []string
	}{{"generators", k.spec.Generators}, {"transformers", k.spec.Transformers}, {"validators", k.spec.Validators}} {
		for i, name := range list.names {
			configs, err := s.plugin(k.entry(list.field, i), name)
			if err != nil {
				return err
			}
			if list.names[i] = string(bytes.Join(configs, []byte("\n---\n"))); list.field == "generators" {
				if err := s.add(k.entry(list.field, i), &k.cost, cost{objects: len(configs)}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// plugin reads one entry: a file, or the configuration itself.
func (s *scan) plugin(e entry, name string) ([][]byte, error) {
	file := e.k.file
	documents, ok := []Document(nil), false
	if strings.ContainsAny(name, "\n{") {
		documents, ok = s.inline(e, e.value)
	} else {
		_, is, err := s.local(e, name)
		if err != nil || is == refused {
			return nil, err
		}
		if is == directory {
			s.fail(e, ReasonRefused, "%s is a directory, and plugins are taken from files only: name its files", printable(name))
			return nil, nil
		}
		clean, data, found, err := s.file(e, name)
		if !found {
			return nil, err
		}
		file = clean
		documents, ok = s.strict(Text{File: clean, Data: data, Objects: true})
	}
	if !ok {
		return nil, nil
	}
	var configs [][]byte
	for _, d := range documents {
		at := Place{File: file, Document: d.Index, Line: d.Node.Line, Column: d.Node.Column}
		if what := program(d.Node); what != "" {
			s.problem(Problem{
				Place: at, Field: "kind", Reason: ReasonRefused,
				Message: what + ", and no program is run during a build: commit what it generates, and list that under resources",
			})
			continue
		}
		s.builtin(e, d.JSON)
		e.k.cost.each += len(d.JSON)
		e.k.cost.looks++
		configs = append(configs, quoted(d.JSON))
	}
	return configs, nil
}

// builtinKinds are the plugins compiled into kustomize, helm's aside.
var builtinKinds = []string{
	"AnnotationsTransformer", "ConfigMapGenerator", "HashTransformer", "IAMPolicyGenerator", "ImageTagTransformer", "LabelTransformer",
	"NamespaceTransformer", "PatchJson6902Transformer", "PatchStrategicMergeTransformer", "PatchTransformer", "PrefixSuffixTransformer",
	"PrefixTransformer", "ReplacementTransformer", "ReplicaCountTransformer", "SecretGenerator", "SuffixTransformer", "ValueAddTransformer",
}

// program says what kind of program a plugin's configuration asks for, or nothing for a built-in plugin.
func program(config *yaml.Node) string {
	kind := text(config, "kind")
	annotations := lookup(config, "metadata", "annotations")
	for _, name := range []string{"config.kubernetes.io/function", "config.k8s.io/function"} {
		if function, _ := child(annotations, name); function != nil {
			return kind + " is a function in a container or a program"
		}
	}
	switch {
	case text(config, "apiVersion") != konfig.BuiltinPluginApiVersion:
		return kind + " is an exec or Go plugin"
	case kind == "HelmChartInflationGenerator":
		return "helm is a program"
	case !slices.Contains(builtinKinds, kind):
		return kind + " is not built into kustomize"
	}
	return ""
}

// builtin checks the configuration of a built-in plugin: it may name no files, and what it contains counts as it does elsewhere.
func (s *scan) builtin(e entry, config []byte) {
	// What kustomize decodes it into ignores the case of keys, so this does as well; and it decodes the keys in this order, too.
	var c struct {
		Path           string   `json:"path"`
		Paths          []string `json:"paths"`
		TargetFilePath string   `json:"targetFilePath"`
		types.KvPairSources

		Target       *types.Selector          `json:"target"`
		Patch        string                   `json:"patch"`
		JSONOp       string                   `json:"jsonOp"`
		Patches      string                   `json:"patches"`
		Replacements []types.ReplacementField `json:"replacements"`
	}
	if err := json.Unmarshal(config, &c); err != nil {
		s.fail(e, ReasonBuild, "the plugin's configuration cannot be decoded: compare it with kustomize's reference")
		return
	}
	named := c.Path + c.TargetFilePath + c.EnvSource + strings.Join(slices.Concat(c.Paths, c.FileSources, c.EnvSources), "")
	for _, r := range c.Replacements {
		named += r.Path
		e.k.replacements = append(e.k.replacements, r.Replacement)
	}
	if named != "" {
		s.fail(e, ReasonRefused, "a plugin's configuration may not name files: "+
			"write their content into it, or use the field of kustomization.yaml that does the same")
	}
	for _, patches := range []string{c.Patch, c.JSONOp, c.Patches} {
		documents, problems := s.options.Strict(Text{File: e.k.file, Data: []byte(patches)})
		for _, p := range problems {
			s.fail(e, p.Reason, "the patch in the plugin's configuration: %s", p.Message)
		}
		var read []patch
		for _, d := range documents {
			read = append(read, patch{file: e.k.file, document: d})
		}
		if len(problems) == 0 {
			s.addPatches(&e.k.cost, read, c.Target)
		}
	}
}
