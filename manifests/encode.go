package manifests

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// encoder writes one object's node tree as compact JSON with sorted keys, and reports everything in it that has no place in a
// Kubernetes manifest. After a report the JSON is not to be used.
type encoder struct {
	maxDepth int
	verbatim bool // keep what generators add and the server ignores
	out      []byte
	path     []string // of the value being written, each element with its dot or brackets
	report   func(at *yaml.Node, field, reason, message string)

	// namespaceAt is the offset in out where the entry of metadata.namespace, with the comma before it, stands or would stand.
	namespaceAt int
}

// value writes any node.
func (e *encoder) value(node *yaml.Node, depth int) {
	switch {
	case depth > e.maxDepth:
		e.fail(node, ReasonLimit, fmt.Sprintf("nested deeper than %d levels", e.maxDepth))
	case node.Kind == yaml.AliasNode:
		e.fail(node, ReasonUnsupported, "YAML aliases are not allowed: write the value of *"+node.Value+" out here")
	case node.Anchor != "":
		e.fail(node, ReasonUnsupported, "YAML anchors are not allowed: remove &"+node.Anchor+", and write the value out where it is used")
	case node.Kind == yaml.MappingNode:
		e.mapping(node, depth)
	case node.Kind == yaml.SequenceNode:
		e.sequence(node, depth)
	default:
		e.scalar(node)
	}
}

func (e *encoder) fail(node *yaml.Node, reason, message string) {
	e.report(node, strings.Join(e.path, ""), reason, message)
}

// collectionTag refuses a tag on a mapping or sequence, unless it says what the node is anyway.
func (e *encoder) collectionTag(node *yaml.Node, own string) {
	if tag := node.ShortTag(); tag != own {
		e.fail(node, ReasonUnsupported, "the tag "+tag+" is not allowed: write the value without it")
	}
}

func (e *encoder) sequence(node *yaml.Node, depth int) {
	e.collectionTag(node, "!!seq")
	e.out = append(e.out, '[')
	for i, item := range node.Content {
		if i > 0 {
			e.out = append(e.out, ',')
		}
		e.path = append(e.path, "["+strconv.Itoa(i)+"]")
		e.value(item, depth+1)
		e.path = e.path[:len(e.path)-1]
	}
	e.out = append(e.out, ']')
}

// pair is one entry of a mapping.
type pair struct{ key, value *yaml.Node }

func (e *encoder) mapping(node *yaml.Node, depth int) {
	e.collectionTag(node, "!!map")
	pairs := make([]pair, 0, len(node.Content)/2)
	for i := 0; i+1 < len(node.Content); i += 2 {
		if p := (pair{node.Content[i], node.Content[i+1]}); e.key(p.key) && !e.generated(p) {
			pairs = append(pairs, p)
		}
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return cmp.Compare(a.key.Value, b.key.Value) })
	metadata := len(e.path) == 1 && e.path[0] == "metadata"
	e.out = append(e.out, '{')
	for i, p := range pairs {
		if i > 0 && pairs[i-1].key.Value == p.key.Value {
			e.duplicate(pairs[i-1].key, p.key)
		}
		e.entry(p, i > 0, depth)
		if metadata && p.key.Value < "namespace" {
			e.namespaceAt = len(e.out)
		}
	}
	e.out = append(e.out, '}')
}

// entry writes one entry of a mapping.
func (e *encoder) entry(p pair, comma bool, depth int) {
	if comma {
		e.out = append(e.out, ',')
	}
	e.out = appendString(e.out, p.key.Value)
	e.out = append(e.out, ':')
	element := p.key.Value
	switch {
	case strings.ContainsAny(element, "./"):
		element = "[" + element + "]"
	case len(e.path) > 0:
		element = "." + element
	}
	e.path = append(e.path, element)
	e.value(p.value, depth+1)
	e.path = e.path[:len(e.path)-1]
}

func (e *encoder) duplicate(earlier, later *yaml.Node) {
	e.path = append(e.path, "."+later.Value)
	e.fail(later, ReasonDuplicate, fmt.Sprintf("%s is given twice, first on line %d: remove one", later.Value, earlier.Line))
	e.path = e.path[:len(e.path)-1]
}

// key reports whether a mapping's key is a string, and refuses it otherwise.
func (e *encoder) key(node *yaml.Node) bool {
	switch {
	case node.Kind == yaml.AliasNode || node.Anchor != "":
		e.fail(node, ReasonUnsupported, "YAML anchors and aliases are not allowed: write the key out")
		return false
	case node.Kind != yaml.ScalarNode:
		e.fail(node, ReasonUnsupported, "a key must be a string")
		return false
	case node.Value == "<<" && node.Style == 0:
		e.fail(node, ReasonUnsupported, "YAML merge keys are not allowed: write the merged fields out")
		return false
	}
	switch s, err := resolve(node); {
	case err != nil:
		e.fail(node, ReasonUnsupported, "key: "+err.Error())
		return false
	case s.kind != stringScalar:
		e.fail(node, ReasonUnsupported,
			fmt.Sprintf("a key must be a string, but YAML reads %s as %s: write %q", shownKey(node), s.kind, node.Value))
		return false
	}
	return true
}

// generated reports whether an entry is one that generators and "kubectl get -o yaml" add and the server ignores: it is left out.
func (e *encoder) generated(p pair) bool {
	if e.verbatim {
		return false
	}
	switch p.key.Value {
	case "status":
		return len(e.path) == 0
	case "creationTimestamp":
		return len(e.path) > 0 && strings.HasSuffix(e.path[len(e.path)-1], "metadata") && isNull(p.value)
	case "generation", "selfLink":
		return len(e.path) == 1 && e.path[0] == "metadata"
	}
	return false
}

func (e *encoder) scalar(node *yaml.Node) {
	s, err := resolve(node)
	switch {
	case err != nil:
		e.fail(node, ReasonUnsupported, err.Error())
	case s.kind == stringScalar:
		e.out = appendString(e.out, node.Value)
	default:
		e.out = append(e.out, s.json...)
	}
}

func isNull(node *yaml.Node) bool {
	s, err := resolve(node)
	return node.Kind == yaml.ScalarNode && err == nil && s.kind == nullScalar
}

func shownKey(node *yaml.Node) string {
	if node.Value == "" {
		return "an empty key"
	}
	return node.Value
}

// appendString appends a JSON string. It escapes only what JSON demands, so that equal strings always give equal bytes.
func appendString(out []byte, s string) []byte {
	const hex = "0123456789abcdef"
	out = append(out, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				out = append(append(out, s[from:i]...), `\ufffd`...)
				from = i + 1
			}
			i += size
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		out = append(out, s[from:i]...)
		switch c {
		case '"', '\\':
			out = append(out, '\\', c)
		case '\n':
			out = append(out, '\\', 'n')
		case '\t':
			out = append(out, '\\', 't')
		case '\r':
			out = append(out, '\\', 'r')
		default:
			out = append(out, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		from = i
	}
	return append(append(out, s[from:]...), '"')
}
