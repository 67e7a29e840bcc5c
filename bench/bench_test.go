package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kilter.dev/kilter/internal/needs"
)

// TestQuick runs the whole program on a small number of objects, with another tool beside Kilter, and wants a number for everything.
func TestQuick(t *testing.T) {
	kubeconfig := needs.Cluster(t)
	out := t.TempDir()
	if err := os.WriteFile(filepath.Join(out, "README.md"), []byte("# Before\n"+tablesBegin+"old\n"+tablesEnd+"after\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir("..") // where make runs it
	o, err := parse([]string{
		"-quick", "-reps", "1", "-samples", "1", "-kubeconfig", kubeconfig, "-out", out,
		// Reads the repository, and has Kilter's own program apply it once.
		"-tool", `once=printf '{apiVersion: kilter.dev/v1alpha1, kind: Sync, metadata: {name: once, namespace: %s}, spec: {git: {url: "%s", ` +
			`ref: {branch: %s}, path: %s}}}' {{.Namespace}} {{.Repo}} {{.Branch}} {{.Path}} > sync.yaml && ` +
			`{{.Root}}/bin/kilter run -f sync.yaml --once --kubeconfig {{.Kubeconfig}} --allow-insecure-git`,
	})
	if err != nil {
		t.Fatal(err)
	}
	var printed bytes.Buffer
	o.stdout = &printed
	if err := o.run(t.Context()); err != nil {
		t.Fatalf("%v; it printed:\n%s", err, printed.String())
	}

	var found results
	text, err := os.ReadFile(filepath.Join(out, "results.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &found); err != nil {
		t.Fatal(err)
	}
	for _, m := range measures() {
		subject := subjectKilter
		if strings.HasPrefix(m.title, "limit:") {
			subject = subjectRaw
		}
		row := found.find(100, m.id, subject, "")
		if row == nil {
			t.Errorf("nothing was measured of %s", m.id)
			continue
		}
		if counts := strings.HasSuffix(m.id, "requests") || strings.HasSuffix(m.id, "writes") || strings.HasSuffix(m.id, "cpu"); !counts && row.Low <= 0 {
			t.Errorf("%s was %g", m.id, row.Low)
		}
		if m.limit != "" && row.Ratio <= 0 {
			t.Errorf("%s has no ratio to its limit %s", m.id, m.limit)
		}
	}
	for _, id := range []string{"first-apply", "first-apply-requests", "push", "memory"} {
		if row := found.find(100, id, "once", ""); row == nil || row.Low <= 0 {
			t.Errorf("%s of the other tool: %+v", id, row)
		}
	}
	document, err := os.ReadFile(filepath.Join(out, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# Before\n", "push to applied", "\nafter\n"} {
		if !strings.Contains(string(document), want) {
			t.Errorf("README.md lacks %q:\n%s", want, document)
		}
	}
	for _, id := range plotted() {
		if svg, err := os.ReadFile(filepath.Join(out, id+".svg")); err != nil || !bytes.Contains(svg, []byte("<circle")) {
			t.Errorf("the plot of %s: %v\n%s", id, err, svg)
		}
	}
}

func TestSummary(t *testing.T) {
	r := &results{Runs: []taking{{N: 100, Reps: 2}, {N: 10_000, Reps: 2}}, Subjects: []string{subjectKilter, subjectRaw}}
	add := func(n, rep int, measure, subject string, values ...float64) {
		for _, value := range values {
			r.add(sample{n: n, rep: rep, measure: measure, subject: subject, value: value})
		}
	}
	// The machine is three times as slow in the second repetition: the ratio does not notice.
	add(100, 0, "push", subjectKilter, 20, 40)
	add(100, 0, fetchAndPatch, subjectRaw, 15)
	add(100, 1, "push", subjectKilter, 90)
	add(100, 1, fetchAndPatch, subjectRaw, 45)
	add(10_000, 0, "push", subjectKilter, 120)
	add(10_000, 1, "push", subjectKilter, 120)
	r.summarize()

	row := r.find(100, "push", subjectKilter, "")
	if row.Median != 40 || row.Low != 20 || row.High != 90 || row.Ratio != 2 {
		t.Errorf("got %+v; want median 40, from 20 to 90, ratio 2", row)
	}
	// Three times as much for a hundred times as many objects: log 3 / log 100.
	if exponent, ok := r.exponent("push", subjectKilter); !ok || format(exponent, "") != "0.239" {
		t.Errorf("the exponent is %g, %v; want 0.239", exponent, ok)
	}
	if table := r.tables(); !strings.Contains(table, "≤ 50 ms, ≤ 2 × limit | met ") || !strings.Contains(table, "| < 0.2    | missed |") {
		t.Errorf("the tables do not tell what was met and what was missed:\n%s", table)
	}
}

func TestFastest(t *testing.T) {
	r := &results{Runs: []taking{{N: 100, Reps: 2}}}
	all := []int{1, 8, 16, 32}
	if got := r.fastest(100, all, 2); !slices.Equal(got, all) {
		t.Errorf("at first %v are tried; want all", got)
	}
	for i, took := range []float64{9, 4, 2, 3} {
		r.add(sample{n: 100, measure: rawApply, subject: subjectRaw, part: inFlightPart(all[i]), value: took})
	}
	r.add(sample{n: 100, rep: 1, measure: rawApply, subject: subjectRaw, part: inFlightPart(8), value: 1})
	if got := r.fastest(100, all, 2); !slices.Equal(got, []int{8, 16}) {
		t.Errorf("got %v; want 8 and 16", got)
	}
}

// Numbers of objects can be measured one at a time: a run replaces what an earlier one has found of the same, and nothing else.
func TestRunsAddUp(t *testing.T) {
	o := &options{out: t.TempDir()}
	if err := os.WriteFile(filepath.Join(o.out, "README.md"), []byte(tablesBegin+tablesEnd), 0o600); err != nil {
		t.Fatal(err)
	}
	var last *results
	for _, run := range []struct {
		n    int
		push float64
	}{{1000, 40}, {100, 30}, {1000, 20}} {
		o.stdout, last = &bytes.Buffer{}, &results{Runs: []taking{{N: run.n, Reps: 1}}, Subjects: []string{subjectKilter, subjectRaw}}
		last.add(sample{n: run.n, measure: "push", subject: subjectKilter, value: run.push})
		if err := errors.Join(o.merge(last), o.write(last)); err != nil {
			t.Fatal(err)
		}
	}
	if len(last.Runs) != 2 || last.find(100, "push", subjectKilter, "").Median != 30 || last.find(1000, "push", subjectKilter, "").Median != 20 {
		t.Errorf("got\n%s", last.tables())
	}
	if exponent, ok := last.exponent("push", subjectKilter); !ok || exponent > 0 {
		t.Errorf("the exponent over both runs is %g, %v; want less than 0", exponent, ok)
	}
}

// Every pixel of a plot is inside it, whatever the numbers are.
func TestPlot(t *testing.T) {
	r := &results{Runs: []taking{{N: 100, Reps: 1}, {N: 1000, Reps: 1}, {N: 10_000, Reps: 1}}, Subjects: []string{subjectKilter, subjectRaw}}
	for n, value := range map[int]float64{100: 0.001, 1000: 3, 10_000: 99_000} {
		r.add(sample{n: n, measure: "push", subject: subjectKilter, value: value})
	}
	r.summarize()
	i := slices.IndexFunc(measures(), func(m measure) bool { return m.id == "push" })
	p := r.plot(measures()[i])
	if len(p.Lines) != 1 || len(p.Lines[0].Points) != 3 || len(p.YTicks) < 5 {
		t.Fatalf("got %+v", p)
	}
	for _, at := range p.Lines[0].Points {
		if at.X < plotLeft || at.X > plotRight || at.Low > plotBottom || at.High < plotTop {
			t.Errorf("a point is outside: %+v", at)
		}
	}
}

func TestParse(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"too few objects":    {[]string{"-n", "10"}, "must be numbers from 100 on"},
		"no such measure":    {[]string{"-measures", "apply,colour"}, "-measures colour: unknown; there are apply, push, drift"},
		"a tool named raw":   {[]string{"-tool", "raw=true"}, "must be name=command"},
		"a broken command":   {[]string{"-tool", "a={{.Repo"}, "cannot read the command of a"},
		"nobody to trigger":  {[]string{"-trigger", "a=true"}, "there is no -tool of that name"},
		"too many samples":   {[]string{"-samples", "11"}, "no object is disturbed twice"},
		"something left out": {[]string{"1000"}, `unknown argument "1000"`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := parse(test.args); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v; want %q", err, test.want)
			}
		})
	}
}
