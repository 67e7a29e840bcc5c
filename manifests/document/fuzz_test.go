package document

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/txtar"
	"go.yaml.in/yaml/v3"
	kubectlyaml "sigs.k8s.io/yaml"
)

// FuzzParse reads arbitrary files: it must not panic, every node and error must have its place in the file, two readings must agree, and
// what Encode accepts must mean what kubectl reads.
func FuzzParse(f *testing.F) {
	for name, data := range seeds(f) {
		f.Add(filepath.Ext(name) == ".json", data)
	}
	f.Fuzz(func(t *testing.T, isJSON bool, data []byte) {
		name := map[bool]string{true: "a.json", false: "a.yaml"}[isJSON]
		widths := widths(data)
		inside := func(line, column int) {
			if line < 1 || line > len(widths) || column < 0 || column > widths[line-1]+1 {
				t.Errorf("%d:%d is outside the file", line, column)
			}
		}
		documents := 0
		for doc, err := range Parse(name, data) {
			switch documents++; {
			case err != nil:
				documents = -1 << 20
				if inside(err.Line, err.Column); err.Column < 1 {
					t.Errorf("no column: %v", err)
				}
			case doc.Root != nil:
				walk(doc.Root, func(node *yaml.Node) { inside(node.Line, node.Column) })
			}
		}
		if once, twice := outline(name, string(data)), outline(name, string(data)); once != twice {
			t.Errorf("two readings differ:\n%s\n%s", once, twice)
		}
		if isJSON || documents != 1 || !oneDocument(data) {
			return
		}
		got, faults := encode(t, data)
		if len(faults) > 0 || got == nil {
			return
		}
		if want, err := kubectlyaml.YAMLToJSON(data); err != nil {
			t.Errorf("accepted, but kubectl says: %v", err)
		} else if got, want := normal(t, got), normal(t, want); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

// FuzzPlace looks arbitrary fields up in arbitrary documents: it must not panic, and must find a node of the document.
func FuzzPlace(f *testing.F) {
	for _, data := range seeds(f) {
		for _, field := range []string{
			"spec.template.spec.containers[0].image", "metadata.labels[app.kubernetes.io/name]", `.a[name="b",c=1].d`, `a[="b"]`, "a[", "[0]", "..", "]",
		} {
			f.Add(data, field)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, field string) {
		for doc, err := range Parse("a.yaml", data) {
			if err != nil || doc.Root == nil {
				continue
			}
			found, at := false, Place(doc.Root, field)
			walk(doc.Root, func(node *yaml.Node) { found = found || node == at })
			if !found {
				t.Errorf("%q is at no node of the document: %+v", field, at)
			}
		}
	})
}

func walk(node *yaml.Node, visit func(*yaml.Node)) {
	visit(node)
	for _, child := range node.Content {
		walk(child, visit)
	}
}

// widths returns how many characters each line has.
func widths(data []byte) []int {
	var out []int
	for line := range bytes.SplitSeq(data, []byte("\n")) {
		out = append(out, utf8.RuneCount(line))
	}
	return out
}

// oneDocument reports whether kubectl's parser, which reads the first document only, sees what Parse sees.
func oneDocument(data []byte) bool {
	for _, text := range []string{"---", "...", "%", "\ufeff"} {
		if bytes.Contains(data, []byte(text)) {
			return false
		}
	}
	return true
}

// seeds returns the files of all archives in testdata, here and above, and each scalar of the table.
func seeds(f *testing.F) map[string][]byte {
	f.Helper()
	all := map[string][]byte{}
	for _, pattern := range []string{"testdata/*.txtar", "../testdata/*.txtar"} {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			f.Fatalf("no seeds in %s: %v", pattern, err)
		}
		for _, name := range names {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				f.Fatal(err)
			}
			for _, file := range archive.Files {
				all[name+"/"+file.Name] = file.Data
			}
		}
	}
	table, err := os.ReadFile("testdata/scalars.txt")
	if err != nil {
		f.Fatal(err)
	}
	for line := range bytes.Lines(table) {
		scalar, _, _ := bytes.Cut(line, []byte("  "))
		all["scalar "+string(scalar)] = append([]byte("v: "), scalar...)
	}
	return all
}
