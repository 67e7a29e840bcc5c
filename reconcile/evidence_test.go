package reconcile

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"kilter.dev/kilter/manifests"
)

// secretSet is a set that holds one Secret with one value.
func secretSet(value string) *manifests.Set {
	text := fmt.Sprintf(`{"data":{"k":%q}}`, base64.StdEncoding.EncodeToString([]byte(value)))
	return &manifests.Set{Objects: []*manifests.Object{{ID: idOf(schema.GroupKind{Kind: "Secret"}), JSON: []byte(text)}}}
}

func idOf(kind schema.GroupKind) manifests.ID {
	return manifests.ID{Group: kind.Group, Kind: kind.Kind, Namespace: "shop", Name: "x"}
}

func TestMask(t *testing.T) {
	long := strings.Repeat("x", 3000)
	for _, c := range []struct {
		name, secret, log, want string
	}{
		{"nothing secret", "unrelated", "a\nb\n", "a\nb"},
		{"a value", "hunter2", "password hunter2, again hunter2\n", "password ***, again ***"},
		{"in base64", "hunter2", "token " + base64.StdEncoding.EncodeToString([]byte("hunter2")), "token ***"},
		{"with a line's end of its own", "hunter2\n", "got hunter2", "got ***"},
		{"one of several lines", "first line\nsecond line", "x second line", "x ***"},
		{"several short lines", "ab\ncd\nef", "ab\r\ncd\r\nef", "***"},
		{"too short to tell", "abc", "abcabc", "abcabc"},
		{"what is made of masks", "a***", "aa***", "***"},
		{"that becomes one when it is printable", "a b c d", "a\tb\tc\td", "***"},
		{"blank", "     ", "a     b", "a     b"},
		{"the last 20 lines", "none", strings.Repeat("l\n", 30), strings.TrimSuffix(strings.Repeat("l\n", 20), "\n")},
		{"whole lines of 4 KiB", "none", long + "\n" + long + "\nlast\n", long + "\nlast"},
		{"one line that is longer", "none", strings.Repeat("y", 5000), strings.Repeat("y", 4096)},
		{"escape sequences", "none", "\x1b[31mred\x00", " [31mred "},
		{"nothing", "none", "", ""},
	} {
		if got := mask([]byte(c.log), secretValues(secretSet(c.secret))); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func FuzzMask(f *testing.F) {
	f.Add("hunter2", []byte("password hunter2\n"))
	f.Add("a***", []byte("aa***"))
	f.Add("a b c d", []byte("a\tb\r\nc d"))
	f.Add("ab\ncd", []byte("ab\r\ncd\xff"))
	f.Add("  a ", []byte("x  a \n"))
	f.Fuzz(func(t *testing.T, secret string, log []byte) {
		got := mask(log, secretValues(secretSet(secret)))
		hidden := strings.TrimSpace(secret) != "" && len(secret) >= shortest
		if hidden && strings.Contains(got, secret) {
			t.Errorf("%q is in %q", secret, got)
		}
		if len(got) > logBytes || strings.Count(got, "\n") >= logLines || !utf8.ValidString(got) {
			t.Errorf("%d bytes, %d lines", len(got), strings.Count(got, "\n")+1)
		}
	})
}
