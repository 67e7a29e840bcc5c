package kustomize

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestRemote(t *testing.T) {
	for entry, want := range map[string]bool{
		"a.yaml": false, "../base": false, "./github.com/org/repo": false, "a:b.yaml": false, "a@b": true, "dir/with@at": false,
		"https://example.com/a": true, "HTTPS://example.com/a": true, "http:a": true, "ssh://git@example.com/a": true, "file:///a": true,
		"git@github.com:org/repo": true, "github.com/org/repo": true, "GitHub.com:org/repo": true, "git::a": true, "oci://a": true,
		"example.com/org/repo?ref=main": true,
	} {
		if got := remote(entry); got != want {
			t.Errorf("%s: remote is %t, want %t", entry, got, want)
		}
	}
}

// FuzzDotted shows that nothing can be written so that kustomize takes it for more than a local path.
func FuzzDotted(f *testing.F) {
	for _, seed := range []string{"a", "../a", "https://example.com/a", "git@example.com:a", "github.com/a/b", "..", "a/../../b", "git::a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, entry string) {
		written := dotted(entry)
		if written != ".." && !strings.HasPrefix(written, "./") && !strings.HasPrefix(written, "../") || remote(written) && written != ".." {
			t.Errorf("%q is written %q", entry, written)
		}
	})
}

func TestPrintable(t *testing.T) {
	for entry, want := range map[string]string{
		"https://user:secret@example.com/a?ref=b": "https://example.com/a",
		"a\nsecret":              "a…",
		strings.Repeat("ä", 300): strings.Repeat("ä", 200) + "…",
	} {
		if got := printable(entry); got != want {
			t.Errorf("%q is shown as %q, want %q", entry, got, want)
		}
	}
}

// TestMarksLeaveNothingBehind marks objects and takes the mark out again.
func TestMarksLeaveNothingBehind(t *testing.T) {
	for object, want := range map[string]string{
		`{"kind":"A","metadata":{"name":"a"}}`:                            "",
		`{"kind":"A","metadata":{"annotations":{"x":"y"},"name":"a"}}`:    "",
		`{"kind":"A","metadata":{"annotations":null,"name":"a"}}`:         `{"kind":"A","metadata":{"name":"a"}}`,
		`{"kind":"A","metadata":{"name":"a"},"n":12345678901234567890}`:   `{"kind":"A","metadata":{"name":"a"},"n":12345678901234567890}`,
		"{\"kind\":\"A\",\"metadata\":{\"name\":\"\u2028\x7f\\u0085😀\"}}": "",
	} {
		clean, mark, err := unmarked(annotated([]byte(object), "7"))
		if err != nil || mark != 7 {
			t.Errorf("%s: mark %d, %v", object, mark, err)
		}
		if want == "" {
			want = object
		}
		if !sameJSON(t, clean, []byte(want)) {
			t.Errorf("%s became %s", object, clean)
		}
	}
	copied := `{"metadata":{"annotations":{"` + markAnnotation + `":"3"}},"spec":[{"annotations":{"` + markAnnotation + `":"3","a":"b"}}]}`
	clean, mark, err := unmarked([]byte(copied))
	if err != nil || mark != 3 || bytes.Contains(clean, []byte(markAnnotation)) {
		t.Errorf("%s, mark %d, %v", clean, mark, err)
	}
	if _, mark, _ := unmarked([]byte(`{"metadata":{}}`)); mark != -1 {
		t.Errorf("an object without a mark has the mark %d", mark)
	}
}

// TestQuotedIsTheSameInYAML reads JSON with every character that YAML treats differently.
func TestQuotedIsTheSameInYAML(t *testing.T) {
	text := "\x00\t\n\r\x1f \x7f\u0080\u0085\u009f\u00a0\u2028\u2029\ufeff\ufffd\ufffe\uffff😀\"\\/"
	data, err := json.Marshal(map[string]string{"a": text})
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]string
	if err := yaml.Unmarshal(quoted(data), &got); err != nil || got["a"] != text {
		t.Errorf("got %q, %v", got["a"], err)
	}
}

func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	compact := func(data []byte) string {
		content, err := decodeObject(data)
		if err != nil {
			t.Fatal(err)
		}
		out, err := json.Marshal(content)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	return compact(a) == compact(b)
}
