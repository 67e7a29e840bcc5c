package document

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	kubectlyaml "sigs.k8s.io/yaml"

	"kilter.dev/kilter/internal/golden"
)

// TestScalars reads each scalar of testdata/scalars.txt and writes what kubectl's parser sends for it, which is what Encode must send,
// and what is said of it: an error, or what it is where a string is wanted.
func TestScalars(t *testing.T) {
	const name = "testdata/scalars.txt"
	file, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	for line := range strings.Lines(string(file)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || strings.HasPrefix(line, "# ") {
			fmt.Fprintln(&table, line)
			continue
		}
		scalar, _, _ := strings.Cut(line, "  ")
		text := []byte("v: " + scalar + "\n")
		got, faults := encode(t, text)
		sends := "refused"
		if want, err := kubectlyaml.YAMLToJSON(text); err == nil {
			sends = strings.TrimSuffix(strings.TrimPrefix(string(want), `{"v":`), "}")
			if len(faults) == 0 && normal(t, got) != normal(t, want) {
				t.Errorf("%s: encoded as %s, and kubectl sends %s", scalar, got, want)
			}
		} else if len(faults) == 0 {
			t.Errorf("%s: encoded as %s, and kubectl says %v", scalar, got, err)
		}
		said := strings.Join(faults, "; ")
		if root := parseOne(text); root != nil {
			said = cmp.Or(said, Words(root.Content[1]))
		}
		fmt.Fprintln(&table, strings.TrimRight(fmt.Sprintf("%-24s  %-24s  %s", scalar, sends, said), " "))
	}
	golden.Check(t, name, table.String())
}

func parseOne(text []byte) (root *yaml.Node) {
	for doc, err := range Parse("a.yaml", text) {
		if err == nil {
			root = doc.Root
		}
	}
	return root
}

// encode returns the JSON of a text with one document, and what is wrong with it.
func encode(t *testing.T, text []byte) (out []byte, faults []string) {
	t.Helper()
	var root *yaml.Node
	for doc, err := range Parse("a.yaml", text) {
		if root = doc.Root; err != nil {
			faults = append(faults, err.Message)
		}
	}
	if root == nil {
		return nil, faults
	}
	encoder := Encoder{
		MaxDepth: 100,
		Omit:     func(string, int, *yaml.Node, *yaml.Node) bool { return false },
		Report: func(_ *yaml.Node, _ string, fault Fault, message string) {
			if fault != Trap {
				faults = append(faults, message)
			}
		},
	}
	out, _ = encoder.Encode(root)
	return out, faults
}

// normal re-encodes JSON with sorted keys and numbers as they are written.
func normal(t *testing.T, text []byte) string {
	t.Helper()
	var value any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	out, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
