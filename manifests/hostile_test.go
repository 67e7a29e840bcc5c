package manifests

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestHostileFiles decodes files of the largest allowed size that are made to be expensive. None may take longer than a push can
// wait for; the bound is far above what they take, and far below what quadratic work would.
func TestHostileFiles(t *testing.T) {
	const size, bound = 1 << 20, 30 * time.Second
	header := fmt.Sprintf(configMap, "a")
	fill := func(head, unit string) string { return head + strings.Repeat(unit, (size-len(head))/len(unit)) }
	bomb := "a: &a [x]\n"
	for c := 'b'; c <= 'z'; c++ {
		bomb += fmt.Sprintf("%c: &%c [*%c, *%c, *%c, *%c]\n", c, c, c-1, c-1, c-1, c-1)
	}
	for name, file := range map[string]struct{ file, text string }{
		"flow sequences":     {"a.yaml", fill(header+"data: ", "[")},
		"flow mappings":      {"a.yaml", fill(header+"data: ", "{a: ")},
		"block sequences":    {"a.yaml", fill(header+"data:\n  ", "- ")},
		"complex keys":       {"a.yaml", fill(header+"data:\n  ", "? ")},
		"documents":          {"a.yaml", fill("", "---\n")},
		"objects":            {"a.yaml", fill("", "---\n"+header)},
		"scalars":            {"a.yaml", fill("", "--- a\n")},
		"comments":           {"a.yaml", fill(header, "# x\n")},
		"comments in lists":  {"a.yaml", fill(header+"data:\n", "- # x\n")},
		"aliases":            {"a.yaml", bomb},
		"equal keys":         {"a.yaml", fill(header+"data:\n", "  a: b\n")},
		"digits":             {"a.yaml", fill(header+"data: ", "9")},
		"underscores":        {"a.yaml", fill(header+"data: 1", "_")},
		"exponent":           {"a.yaml", header + "data: [1e-999999999, 1e999999999, 0e999999999]\n"},
		"one line":           {"a.yaml", fill(header+"data: '", "x")},
		"tags":               {"a.yaml", fill(header+"data: ", "!a")},
		"unknown fields":     {"a.yaml", header + strings.Join(numbered("f%d: x\n", 50_000), "")},
		"wrong types":        {"a.yaml", header + "data:\n" + strings.Join(numbered("  k%d: 1\n", 50_000), "")},
		"long unknown field": {"a.yaml", fill(header, "x") + ": y\n"},
		"JSON arrays":        {"a.json", fill(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":`, "[")},
		"JSON values":        {"a.json", fill("", "1 ")},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			load(t, newHashedTree(map[string]string{file.file: file.text}).MapFS, Target{})
			if took := time.Since(start); took > bound {
				t.Errorf("took %s", took)
			} else {
				t.Log(took)
			}
		})
	}
}

func numbered(format string, n int) []string {
	out := make([]string, n)
	for i := range n {
		out[i] = fmt.Sprintf(format, i)
	}
	return out
}
