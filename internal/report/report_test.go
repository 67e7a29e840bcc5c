package report_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"

	"kilter.dev/kilter/internal/golden"
	"kilter.dev/kilter/internal/report"
	"kilter.dev/kilter/manifests"
)

// formats are rendered for each archive of testdata. The terminal is 72 columns wide.
var formats = []struct {
	name   string
	format report.Format
}{
	{"text", report.Text{}.Write},
	{"terminal", report.Text{Width: 72}.Write},
	{"json", report.JSON},
	{"github", report.GitHub},
	{"sarif", report.SARIF},
}

// TestGolden renders what the trees in testdata come to. In an archive the files below want/ are wanted, the others the tree;
// "\r" and "\t" at the end and the beginning of lines stand for the characters.
func TestGolden(t *testing.T) {
	for _, file := range archives(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, tree := open(t, file)
			r := judge(t, tree)
			archive.Files = archive.Files[:len(tree)]
			for _, f := range formats {
				archive.Files = append(archive.Files, txtar.File{Name: "want/" + f.name, Data: render(t, r, f.format)})
			}
			golden.Check(t, file, string(txtar.Format(archive)))
		})
	}
}

func archives(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no archives in testdata", err)
	}
	return files
}

func open(t *testing.T, file string) (*txtar.Archive, fstest.MapFS) {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	tree := fstest.MapFS{}
	for _, f := range archive.Files {
		if !strings.HasPrefix(f.Name, "want/") {
			text := strings.NewReplacer(`\r`+"\n", "\r\n", `\t`, "\t").Replace(string(f.Data))
			tree[f.Name] = &fstest.MapFile{Data: []byte(text)}
		}
	}
	return archive, tree
}

// judge loads a tree as the program does.
func judge(t *testing.T, tree fstest.MapFS) *report.Report {
	t.Helper()
	name := func(file string) string { return "repo/" + file }
	set, err := manifests.NewLoader(manifests.Options{}).Load(t.Context(), tree, manifests.Target{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return &report.Report{
		Set: set, Kubernetes: "1.37", Version: "v1.2.3", Name: name,
		Read: func(file string) ([]byte, error) { return fs.ReadFile(tree, file) },
	}
}

func render(t *testing.T, r *report.Report, format report.Format) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := format(&out, r); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Whatever a Report holds, its JSON is as the published schema says.
func TestJSONSatisfiesItsSchema(t *testing.T) {
	const published = "../../docs/validate.schema.json"
	for _, file := range archives(t) {
		_, tree := open(t, file)
		r := judge(t, tree)
		r.Revision = "main@sha1:0123456789012345678901234567890123456789"
		for i := range r.Set.Problems {
			r.Set.Problems[i].Rule = "schedule-never-fires"
		}
		satisfies(t, published, render(t, r, report.JSON))
	}
	refused := []byte(`{
		"kubernetes": "1.37", "files": 1, "objects": 0, "errors": 1, "warnings": 0, "skipped": [], "problems": [{"severity": "fatal"}]
	}`)
	if problems := violations(t, published, refused); len(problems) < 3 { // the severity, no reason, no message
		t.Errorf("the schema refuses too little: %v", problems)
	}
}

// The essential structure of SARIF 2.1.0 and what GitHub's code scanning demands beyond it.
func TestSARIFIsWellFormed(t *testing.T) {
	for _, file := range archives(t) {
		_, tree := open(t, file)
		out := render(t, judge(t, tree), report.SARIF)
		satisfies(t, "testdata/sarif.schema.json", out)
		log := parseSARIF(t, out)
		rules := log.Runs[0].Tool.Driver.Rules
		for _, result := range log.Runs[0].Results {
			if rules[result.RuleIndex].ID != result.RuleID {
				t.Errorf("%s: result of %s points to rule %s", file, result.RuleID, rules[result.RuleIndex].ID)
			}
		}
	}
}

func satisfies(t *testing.T, schema string, document []byte) {
	t.Helper()
	for _, err := range violations(t, schema, document) {
		t.Errorf("%s: %v in\n%s", schema, err, document)
	}
}

func violations(t *testing.T, file string, document []byte) []error {
	t.Helper()
	found, err := golden.Violations(file, document)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

type sarifLog struct {
	Runs []struct {
		Tool struct {
			Driver struct{ Rules []struct{ ID string } }
		}
		Results []struct {
			RuleID              string
			RuleIndex           int
			PartialFingerprints map[string]string
		}
	}
}

func parseSARIF(t *testing.T, text []byte) sarifLog {
	t.Helper()
	var log sarifLog
	if err := json.Unmarshal(text, &log); err != nil {
		t.Fatal(err)
	}
	return log
}

// A problem that moved is still the same one; two problems are never the same.
func TestFingerprintsSurviveMoves(t *testing.T) {
	prints := func(tree fstest.MapFS) map[string]bool {
		found := map[string]bool{}
		results := parseSARIF(t, render(t, judge(t, tree), report.SARIF)).Runs[0].Results
		for _, result := range results {
			for _, mark := range result.PartialFingerprints {
				found[mark] = true
			}
		}
		if len(found) != len(results) {
			t.Errorf("%d problems have %d fingerprints", len(results), len(found))
		}
		return found
	}
	for _, file := range archives(t) {
		_, tree := open(t, file)
		before := prints(tree)
		for name := range tree {
			if strings.HasSuffix(name, ".yaml") {
				tree[name].Data = append([]byte("# moved\n\n"), tree[name].Data...)
			}
		}
		after := prints(tree)
		for mark := range before {
			if !after[mark] {
				t.Errorf("%s: a fingerprint changed with the line", file)
			}
		}
	}
}

func TestNoSecretIsShown(t *testing.T) {
	_, tree := open(t, "testdata/secret.txtar")
	r := judge(t, tree)
	for _, f := range formats {
		if out := render(t, r, f.format); bytes.Contains(out, []byte("hunter2")) {
			t.Errorf("%s shows a secret:\n%s", f.name, out)
		}
	}
}

func TestColors(t *testing.T) {
	_, tree := open(t, "testdata/mixed.txtar")
	plain := string(render(t, judge(t, tree), report.Text{Width: 72}.Write))
	colored := string(render(t, judge(t, tree), report.Text{Width: 72, Paint: true}.Write))
	for _, want := range []string{"\x1b[1;31merror\x1b[0m", "\x1b[1;33mwarning\x1b[0m", "\x1b[1;32m^\x1b[0m"} {
		if !strings.Contains(colored, want) {
			t.Errorf("%q is missing in:\n%s", want, colored)
		}
	}
	if strings.Contains(plain, "\x1b") {
		t.Errorf("colours although none are wanted:\n%s", plain)
	}
}
