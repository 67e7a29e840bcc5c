package document

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// outline lists every key and value of a file with its document and place, and every error.
func outline(name, text string) string {
	var b strings.Builder
	var list func(doc int, node *yaml.Node, path string)
	list = func(doc int, node *yaml.Node, path string) {
		switch node.Kind {
		case yaml.MappingNode:
			for i := 0; i+1 < len(node.Content); i += 2 {
				key, value := node.Content[i], node.Content[i+1]
				fmt.Fprintf(&b, "%d %s.%s %d:%d\n", doc, path, key.Value, key.Line, key.Column)
				list(doc, value, path+"."+key.Value)
			}
		case yaml.SequenceNode:
			for i, item := range node.Content {
				fmt.Fprintf(&b, "%d %s[%d] %d:%d\n", doc, path, i, item.Line, item.Column)
				list(doc, item, fmt.Sprintf("%s[%d]", path, i))
			}
		default:
			fmt.Fprintf(&b, "%d %s = %q %d:%d\n", doc, path, node.Value, node.Line, node.Column)
		}
	}
	for doc, err := range Parse(name, []byte(text)) {
		if err != nil {
			fmt.Fprintf(&b, "%d error %d:%d %s\n", err.Document, err.Line, err.Column, err.Message)
		} else if doc.Root != nil {
			list(doc.Index, doc.Root, "")
		}
	}
	return b.String()
}

// TestPlaces reads files whose lines, columns or documents are easily miscounted.
func TestPlaces(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"text on the line of ---.yaml": {"--- {a: b}\n--- # c\nc: d\n--- e\n", "0 .a 1:6\n0 .a = \"b\" 1:9\n1 .c 3:1\n1 .c = \"d\" 3:4\n2  = \"e\" 4:5\n"},
		"comments between.yaml":        {"# x\n\n---\n# y\na: b\n# z\n---\n# c: d\n---\ne: f", "0 .a 5:1\n0 .a = \"b\" 5:4\n2 .e 10:1\n2 .e = \"f\" 10:4\n"},
		"document ends.yaml":           {"a: b\n...\n---\nc: d\n...\n# end\n", "0 .a 1:1\n0 .a = \"b\" 1:4\n1 .c 4:1\n1 .c = \"d\" 4:4\n"},
		"directives.yaml": {
			"%YAML 1.1\n---\na: b\n...\n%YAML 1.1\n%TAG ! tag:x,2000:\n---\nc: d\n",
			"0 .a 3:1\n0 .a = \"b\" 3:4\n1 .c 8:1\n1 .c = \"d\" 8:4\n",
		},
		"separators in a block scalar.yaml": {"a: |\n  ---\n  b\nc: d\n", "0 .a 1:1\n0 .a = \"---\\nb\\n\" 1:4\n0 .c 4:1\n0 .c = \"d\" 4:4\n"},
		"not a separator.yaml":              {"---a: b\n", "0 .---a 1:1\n0 .---a = \"b\" 1:7\n"},
		"tabs count as one.yaml":            {"a:\tb\nc: {d:\t\te}\n", "0 .a 1:1\n0 .a = \"b\" 1:4\n0 .c 2:1\n0 .c.d 2:5\n0 .c.d = \"e\" 2:9\n"},
		"characters, not bytes.yaml":        {"größe: {日本: x, 👩‍🚀: y}\n", "0 .größe 1:1\n0 .größe.日本 1:9\n0 .größe.日本 = \"x\" 1:13\n0 .größe.👩‍🚀 1:16\n0 .größe.👩‍🚀 = \"y\" 1:21\n"},
		"line breaks of YAML alone.yaml": {
			"# a\u2028# b\na: b\u0085\nc: [d, \"e\u2029f\", g]\r# x\nh: i\n",
			"0 .a 2:1\n0 .a = \"b\" 2:4\n0 .c 3:1\n0 .c[0] 3:5\n0 .c[0] = \"d\" 3:5\n0 .c[1] 3:8\n0 .c[1] = \"e\\u2029f\" 3:8\n0 .c[2] 3:15\n0 .c[2] = \"g\" 3:15\n0 .h 4:1\n0 .h = \"i\" 4:4\n",
		},
		"old line ends.yaml":    {"a: b\rc: d\r", "0 .a 1:1\n0 .a = \"b\" 1:4\n0 .c 1:6\n0 .c = \"d\" 1:9\n"},
		"a long line.yaml":      {"a: {b: '" + strings.Repeat("ü", 5000) + "', c: d}\n", "0 .a 1:1\n0 .a.b 1:5\n0 .a.b = \"" + strings.Repeat("ü", 5000) + "\" 1:8\n0 .a.c 1:5012\n0 .a.c = \"d\" 1:5015\n"},
		"JSON in YAML.yaml":     {"a: b\n---\n{\n\t\"c\": \"\\ud83d\\ude00\",\n\t\"d\": [1]}\n", "0 .a 1:1\n0 .a = \"b\" 1:4\n1 .c 4:2\n1 .c = \"😀\" 4:7\n1 .d 5:2\n1 .d[0] 5:8\n1 .d[0] = \"1\" 5:8\n"},
		"JSON called YAML.yaml": {"\n{\"c\": \"\\/\\ud83d\\ude00\",\n \"é\": 1e2}\n", "0 .c 2:2\n0 .c = \"/😀\" 2:7\n0 .é 3:2\n0 .é = \"1e2\" 3:7\n"},
		"two values.json":       {"{\"a\": \"é\", \"b\": 1}\r\n\r\n [null]", "0 .a 1:2\n0 .a = \"é\" 1:7\n0 .b 1:12\n0 .b = \"1\" 1:17\n1 [0] 3:3\n1 [0] = \"null\" 3:3\n"},
		"JSON without a name":   {"{\n\"a\": 1}\n{\"b\": 2,}", "0 .a 2:1\n0 .a = \"1\" 2:6\n1 error 3:9 not valid JSON: invalid character '}' looking for beginning of object key string\n"},
		"an error in one.yaml":  {"a: [\n---\nb: c\n---\nd: '\n", "0 error 1:1 not valid YAML: a value is missing, or starts with a bracket or comma: close what was opened, or quote the value\n1 .b 3:1\n1 .b = \"c\" 3:4\n2 error 5:4 not valid YAML: the quote that opens here is never closed\n"},
		"an error below.yaml":   {"# a\u2028# b\na: '\n", "0 error 2:4 not valid YAML: the quote that opens here is never closed\n"},
		"no text.yaml":          {"a: b\nc: ü\xff\n", "0 error 2:5 not UTF-8 text: save the file as UTF-8\n"},
		"UTF-16.yaml":           {"\xff\xfea\x00", "0 error 1:1 not UTF-8 text: save the file as UTF-8\n"},
		"a null character.yaml": {"a: b\n\x00", "0 error 2:1 the character U+0000 is not allowed: remove it, or write it as an escape in double quotes\n"},
		"nothing.yaml":          {"", ""},
		"only comments.yaml":    {"# a\n---\n# b\n", ""},
		"only a directive.yaml": {"%YAML 1.1\n", "0 error 1:1 not valid YAML: a line with --- is missing between directives (%) and what they are for, or between two documents\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, outline(name, test.text)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if diff := cmp.Diff(test.want, outline(name, "\ufeff"+test.text)); diff != "" {
				t.Errorf("with a byte order mark: -want +got:\n%s", diff)
			}
		})
	}
}
