package kustomize

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Kustomize's errors are nested, repeat themselves, name files in memory and quote configurations with the secrets in them. So nothing
// of their text is shown but what these expressions take out: names of objects, paths of fields.
var explanations = []struct {
	pattern *regexp.Regexp
	message string   // with a verb for each group
	fields  []string // of the kustomization: where to point, the first that there is
}{
	{
		regexp.MustCompile(`may not add resource with an already registered id: ([^\s']+)`),
		"%s comes from two places: remove one, or give one of them another name or namespace",
		[]string{"resources", "components", "configMapGenerator", "secretGenerator"},
	},
	{
		regexp.MustCompile(`no resource matches strategic merge patch "([^"]+)`),
		"the patch is for %s, and there is no such object: correct its apiVersion, kind, name or namespace",
		[]string{"patches"},
	},
	{
		regexp.MustCompile(`no matches for Id ([^\s;]+)`),
		"there is no object %s: correct the reference to it",
		[]string{"patches", "patchesStrategicMerge", "replacements", "vars"},
	},
	{
		regexp.MustCompile(`id resid.ResId\{.*?Kind:"([^"]+)".*?Name:"([^"]+)"[^{}]*\} does not exist; cannot`),
		"there is no %s %s to merge with or to replace: correct the name, or leave behavior out",
		[]string{"configMapGenerator", "secretGenerator"},
	},
	{
		regexp.MustCompile(`id resid.ResId\{.*?Kind:"([^"]+)".*?Name:"([^"]+)"[^{}]*\} exists; can`),
		"%s %s exists already: give the generator the behavior merge or replace, or another name",
		[]string{"configMapGenerator", "secretGenerator"},
	},
	{
		regexp.MustCompile(`(add|remove|replace|move|copy|test)[^:]*? operation does not apply: doc is missing [a-z ]+[^"'/]*["']?(/[^\s"':]*)`),
		"the JSON patch cannot %s %s: the object has no such field or parent",
		[]string{"patches", "patchesJson6902", "transformers"},
	},
	{
		regexp.MustCompile(`testing (?:path|value) (/[^\s]+) failed`),
		"the JSON patch's test of %s fails",
		[]string{"patches", "patchesJson6902", "transformers"},
	},
	{
		regexp.MustCompile(`nothing selected by ([^\s:"']+)`),
		"the replacement's source %s does not exist: correct its kind, name or namespace",
		[]string{"replacements", "transformers"},
	},
	{
		regexp.MustCompile(`multiple matches for selector ([^\s:"']+)`),
		"the replacement's source %s is more than one object: say which, with name and namespace",
		[]string{"replacements", "transformers"},
	},
	{
		regexp.MustCompile("fieldPath `([^`]+)` is missing for replacement source"),
		"the replacement's source has no field %s",
		[]string{"replacements", "transformers"},
	},
	{
		regexp.MustCompile(`unable to find (?:or create )?field "([^"]+)" in replacement target`),
		"the replacement's target has no field %s: correct the path, or set options.create",
		[]string{"replacements", "transformers"},
	},
	{
		regexp.MustCompile("illegally repeats the key `([^`]+)`"),
		"the key %s is given twice",
		[]string{"configMapGenerator", "secretGenerator"},
	},
	{
		regexp.MustCompile(`"?([^\s"]+)"? is not a valid key name`),
		"%s is no valid key: use letters, digits, '-', '_' and '.'",
		[]string{"configMapGenerator", "secretGenerator"},
	},
	{
		regexp.MustCompile(`resource with name (\S+) does not match a config`),
		"nothing named %s has replicas: correct the name",
		[]string{"replicas"},
	},
	{
		regexp.MustCompile(`var '([^']+)' already encountered`),
		"the var %s is defined twice",
		[]string{"vars"},
	},
	{
		regexp.MustCompile(`field specified in var '([^']+)' not found`),
		"the var %s refers to a field that does not exist",
		[]string{"vars"},
	},
	{
		regexp.MustCompile(`var '([^']+)' cannot be mapped to a field`),
		"the var %s refers to an object that does not exist",
		[]string{"vars"},
	},
}

// innermost finds the directory that kustomize was in.
var innermost = regexp.MustCompile(`recursed accumulation of path '(/[^']*)'`)

// explain turns an error of kustomize's into a Problem at the best place there is.
func (p *Plan) explain(err error) Problem {
	words := err.Error()
	k := p.kusts[len(p.kusts)-1] // the outermost
	if nested := innermost.FindAllStringSubmatch(words, -1); nested != nil {
		dir := path.Join(".", strings.TrimPrefix(nested[len(nested)-1][1], "/"))
		if i := slices.IndexFunc(p.kusts, func(k *kustomization) bool { return k.dir == dir }); i >= 0 {
			k = p.kusts[i]
		}
	}
	for _, e := range explanations {
		match := e.pattern.FindStringSubmatch(words)
		if match == nil {
			continue
		}
		var shown []any
		for _, group := range match[1:] {
			shown = append(shown, objectName(group))
		}
		where := k.whole()
		for _, field := range e.fields {
			if found := k.entry(field); found.value != nil {
				where = k.pointed(found, match[1:])
				break
			}
		}
		return Problem{Place: k.at(where.node), Field: where.field, Reason: ReasonBuild, Message: fmt.Sprintf(e.message, shown...)}
	}
	return Problem{
		Place: k.at(nil), Reason: ReasonBuild,
		Message: fmt.Sprintf("kustomize cannot build this, and what it says may hold secrets: run \"kustomize build %s\" to read it", k.dir),
	}
}

func (k *kustomization) whole() entry { return entry{k: k} }

// pointed narrows a list down to the one item that mentions what the error is about.
func (k *kustomization) pointed(list entry, about []string) entry {
	if list.value.Kind != yaml.SequenceNode {
		return list
	}
	if len(list.value.Content) == 1 {
		return list.to(0)
	}
	name := about[len(about)-1]
	if _, after, found := strings.Cut(name, "/"); found && !strings.HasPrefix(name, "/") {
		name, _, _ = strings.Cut(after, ".")
	}
	found := -1
	for i, item := range list.value.Content {
		if mentions(item, name) {
			if found >= 0 {
				return list
			}
			found = i
		}
	}
	if found < 0 {
		return list
	}
	return list.to(found)
}

func mentions(node *yaml.Node, word string) bool {
	return strings.Contains(node.Value, word) || slices.ContainsFunc(node.Content, func(c *yaml.Node) bool { return mentions(c, word) })
}

// objectID is how kustomize writes an object's identity: Kind.version.group/name.namespace.
var objectID = regexp.MustCompile(`^([A-Za-z0-9]+)\.[^/]*/([^\s/]+)\.(\[noNs\]|[a-z0-9-]+)$`)

// objectName writes it as Kilter does.
func objectName(id string) string {
	match := objectID.FindStringSubmatch(id)
	switch {
	case match == nil:
		return id
	case match[3] == "[noNs]":
		return match[1] + " " + match[2]
	}
	return match[1] + " " + match[3] + "/" + match[2]
}
