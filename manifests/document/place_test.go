package document

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// writer writes a random document in random styles, and notes where it put each node: an independent witness of lines and columns.
type writer struct {
	random *rand.Rand
	text   strings.Builder
	line   int
	column int
	eol    string
	noted  []note
}

// note is a node with all the paths by which the server would name it.
type note struct {
	paths        []string
	line, column int
}

func (w *writer) write(text string) {
	for _, r := range text {
		if w.column++; r == '\n' {
			w.line, w.column = w.line+1, 1
		}
	}
	w.text.WriteString(strings.ReplaceAll(text, "\n", w.eol))
}

func (w *writer) note(paths []string) { w.noted = append(w.noted, note{paths, w.line, w.column}) }

// keys are those of mappings: plain words, and what labels, annotations and ConfigMaps are full of.
var keys = []string{
	"spec", "name", "image", "env", "app.kubernetes.io/name", "a.b", "config.ini", "tls.crt", "größe", "日本", "with space", "x-y", "0a",
	"a[b]", "metadata", "a/b", "'q'",
}

func (w *writer) pick(from ...string) string { return from[w.random.IntN(len(from))] }

func (w *writer) key(key string) string {
	if strings.ContainsAny(key, "'[] ") || w.random.IntN(4) == 0 {
		return strconv.Quote(key)
	}
	return key
}

// extend returns every way in which the server may name the entry of key below each of paths.
func extend(paths []string, key string) []string {
	var out []string
	for _, path := range paths {
		out = append(out, path+"["+key+"]", path+`["`+key+`"]`)
		if path == "" {
			out = append(out, key)
		}
		out = append(out, path+"."+key)
	}
	if len(out) > 8 { // they multiply
		out = append(out[:4:4], out[len(out)-4:]...)
	}
	return out
}

func items(paths []string, i int, by string) []string {
	var out []string
	for _, path := range paths {
		out = append(out, path+"["+strconv.Itoa(i)+"]")
		if by != "" {
			out = append(out, path+"["+by+"]")
		}
	}
	if len(out) > 8 {
		out = append(out[:4:4], out[len(out)-4:]...)
	}
	return out
}

func (w *writer) breakLine(indent int) {
	w.write(w.pick("", "", " ", " # ü: {[\"") + "\n")
	for w.random.IntN(5) == 0 {
		w.write(w.pick("\n", "# über\n", "   # a: b\n"))
	}
	w.write(strings.Repeat(" ", indent))
}

func (w *writer) scalar(indent int, flow bool) {
	switch n := w.random.IntN(8); {
	case n == 0 && !flow:
		w.write(w.pick("|", ">-", "|+"))
		for range 1 + w.random.IntN(3) {
			w.write("\n" + strings.Repeat(" ", indent+1) + w.pick("text: {", "größe\tx", "- #"))
		}
	case n == 1:
		w.write(`"a` + w.pick("é", `\n`, "\n"+strings.Repeat(" ", indent+1)+"日", `\u00e9`) + `"`)
	case n == 2:
		w.write(`'it''s ` + w.pick("ü", "#", "\n"+strings.Repeat(" ", indent+1)+"x") + `'`)
	default:
		w.write(w.pick("x", "80", "true", "größe", "http://a/b#c", "1.5"))
	}
}

// node writes a value behind a key or a dash; block values begin on a line of their own.
func (w *writer) node(paths []string, indent, depth int, flow bool) {
	kind := w.random.IntN(4)
	if depth <= 0 {
		kind = 3
	}
	switch {
	case kind == 3:
		w.write(" ")
		w.scalar(indent, flow)
	case flow || w.random.IntN(4) == 0:
		w.write(" ")
		w.flow(paths, indent, depth, kind)
	case kind == 0:
		w.sequence(paths, indent+w.random.IntN(3), depth)
	default:
		w.breakLine(indent + 2)
		w.mapping(paths, indent+2, depth)
	}
}

func (w *writer) flow(paths []string, indent, depth, kind int) {
	brackets := "{}"
	if kind == 0 {
		brackets = "[]"
	}
	w.write(brackets[:1])
	used := map[string]bool{}
	for i := range w.random.IntN(4) {
		if i > 0 {
			w.write("," + w.pick("", " ", "\n"+strings.Repeat(" ", indent+1)))
		}
		key := w.pick(keys...)
		switch {
		case kind == 0:
			own := items(paths, i, "")
			w.note(own)
			w.scalar(indent, true)
		case !used[key]:
			used[key] = true
			own := extend(paths, key)
			w.note(own)
			w.write(w.key(key) + ":")
			w.node(own, indent, depth-1, true)
		default:
			w.write("k" + strconv.Itoa(i) + ": 1")
		}
	}
	w.write(w.pick("", " ") + brackets[1:])
}

// mapping writes a block mapping whose first key stands where the writer is.
func (w *writer) mapping(paths []string, indent, depth int) {
	used := map[string]bool{}
	for i := range 1 + w.random.IntN(4) {
		key := w.pick(keys...)
		for used[key] {
			key += "x"
		}
		used[key] = true
		if i > 0 {
			w.breakLine(indent)
		}
		own := extend(paths, key)
		w.note(own)
		w.write(w.key(key) + w.pick(":", ":", " :"))
		w.node(own, indent, depth-1, false)
	}
}

func (w *writer) sequence(paths []string, indent, depth int) {
	for i := range 1 + w.random.IntN(3) {
		w.breakLine(indent)
		w.write("-")
		if w.random.IntN(2) == 0 || depth <= 0 {
			w.write(" ")
			w.note(items(paths, i, ""))
			w.scalar(indent, false)
			continue
		}
		w.write(w.pick(" ", "  "))
		by := fmt.Sprintf(`id="ü%d",other=5`, i)
		own := items(paths, i, by)
		w.note(own)
		inner := w.column - 1
		w.write(fmt.Sprintf("id: ü%d", i))
		w.breakLine(inner)
		w.mapping(own, inner, depth-1)
	}
}

// ambiguous reports whether a path without brackets could also be read with other borders between its keys.
func ambiguous(path string) bool {
	return strings.Contains(path, "a.b") || strings.Contains(path, "metadata") || strings.Contains(path, "a[b]")
}

// TestEveryNodeIsFoundByItsPath writes random files of several documents, and looks up each node by every path that the server might
// use for it: each leads to the line and column at which the node was written.
func TestEveryNodeIsFoundByItsPath(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	looked := 0
	for n := range 500 {
		w := &writer{random: rand.New(rand.NewPCG(seed, uint64(n))), line: 1, column: 1, eol: "\n"}
		w.eol = w.pick("\n", "\r\n")
		var documents [][]note
		for i := range 1 + w.random.IntN(3) {
			if i > 0 {
				w.write(w.pick("\n---\n", "\n--- # ü\n", "\n...\n---\n", "\n---\n# a: b\n"))
			}
			w.noted = nil
			w.mapping([]string{""}, 0, 4)
			documents = append(documents, w.noted)
		}
		text := w.pick("", "\ufeff") + w.text.String()
		for doc, err := range Parse("a.yaml", []byte(text)) {
			if err != nil {
				t.Fatalf("the writer writes no YAML: %v\n%s", err, text)
			}
			for _, want := range documents[doc.Index] {
				for _, path := range want.paths {
					looked++
					got := Place(doc.Root, path)
					if (got.Line != want.line || got.Column != want.column) && !ambiguous(path) {
						t.Fatalf("document %d: %s is at %d:%d, found at %d:%d in\n%s", doc.Index, path, want.line, want.column, got.Line, got.Column, text)
					}
				}
			}
		}
	}
	t.Logf("%d paths", looked)
}

// TestPlace follows the ways in which the server writes paths.
func TestPlace(t *testing.T) {
	const text = `metadata:
  labels: {a.b/c: x, a: y}
  finalizers: [a/b, c/d]
spec:
  a: {b: {c: 1}}
  a.b: {d: 2}
  template:
    metadata:
      labels: {app: a}
    spec:
      containers:
      - name: a
        ports:
        - containerPort: 80
        - {containerPort: 80, protocol: UDP}
      - name: 'b]"'
        env:
        - name: B
        - name: B
`
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(text), &root); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"":                                       "1:1",
		"nowhere.at[all]":                        "1:1",
		"metadata.labels[a.b/c]":                 "2:12",
		"metadata.labels.a.b/c":                  "2:12",
		`metadata.labels["a.b/c"]`:               "2:12",
		"metadata.labels.a":                      "2:22",
		`.metadata.finalizers[="c/d"]`:           "3:21",
		`.metadata.finalizers[="e"]`:             "3:3",
		"spec.a.b.c":                             "5:11",
		"spec.a.b.d":                             "6:9",
		"spec.template.labels":                   "9:7",
		"spec.template.labels[app]":              "9:16",
		"spec.template.spec.containers[0].image": "12:9",
		"spec.template.spec.containers[2]":       "11:7",
		"spec.template.spec.containers[-1]":      "11:7",
		"spec.template.spec.containers[]":        "11:7",
		`.spec.template.spec.containers[name="a"].ports[containerPort=80,protocol="TCP"]`:      "14:11",
		`.spec.template.spec.containers[name="a"].ports[containerPort=80,protocol="UDP"].name`: "15:11",
		`.spec.template.spec.containers[name="b]\""].env[name="B"]`:                            "19:11",
		`.spec.template.spec.containers[name="c"].env`:                                         "11:7",
	} {
		if got := Place(root.Content[0], path); fmt.Sprintf("%d:%d", got.Line, got.Column) != want {
			t.Errorf("%q is at %d:%d, want %s", path, got.Line, got.Column, want)
		}
	}
}
