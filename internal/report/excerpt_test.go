package report

import (
	"os"
	"strings"
	"testing"
)

func TestClip(t *testing.T) {
	long := strings.Repeat("a", 30) + "^" + strings.Repeat("b", 30)
	for _, c := range []struct {
		name      string
		line      string
		character int
		columns   int
		want      string
		caret     string // the line of the caret
	}{
		{"plain", "  key: value", 3, 40, "  key: value", "  ^"},
		{"first", "key", 1, 40, "key", "^"},
		{"behind the last", "key", 4, 40, "key", "   ^"},
		{"nowhere", "key", 5, 40, "key", ""},
		{"column unknown", "key", 0, 40, "key", ""},
		{"tab", "a\tb\tc", 3, 40, "a   b   c", "    ^"},
		{"leading tabs", "\t\tc", 3, 40, "        c", "        ^"},
		{"wide", "日本: x", 3, 40, "日本: x", "    ^"},
		{"full width", "Ａ: x", 2, 40, "Ａ: x", "  ^"},
		{"combining", "e\u0301: x", 3, 40, "e\u0301: x", " ^"},
		{"emoji", "🚀: x", 2, 40, "🚀: x", "  ^"},
		{"control", "a\x1b[31mb", 3, 40, "a\ufffd[31mb", "  ^"},
		{"direction", "a\u202eb", 3, 40, "a\ufffdb", "  ^"},
		{"cut behind", long, 3, 20, "aaaaaaaaaaaaaaaaaa…", "  ^"},
		{"cut around", long, 31, 20, "…aaaaaa^bbbbbbbbbbb…", "       ^"},
		{"cut before", long, 61, 20, "…bbbbbbbbbbbbbbbbbb", "                  ^"},
		{"cut, no column", long, 0, 20, "aaaaaaaaaaaaaaaaaa…", ""},
		{"too narrow a terminal", long, 31, 1, "…aaaaaa^bbbbbbbbbbb…", "       ^"},
		{"fits just so", strings.Repeat("a", 20), 20, 20, strings.Repeat("a", 20), strings.Repeat(" ", 19) + "^"},
		{"wide at the edge", strings.Repeat("日", 30), 15, 20, "…日日日日日日日日日…", "       ^"},
	} {
		t.Run(c.name, func(t *testing.T) {
			shown, before := clip(c.line, c.character, c.columns)
			caret := ""
			if before >= 0 {
				caret = strings.Repeat(" ", before) + "^"
			}
			if shown != c.want || caret != c.caret {
				t.Errorf("got\n%s\n%s\nwant\n%s\n%s", shown, caret, c.want, c.caret)
			}
		})
	}
}

func TestWorkflowCommandsCannotBeForged(t *testing.T) {
	if got, want := escape("a\r\n::error::%0A\x1b[31m"), "a%0D%0A::error::%250A [31m"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := escapeProperty("a,b:c%\n"), "a%2Cb%3Ac%25%0A"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// SARIF links each reason to its heading in the documentation.
func TestReasonsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/validate.md")
	if err != nil {
		t.Fatal(err)
	}
	for reason, text := range reasons {
		if section := "### " + reason + "\n\n" + text + "\n"; !strings.Contains(string(page), section) {
			t.Errorf("docs/validate.md lacks:\n%s", section)
		}
	}
}
