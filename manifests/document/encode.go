package document

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Fault is why a node has no place in a manifest.
type Fault string

// The faults that Encode reports.
const (
	Unsupported Fault = "Unsupported"         // YAML that Kubernetes' own tools read, and JSON has no words for
	Duplicate   Fault = "FieldValueDuplicate" // a key given twice
	TooDeep     Fault = "LimitExceeded"
	Trap        Fault = "Warning" // fine, and perhaps not what the author thinks: the JSON is good nevertheless
)

// Encoder writes one object's node tree as compact JSON with sorted keys, and reports everything in it that has no place in a
// manifest. After a report of anything but a Trap the JSON is not to be used.
type Encoder struct {
	MaxDepth int
	// Omit tells which entries to leave out; nil means none. Parent is the key of the mapping that holds the entry, "" for the root's and an item's;
	// depth is 1 for the root's own entries.
	Omit func(parent string, depth int, key, value *yaml.Node) bool
	// Report gets each fault, with the node and the path to it in the API server's form.
	Report func(at *yaml.Node, field string, fault Fault, message string)

	out  []byte
	path []element // of the value being written
	// namespaceAt is the offset in out where the entry of metadata.namespace, with the comma before it, stands or would stand.
	namespaceAt int
}

// element is a step of a path: a mapping's key, or an item's index when there is no key.
type element struct {
	key   *yaml.Node
	index int
}

// Encode returns the JSON of a tree, and the offset in it at which the entry of metadata.namespace, with the comma before it, stands or
// would stand. The JSON is valid until the next call.
func (e *Encoder) Encode(root *yaml.Node) (json []byte, namespaceAt int) {
	e.out, e.path, e.namespaceAt = e.out[:0], e.path[:0], 0
	e.value(root)
	return e.out, e.namespaceAt
}

// value writes any node.
func (e *Encoder) value(node *yaml.Node) {
	switch {
	case len(e.path) >= e.MaxDepth:
		e.fail(node, TooDeep, fmt.Sprintf("nested deeper than %d levels", e.MaxDepth))
	case node.Kind == yaml.AliasNode:
		e.fail(node, Unsupported, "YAML aliases are not allowed: write the value of *"+node.Value+" out here")
	case node.Anchor != "":
		e.fail(node, Unsupported, "YAML anchors are not allowed: remove &"+node.Anchor+", and write the value out where it is used")
	case node.Kind == yaml.MappingNode:
		e.mapping(node)
	case node.Kind == yaml.SequenceNode:
		e.sequence(node)
	default:
		e.scalar(node)
	}
}

func (e *Encoder) fail(node *yaml.Node, fault Fault, message string) {
	e.Report(node, e.field(), fault, message)
}

// field is the path in the API server's form; a key that holds dots or slashes stands in brackets.
func (e *Encoder) field() string {
	var path []byte
	for i, step := range e.path {
		switch {
		case step.key == nil:
			path = append(strconv.AppendInt(append(path, '['), int64(step.index), 10), ']')
		case strings.ContainsAny(step.key.Value, "./"):
			path = append(append(append(path, '['), step.key.Value...), ']')
		default:
			if i > 0 {
				path = append(path, '.')
			}
			path = append(path, step.key.Value...)
		}
	}
	return string(path)
}

// collectionTag refuses a tag on a mapping or sequence, unless it says what the node is anyway.
func (e *Encoder) collectionTag(node *yaml.Node, own string) {
	if node.Tag == own {
		return
	}
	if tag := node.ShortTag(); tag != own {
		e.fail(node, Unsupported, "the tag "+tag+" is not allowed: write the value without it")
	}
}

func (e *Encoder) sequence(node *yaml.Node) {
	e.collectionTag(node, "!!seq")
	e.out = append(e.out, '[')
	for i, item := range node.Content {
		if i > 0 {
			e.out = append(e.out, ',')
		}
		e.path = append(e.path, element{index: i})
		e.value(item)
		e.path = e.path[:len(e.path)-1]
	}
	e.out = append(e.out, ']')
}

// pair is one entry of a mapping; where an item or a whole document is meant, both are that node.
type pair struct{ key, value *yaml.Node }

func (e *Encoder) mapping(node *yaml.Node) {
	e.collectionTag(node, "!!map")
	parent := ""
	if len(e.path) > 0 && e.path[len(e.path)-1].key != nil {
		parent = e.path[len(e.path)-1].key.Value
	}
	pairs := make([]pair, 0, len(node.Content)/2)
	for i := 0; i+1 < len(node.Content); i += 2 {
		p := pair{node.Content[i], node.Content[i+1]}
		if e.key(p.key) && (e.Omit == nil || !e.Omit(parent, len(e.path)+1, p.key, p.value)) {
			pairs = append(pairs, p)
		}
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return cmp.Compare(a.key.Value, b.key.Value) })
	metadata := len(e.path) == 1 && parent == "metadata"
	e.out = append(e.out, '{')
	for i, p := range pairs {
		if i > 0 {
			e.out = append(e.out, ',')
			if pairs[i-1].key.Value == p.key.Value {
				e.duplicate(pairs[i-1].key, p.key)
			}
		}
		e.entry(p)
		if metadata && p.key.Value < "namespace" {
			e.namespaceAt = len(e.out)
		}
	}
	e.out = append(e.out, '}')
}

// entry writes one entry of a mapping.
func (e *Encoder) entry(p pair) {
	e.out = append(AppendString(e.out, p.key.Value), ':')
	e.path = append(e.path, element{key: p.key})
	e.value(p.value)
	e.path = e.path[:len(e.path)-1]
}

func (e *Encoder) duplicate(earlier, later *yaml.Node) {
	e.path = append(e.path, element{key: later})
	e.fail(later, Duplicate, fmt.Sprintf("%s is given twice, first on line %d: remove one", later.Value, earlier.Line))
	e.path = e.path[:len(e.path)-1]
}

// key reports whether a mapping's key is a string, and refuses it otherwise.
func (e *Encoder) key(node *yaml.Node) bool {
	switch {
	case node.Kind == yaml.AliasNode || node.Anchor != "":
		e.fail(node, Unsupported, "YAML anchors and aliases are not allowed: write the key out")
		return false
	case node.Kind != yaml.ScalarNode:
		e.fail(node, Unsupported, complexKey(node))
		return false
	case node.Value == "<<" && node.Style == 0:
		e.fail(node, Unsupported, "YAML merge keys are not allowed: write the merged fields out")
		return false
	}
	switch s, err := Resolve(node); {
	case err != nil:
		e.fail(node, Unsupported, "key: "+err.Error())
		return false
	case s.Kind == Number && s.JSON == node.Value: // kubectl sends the same text
		e.fail(node, Trap, fmt.Sprintf("YAML reads %s as a number, and it is taken for the text %q: write it so", node.Value, node.Value))
	case s.Kind != String:
		e.fail(node, Unsupported,
			fmt.Sprintf("a key must be a string, but YAML reads %s as %s: write %q", shownKey(node), s.Kind, node.Value))
		return false
	}
	return true
}

// complexKey says why a mapping or sequence cannot be a key. Two braces at the start of a value are what templates look like to YAML.
func complexKey(node *yaml.Node) string {
	if node.Kind == yaml.MappingNode && node.Style&yaml.FlowStyle != 0 {
		return "a key must be a string: {{ … }} must be quoted if it is meant as text, and a template must be rendered first"
	}
	return "a key must be a string"
}

func shownKey(node *yaml.Node) string {
	if node.Value == "" {
		return "an empty key"
	}
	return node.Value
}

func (e *Encoder) scalar(node *yaml.Node) {
	s, err := Resolve(node)
	switch {
	case err != nil:
		e.fail(node, Unsupported, err.Error())
	case s.Kind == String:
		e.out = AppendString(e.out, node.Value)
	default:
		e.out = append(e.out, s.JSON...)
		if looksDecimal(node.Value) && form(node.Value) == octal && !e.mode() {
			e.fail(node, Trap, "a number with a leading zero is octal in YAML: remove the zero, or quote it if it is meant as text")
		}
	}
}

// mode reports whether the value being written is one of those that everybody writes in octal: a file's permissions.
func (e *Encoder) mode() bool {
	if len(e.path) == 0 {
		return false
	}
	last := e.path[len(e.path)-1].key
	return last != nil && strings.HasSuffix(strings.ToLower(last.Value), "mode")
}

// looksDecimal reports whether an octal number is written so that it looks like a larger one: 010, and neither 0o10 nor 007.
func looksDecimal(text string) bool {
	digits := strings.TrimLeft(text, "+-0_")
	return len(digits) > 1 && !strings.ContainsAny(digits, "oO")
}
