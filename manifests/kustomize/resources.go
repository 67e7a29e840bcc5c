package kustomize

import (
	"bytes"
	"path"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/kustomize/api/types"
)

// Files in memory are named after what they hold, because the same file may be given to kustomize in more than one role.
const (
	suffixObjects = ".objects"
	suffixConfig  = ".config"
	suffixData    = ".data"
)

// markAnnotation tells which Source an object came from. Kustomize leaves annotations of this prefix alone, and keeps them when a patch
// replaces all others.
const markAnnotation = "internal.config.kubernetes.io/kilter-source"

// resources reads the files and bases of a kustomization.
func (s *scan) resources(k *kustomization) error {
	bases := &k.spec.Bases //nolint:staticcheck // deprecated, and read as long as kustomize reads it
	var written []string
	for _, list := range []struct {
		field string
		names []string
	}{{"resources", k.spec.Resources}, {"bases", *bases}} {
		for i, name := range list.names {
			resource, err := s.resource(k.entry(list.field, i), name)
			if err != nil {
				return err
			}
			written = append(written, resource)
		}
	}
	k.spec.Resources, *bases = written, nil
	return nil
}

// resource reads one entry of resources: a file, or the directory of another kustomization.
func (s *scan) resource(e entry, name string) (string, error) {
	clean, is, err := s.local(e, name)
	if err != nil || is == refused {
		return "", err
	}
	if is == directory {
		return dotted(name), s.base(e, clean, false)
	}
	clean, data, ok, err := s.file(e, name)
	if !ok {
		return "", err
	}
	return dotted(name) + suffixObjects, s.manifests(e, clean, data)
}

// components reads the components of a kustomization.
func (s *scan) components(k *kustomization) error {
	for i, name := range k.spec.Components {
		e := k.entry("components", i)
		clean, is, err := s.local(e, name)
		switch {
		case err != nil:
			return err
		case is == absent:
			s.fail(e, ReasonBuild, "%s does not exist: correct the path, or add the component", printable(name))
		case is == file:
			s.fail(e, ReasonBuild, "%s is a file, and a component is a directory: list it under resources", printable(name))
		case is == directory:
			if err := s.base(e, clean, true); err != nil {
				return err
			}
		}
		k.spec.Components[i] = dotted(name)
	}
	return nil
}

// base reads another kustomization. One that contains the kustomization that names it would come back to it.
func (s *scan) base(e entry, dir string, component bool) error {
	if i := slices.Index(s.stack, dir); i >= 0 {
		circle := append(slices.Clone(s.stack[i:]), dir)
		s.fail(e, ReasonBuild, "kustomizations go in a circle, %s: remove one of these entries", strings.Join(circle, " -> "))
		return nil
	}
	if i := slices.IndexFunc(s.stack, func(user string) bool { return within(user, dir) }); i >= 0 {
		s.fail(e, ReasonBuild, "%s contains %s, which is built from it: move what they share into a directory beside it", dir, s.stack[i])
		return nil
	}
	k, err := s.kustomization(dir, &e)
	switch {
	case err != nil || k == nil:
		return err
	case component && !k.component():
		s.fail(e, ReasonBuild, "%s is no component: list it under resources", dir)
	case !component && k.component():
		s.fail(e, ReasonBuild, "%s is a component: list it under components", dir)
	}
	return s.add(e, &e.k.cost, k.cost)
}

// manifests reads a file of objects, and puts it in memory with a mark on each object.
func (s *scan) manifests(e entry, name string, data []byte) error {
	c, known := s.objects[name]
	if !known {
		documents, ok := s.strict(Text{File: name, Data: data, Objects: true})
		var marked [][]byte
		for _, d := range documents {
			if !ok || d.JSON == nil {
				continue
			}
			c.objects++
			c.refers += references(d.Node, "")
			marked = append(marked, s.mark(d.JSON, &Source{
				Place: Place{File: name, Document: d.Index, Line: d.Node.Line, Column: d.Node.Column},
				node:  d.Node, kind: text(d.Node, "kind"), name: text(d.Node, "metadata", "name"),
				items: items(d.Node), size: len(d.JSON),
			}))
		}
		content := bytes.Join(marked, []byte("\n---\n"))
		c.bytes = len(content)
		s.objects[name], s.plan.memory[name+suffixObjects] = c, content
	}
	return s.add(e, &e.k.cost, c)
}

// mark returns an object's JSON with its source's mark, fit to be read as YAML.
func (s *scan) mark(object []byte, source *Source) []byte {
	s.plan.sources = append(s.plan.sources, source)
	return quoted(annotated(object, strconv.Itoa(len(s.plan.sources)-1)))
}

// configurations reads files that say which fields hold names, labels and so on.
func (s *scan) configurations(k *kustomization) error {
	for i, name := range k.spec.Configurations {
		documents, clean, err := s.config(k.entry("configurations", i), name)
		if err != nil {
			return err
		}
		if len(documents) == 1 {
			k.cost.fields += bytes.Count(documents[0].JSON, []byte(`"path"`))
		}
		k.spec.Configurations[i] = clean
	}
	return nil
}

// config reads a file of one document that is no object, and puts it in memory. It returns the name to give kustomize.
func (s *scan) config(e entry, name string) ([]Document, string, error) {
	clean, data, ok, err := s.file(e, name)
	if !ok {
		return nil, "", err
	}
	documents, ok := s.strict(Text{File: clean, Data: data})
	switch {
	case !ok:
		return nil, "", nil
	case len(documents) != 1:
		s.fail(e, ReasonBuild, "%s must hold one document", printable(name))
		return nil, "", nil
	}
	s.plan.memory[clean+suffixConfig] = quoted(documents[0].JSON)
	return documents, dotted(name) + suffixConfig, nil
}

// generators reads the files of ConfigMap and Secret generators, and marks what they generate.
func (s *scan) generators(k *kustomization) error {
	for i := range k.spec.ConfigMapGenerator {
		if err := s.generator(k.entry("configMapGenerator", i), "ConfigMap", &k.spec.ConfigMapGenerator[i].GeneratorArgs); err != nil {
			return err
		}
	}
	for i := range k.spec.SecretGenerator {
		if err := s.generator(k.entry("secretGenerator", i), "Secret", &k.spec.SecretGenerator[i].GeneratorArgs); err != nil {
			return err
		}
	}
	return nil
}

func (s *scan) generator(e entry, kind string, args *types.GeneratorArgs) error {
	source := &Source{Place: e.k.at(e.node), kind: kind, name: args.Name, values: map[string]int{}}
	s.plan.sources = append(s.plan.sources, source)
	if args.Options == nil {
		args.Options = &types.GeneratorOptions{}
	}
	if args.Options.Annotations == nil {
		args.Options.Annotations = map[string]string{}
	}
	args.Options.Annotations[markAnnotation] = strconv.Itoa(len(s.plan.sources) - 1)
	if args.Name == "" {
		s.fail(e, ReasonBuild, "name is missing")
	}
	if err := s.keyValues(e, &args.KvPairSources, source); err != nil {
		return err
	}
	return s.add(e, &e.k.cost, cost{objects: 1, bytes: source.size})
}

// keyValues reads the files that a generator takes its data from, and tells the source how long the values are.
func (s *scan) keyValues(e entry, from *types.KvPairSources, source *Source) error {
	for i, literal := range from.LiteralSources {
		key, value, ok := strings.Cut(literal, "=")
		if key == "" || !ok {
			s.fail(e.to("literals", i), ReasonBuild, "must be of the form key=value")
		}
		source.values[key] = len(value)
		source.size += len(literal)
	}
	if from.EnvSource != "" {
		from.EnvSources = append(from.EnvSources, from.EnvSource)
		from.EnvSource = ""
	}
	for i, name := range from.EnvSources {
		written, read, err := s.data(e.to("envs", i), name)
		if err != nil {
			return err
		}
		from.EnvSources[i] = written
		source.size += read
	}
	for i, file := range from.FileSources {
		key, name, named := strings.Cut(file, "=")
		if !named {
			key, name = path.Base(file), file
		}
		if key == "" || name == "" || strings.Contains(name, "=") {
			s.fail(e.to("files", i), ReasonBuild, "must be a path, or key=path, with no other equals sign")
			continue
		}
		written, read, err := s.data(e.to("files", i), name)
		if err != nil {
			return err
		}
		from.FileSources[i], source.values[key] = key+"="+written, read
		source.size += read
	}
	return nil
}

// data puts a file in memory as it is. It returns the name to give kustomize, and the file's length.
func (s *scan) data(e entry, name string) (string, int, error) {
	clean, data, ok, err := s.file(e, name)
	if !ok {
		return "", 0, err
	}
	s.plan.memory[clean+suffixData] = data
	return dotted(name) + suffixData, len(data), nil
}
