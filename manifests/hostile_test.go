package manifests

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"
)

// hostile are files that are made to be expensive: each is text of about size bytes.
var hostile = map[string]struct {
	file string
	text func(size int) string
}{
	"flow sequences":       {"a.yaml", fill(header+"data: ", "[")},
	"flow mappings":        {"a.yaml", fill(header+"data: ", "{a: ")},
	"flow pairs":           {"a.yaml", fill(header+"data: [", "a: b, ")},
	"flow lines":           {"a.yaml", fill(header+"data: [", "a,\n")},
	"block sequences":      {"a.yaml", fill(header+"data:\n  ", "- ")},
	"colons":               {"a.yaml", fill(header+"data: ", "a: ")},
	"complex keys":         {"a.yaml", fill(header+"data:\n  ", "? ")},
	"documents":            {"a.yaml", fill("", "---\n")},
	"document ends":        {"a.yaml", fill("", "a\n...\n")},
	"objects":              {"a.yaml", fill("", "---\n"+header)},
	"objects in lists":     {"a.yaml", fill("apiVersion: v1\nkind: List\nitems:\n", "- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n")},
	"nested lists":         {"a.yaml", fill("", "{apiVersion: v1, kind: List, items: [")},
	"nameless objects":     {"a.yaml", fill("", "---\nkind: a\napiVersion: b\nmetadata: {uid: 1, 1: 2}\n")},
	"scalars":              {"a.yaml", fill("", "--- a\n")},
	"syntax errors":        {"a.yaml", fill("", "---\n'\n")},
	"unknown aliases":      {"a.yaml", fill("", "---\n*a\n")},
	"late unknown alias":   {"a.yaml", func(size int) string { return fill("a:\n", "- \"*b\" # *b\n")(size) + "- *b\n" }},
	"comments":             {"a.yaml", fill(header, "# x\n")},
	"comments in lists":    {"a.yaml", fill(header+"data:\n", "- # x\n")},
	"comments after items": {"a.yaml", fill(header+"data:\n", "- a # x\n\n# y\n")},
	"one comment":          {"a.yaml", fill(header+"# ", "x")},
	"directives":           {"a.yaml", fill("", "%TAG !a! b\n")},
	"YAML directives":      {"a.yaml", fill("", "%YAML 1.1\n---\n...\n")},
	"anchors":              {"a.yaml", func(size int) string { return header + "data:\n" + numbered("- &a%d x\n", size/12) }},
	"nested anchors":       {"a.yaml", func(size int) string { return header + "data: " + numbered("[&a%d ", size/12) }},
	"aliases":              {"a.yaml", bomb},
	"equal keys":           {"a.yaml", fill(header+"data:\n", "  a: b\n")},
	"keys":                 {"a.yaml", func(size int) string { return header + "data:\n" + numbered("  k%d: x\n", size/12) }},
	"merge keys":           {"a.yaml", fill(header+"data:\n", "  <<: {}\n")},
	"one key":              {"a.yaml", func(size int) string { return fill(header+"  ", "x")(size) + ": y\n" }},
	"one quoted key":       {"a.yaml", func(size int) string { return fill(header+"  '", "x")(size) + "': y\n" }},
	"one value":            {"a.yaml", fill(header+"data: '", "x")},
	"one line of words":    {"a.yaml", fill(header+"data: {a: ", "x ")},
	"plain lines":          {"a.yaml", fill(header+"data:\n  a: ", "x\n   ")},
	"blank lines":          {"a.yaml", fill(header+"data:\n  a: x", "\n")},
	"spaces":               {"a.yaml", fill(header+"data:\n", " ")},
	"tabs":                 {"a.yaml", fill(header+"data:\n", "\t")},
	"line separators":      {"a.yaml", fill(header+"data: '", "\u2028")},
	"deeper and deeper": {"a.yaml", func(size int) string {
		var text strings.Builder
		for i := 0; text.Len() < size; i++ {
			text.WriteString(strings.Repeat(" ", i) + "a:\n")
		}
		return text.String()
	}},
	"digits":         {"a.yaml", fill(header+"data: ", "9")},
	"underscores":    {"a.yaml", fill(header+"data: 1", "_")},
	"exponents":      {"a.yaml", fill(header+"data:\n", "- 1e-999999999\n- 1e999999999\n")},
	"tags":           {"a.yaml", fill(header+"data: ", "!a")},
	"escapes":        {"a.yaml", fill(header+"data: \"", `\x`)},
	"unknown fields": {"a.yaml", func(size int) string { return header + numbered("f%d: x\n", size/12) }},
	"wrong types":    {"a.yaml", func(size int) string { return header + "data:\n" + numbered("  k%d: 1\n", size/12) }},
	"octal numbers":  {"a.yaml", fill("apiVersion: a/b\nkind: c\nmetadata: {name: d}\nspec:\n", "- 010\n")},
	"wrong objects": {"a.yaml", func(size int) string {
		return numbered("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a%d}\ndata: [x]\n", size/72)
	}},
	"JSON arrays":  {"a.json", fill(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":`, "[")},
	"JSON values":  {"a.json", fill("", "1 ")},
	"JSON keys":    {"a.json", fill(`{"a":1`, `,"a":1`)},
	"JSON in YAML": {"a.yaml", fill("", "---\n{\"a\":1}\n")},
}

const header = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n"

func fill(head, unit string) func(size int) string {
	return func(size int) string { return head + strings.Repeat(unit, max(size-len(head), 0)/len(unit)) }
}

func numbered(format string, n int) string {
	var out strings.Builder
	for i := range n {
		fmt.Fprintf(&out, format, i)
	}
	return out.String()
}

// bomb is the shortest of all: 26 lines that stand for a quadrillion values.
func bomb(int) string {
	text := "a: &a [x]\n"
	for c := 'b'; c <= 'z'; c++ {
		text += fmt.Sprintf("%c: &%c [*%c, *%c, *%c, *%c]\n", c, c, c-1, c-1, c-1, c-1)
	}
	return text
}

// childSize tells a test process to load one hostile file of that size and no more.
const childSize = "KILTER_HOSTILE_SIZE"

// TestHostileFiles loads each hostile file, at the largest size that is allowed and at a quarter of it, in a process of its own, and
// bounds what the kernel says of that process, beyond what a process that loads nothing uses: its memory, its time, and that four times the
// text takes no more than about four times as long. The bounds are far above what is used, and far below what quadratic work would use.
func TestHostileFiles(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads the kernel's figures as Linux gives them")
	}
	const (
		largest  = 1 << 20
		mostTime = 10 * time.Second // of a processor
		mostKiB  = 200 << 10
		growth   = 10 // 4 where work is linear, 16 where it is quadratic
	)
	for name, file := range hostile {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			if size, child := os.LookupEnv(childSize); child {
				n, err := strconv.Atoi(size)
				if err != nil {
					t.Fatal(err)
				}
				load(t, fstest.MapFS{file.file: {Data: []byte(file.text(n))}}, Target{})
				return
			}
			t.Parallel()
			nothing, before := loadInChild(t, 0)
			quarter, _ := loadInChild(t, largest/4)
			whole, memory := loadInChild(t, largest)
			memory -= before
			t.Logf("%s for a quarter, %s for the whole, %d MiB", quarter-nothing, whole-nothing, memory>>10)
			if whole-nothing > mostTime {
				t.Errorf("took %s", whole)
			}
			if whole-nothing > growth*max(quarter-nothing, 0)+time.Second {
				t.Errorf("a quarter took %s, and the whole took %s", quarter-nothing, whole-nothing)
			}
			if memory > mostKiB {
				t.Errorf("used %d MiB", memory>>10)
			}
		})
	}
}

// loadInChild runs this test again in a process that loads the file, or for size 0 nothing much, and returns the processor's time and the most
// memory, in KiB, that it used.
func loadInChild(t *testing.T, size int) (took time.Duration, memory int64) {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	name := t.Name()
	child := exec.CommandContext(t.Context(), executable, "-test.run", "^"+strings.ReplaceAll(name, "/", "$/^")+"$", "-test.count=1")
	child.Env = append(os.Environ(), childSize+"="+strconv.Itoa(size), "GOMAXPROCS=1")
	if out, err := child.CombinedOutput(); err != nil {
		t.Fatalf("%s of %d bytes: %v\n%s", name, size, err, out)
	}
	usage := child.ProcessState.SysUsage().(*syscall.Rusage)
	return child.ProcessState.UserTime() + child.ProcessState.SystemTime(), usage.Maxrss
}
