package kustomize

import (
	"bytes"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/utils"
)

// cost bounds from above what building a kustomization once may need. Kustomize can neither be interrupted nor told a limit, and a
// small tree can make it do exponential work: bases used twice at each of many levels, replacements and copies that feed themselves.
//
// The numbers of bases are added once for each use. What a kustomization adds to each of its objects is multiplied by their number.
type cost struct {
	builds  int // of kustomizations
	objects int
	refers  int // references to other objects by name, about
	bytes   int // of all objects, as JSON
	work    int // comparisons of items, and looks at objects

	// Of the kustomization itself, and of no base.
	each   int  // bytes that it may add to each object
	looks  int  // how often it looks at each object
	fields int  // places that it looks for in each object
	copies int  // JSON patch operations that may double an object
	moves  bool // whether a JSON patch may put any value anywhere
}

// The limits that Options do not give. Kustomize compares every object with every other, so that MaxObjects bounds its time.
const (
	maxBuilds = 1000
	maxBytes  = 64 << 20
	maxWork   = 1_000_000 // of cost.work; each takes about 10 µs
	maxRefers = 3_000_000 // references, times the objects each is compared with; each takes about 15 µs
)

// patch adds what a patch costs. Kustomize merges lists by comparing each item with each; a JSON patch may look at a whole object for
// each operation, and a copy may double it.
func (s *scan) patched(c *cost, p patch) {
	node := p.document.Node
	operations := 0
	if node.Kind == yaml.SequenceNode {
		for _, operation := range node.Content {
			operations++
			switch text(operation, "op") {
			case "copy":
				c.copies++
				c.moves = true
			case "move":
				c.moves = true
			}
		}
	}
	c.looks++
	own := items(node)
	for _, source := range s.plan.sources {
		if source.node != nil && p.applies(source.kind, source.name) {
			if operations > 0 {
				const together = 1000 // bytes that are compared as fast as two items
				c.work += operations * source.size / together
			} else {
				c.work += own * source.items
			}
		}
	}
}

// references counts what kustomize may take for the name of another object.
func references(node *yaml.Node, in string) (n int) {
	switch node.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			key, value := node.Content[i].Value, node.Content[i+1]
			named := key == "name" && (strings.HasSuffix(in, "Ref") || slices.Contains(referring, in))
			if value.Kind == yaml.ScalarNode && (named || strings.HasSuffix(key, "Name")) {
				n++
			}
			n += references(value, key)
		}
	case yaml.SequenceNode:
		for _, item := range node.Content {
			if n += references(item, in); item.Kind == yaml.ScalarNode && in == "resourceNames" {
				n++
			}
		}
	}
	return n
}

// referring are the fields whose "name" is another object's.
var referring = []string{"configMap", "secret", "service", "subjects", "imagePullSecrets", "secrets", "sources"}

// items counts the items of all lists.
func items(node *yaml.Node) (n int) {
	if node.Kind == yaml.SequenceNode {
		n = len(node.Content)
	}
	for _, c := range node.Content {
		n += items(c)
	}
	return n
}

// add counts one use of something, and ends the scan when it is too much.
func (s *scan) add(e entry, to *cost, c cost) error {
	to.builds += c.builds
	to.objects += c.objects
	to.refers += c.refers
	to.bytes += c.bytes
	to.work += c.work
	return s.check(e, *to)
}

// check ends the scan when a kustomization costs too much.
func (s *scan) check(e entry, c cost) error {
	const away = ": build less at once"
	switch {
	case c.builds > maxBuilds:
		s.fail(e, ReasonLimit, "this takes more than %d builds, each base counted as often as it is used"+away, maxBuilds)
	case c.objects > s.options.MaxObjects:
		s.fail(e, ReasonLimit, "this makes more than %d objects, each counted as often as it is used"+away, s.options.MaxObjects)
	case c.bytes > maxBytes:
		s.fail(e, ReasonLimit, "this may make objects of more than %d bytes together"+away, maxBytes)
	case c.refers > maxRefers/max(c.objects, 1):
		s.fail(e, ReasonLimit, "this makes too many objects that refer to others"+away)
	case c.work > maxWork:
		s.fail(e, ReasonLimit, "too much work: there are too many patches and other changes, or too long lists, for so many objects"+away)
	default:
		return nil
	}
	return errTooMuch
}

// estimate adds what a kustomization does to its objects.
func (s *scan) estimate(k *kustomization) error {
	c := &k.cost
	c.builds++
	c.looks += len(k.spec.Images) + len(k.spec.Replicas) + len(k.spec.Labels)
	for _, r := range k.replacements {
		for _, target := range r.Targets {
			c.looks += 1 + len(target.FieldPaths)
		}
	}
	c.each += len(k.spec.Namespace) + len(k.spec.NamePrefix) + len(k.spec.NameSuffix)
	c.each += mapBytes(k.spec.CommonAnnotations)
	c.each += mapBytes(k.spec.CommonLabels) //nolint:staticcheck // deprecated, and read as long as kustomize reads it
	for _, label := range k.spec.Labels {
		c.each += mapBytes(label.Pairs)
		c.fields += len(label.FieldSpecs)
	}
	const together = 5 // fields are looked for as fast as one object is looked at
	c.work += c.objects * (c.looks + c.fields/together)
	longest := 0 // an image is replaced once
	for _, image := range k.spec.Images {
		longest = max(longest, len(image.NewName)+len(image.NewTag)+len(image.Digest)+len(image.TagSuffix))
	}
	c.each += longest
	// Most of these go into several places: a label into the object, its selector and its template, an image into each container.
	const places = 10
	c.bytes += c.objects * c.each * places
	if err := s.check(k.entry(), *c); err != nil {
		return err
	}
	c.bytes += s.replaced(k)
	for range c.copies {
		if c.bytes *= 2; c.bytes > maxBytes {
			break
		}
	}
	return s.check(k.entry(), *c)
}

func mapBytes(m map[string]string) (n int) {
	for key, value := range m {
		n += len(key) + len(value)
	}
	return n
}

// write is what a replacement puts somewhere.
type write struct {
	path  []string
	bytes int
}

// replaced bounds what the replacements and vars of a kustomization add to its objects. A value is as long as the longest that any
// source has at that path, plus all that patches could put there, plus what earlier replacements wrote to places above or below it.
func (s *scan) replaced(k *kustomization) (bytes int) {
	slack := k.cost.each
	for _, p := range s.plan.patches {
		slack += len(p.document.JSON)
	}
	length := func(path []string) int {
		longest := 253 // what a generated name may have
		for _, source := range s.plan.sources {
			switch {
			case k.cost.moves:
				longest = max(longest, source.size)
			case source.node == nil:
				longest = max(longest, source.generated(path))
			default:
				for _, node := range match(source.node, path) {
					longest = max(longest, size(node))
				}
			}
		}
		return longest + slack
	}
	var earlier []write
	for _, r := range k.replacements {
		value := 0
		if r.SourceValue != nil {
			value = len(*r.SourceValue)
		}
		if r.Source != nil {
			from := fieldPath(r.Source.FieldPath)
			value = length(from)
			for _, w := range earlier {
				if related(w.path, from) {
					value = min(value+w.bytes, maxBytes+1)
				}
			}
		}
		for _, target := range r.Targets {
			paths := target.FieldPaths
			if len(paths) == 0 {
				paths = []string{types.DefaultReplacementFieldPath}
			}
			for _, to := range paths {
				path := fieldPath(to)
				places, most := s.places(k, target, path)
				bytes = min(bytes+value*places, maxBytes+1)
				earlier = append(earlier, write{path, min(value*most, maxBytes+1)})
			}
		}
	}
	return bytes + s.expanded(k, length)
}

// expanded bounds what vars add: each reference becomes the longest value.
func (s *scan) expanded(k *kustomization, length func([]string) int) int {
	vars := k.spec.Vars //nolint:staticcheck // deprecated, and read as long as kustomize reads it
	if len(vars) == 0 {
		return 0
	}
	references, longest := 0, 0
	for _, content := range s.plan.memory {
		references += bytes.Count(content, []byte("$("))
	}
	for _, v := range vars {
		longest = max(longest, length(fieldPath(v.FieldRef.FieldPath)))
	}
	if references > 0 && longest > maxBytes/references {
		return maxBytes + 1
	}
	return references * longest
}

// generated returns the length of a field of a generated object.
func (s *Source) generated(path []string) int {
	if len(path) > 1 {
		if path[0] == "metadata" {
			return 0 // no more than the name
		}
		if known, ok := s.values[strings.Join(path[1:], ".")]; ok {
			return known
		}
	}
	return s.size
}

// places counts the fields that a replacement sets in all objects, and in the one that has most of them. A source stands for as many
// objects as it is used for.
func (s *scan) places(k *kustomization, target *types.TargetSelector, path []string) (all, most int) {
	kind := anchored("")
	if target.Select != nil && !k.cost.moves {
		kind = anchored(target.Select.Kind)
	}
	create := target.Options != nil && target.Options.Create
	for _, source := range s.plan.sources {
		if !kind.MatchString(source.kind) {
			continue
		}
		n := 0
		if source.node != nil {
			n = len(match(source.node, path))
		}
		if create || source.node == nil {
			n = max(n, 1)
		}
		all, most = all+n, max(most, n)
	}
	uses := k.cost.objects/max(len(s.plan.sources), 1) + 1
	return min(all, maxBytes/uses) * uses, max(most, 1)
}

func fieldPath(path string) []string {
	if path == "" {
		path = types.DefaultReplacementFieldPath
	}
	return utils.SmarterPathSplitter(path, ".")
}

// match returns the nodes at a path. A path ends early at a scalar, which may hold structured data of its own.
func match(node *yaml.Node, path []string) []*yaml.Node {
	if len(path) == 0 || node.Kind == yaml.ScalarNode {
		return []*yaml.Node{node}
	}
	var found []*yaml.Node
	switch node.Kind {
	case yaml.SequenceNode:
		for _, item := range node.Content {
			found = append(found, match(item, path[1:])...)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if path[0] == "*" || node.Content[i].Value == path[0] {
				found = append(found, match(node.Content[i+1], path[1:])...)
			}
		}
	}
	return found
}

// related reports whether one path leads to the other or below it. Any elements may be the same where one of them picks items.
func related(a, b []string) bool {
	for i := range min(len(a), len(b)) {
		if x, y := a[i], b[i]; x != y && !picks(x) && !picks(y) {
			return false
		}
	}
	return true
}

func picks(element string) bool {
	return element == "*" || element != "" && (element[0] == '[' || element[0] == '-' || element[0] >= '0' && element[0] <= '9')
}

// size is about how long a value is as JSON.
func size(node *yaml.Node) int {
	n := len(node.Value) + 3
	for _, c := range node.Content {
		n += size(c)
	}
	return n
}
