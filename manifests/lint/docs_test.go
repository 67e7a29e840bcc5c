package lint_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"sigs.k8s.io/yaml"

	"kilter.dev/kilter/internal/golden"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/manifests/lint"
)

const pages = "../../docs/lint"

var block = regexp.MustCompile("(?s)(Before|After):\n\n```yaml\n(.*?)```\n")

// TestPages holds every page to its rule: it has the three headings, what it shows as wrong draws the remark, and what it shows
// as right does not.
func TestPages(t *testing.T) {
	for _, rule := range lint.Rules() {
		t.Run(rule.ID, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("../..", rule.Page()))
			if err != nil {
				t.Fatal(err)
			}
			at := 0
			for _, heading := range []string{"# " + rule.ID + "\n\n", "\n## What\n\n", "\n## Why\n\n", "\n## Fix\n\n"} {
				i := strings.Index(string(text[at:]), heading)
				if i < 0 {
					t.Fatalf("no %q where it belongs", strings.TrimSpace(heading))
				}
				at += i + 1
			}
			blocks := block.FindAllStringSubmatch(string(text[at:]), -1)
			if len(blocks) != 2 || blocks[0][1] != "Before" || blocks[1][1] != "After" {
				t.Fatal("the fix needs one block of YAML before and one after")
			}
			if remarks := remarks(t, rule.ID, blocks[0][2]); len(remarks) == 0 {
				t.Error("what stands before the fix draws no remark")
			}
			for _, p := range remarks(t, rule.ID, blocks[1][2]) {
				t.Errorf("after the fix: %s", p)
			}
		})
	}
	found, err := filepath.Glob(filepath.Join(pages, "*.md"))
	if err != nil || len(found) != len(lint.Rules())+1 {
		t.Errorf("%d pages for %d rules and an index (%v)", len(found), len(lint.Rules()), err)
	}
}

// TestIndex writes the table of the index from the rules.
func TestIndex(t *testing.T) {
	file := filepath.Join(pages, "README.md")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const head = "\n|---|---|---|\n"
	before, _, ok := strings.Cut(string(text), head)
	if !ok {
		t.Fatal("the index has no table")
	}
	table := before + head
	for _, rule := range lint.Rules() {
		kinds := strings.Join(rule.Kinds, ", ")
		if rule.Kinds == nil {
			kinds = "all of these"
		}
		table += "| [" + rule.ID + "](" + rule.ID + ".md) | " + kinds + " | " + rule.Summary + " |\n"
	}
	golden.Check(t, file, table)
}

// remarks completes the fragments of a page and returns what the rule says about them.
func remarks(t *testing.T, rule, fragments string) []manifests.Problem {
	t.Helper()
	tree := fstest.MapFS{}
	for i, fragment := range strings.Split(fragments, "---\n") {
		var object map[string]any
		if err := yaml.UnmarshalStrict([]byte(fragment), &object); err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(merge(usual(t, object["kind"].(string)), object))
		if err != nil {
			t.Fatal(err)
		}
		tree[string(rune('a'+i))+".json"] = &fstest.MapFile{Data: data}
	}
	set := lintedSet(t, tree)
	if set.Rejected() {
		t.Fatalf("the server refuses it: %s", set.Problems[0])
	}
	return slices.DeleteFunc(set.Problems, func(p manifests.Problem) bool { return p.Rule != rule })
}

// usual returns what an object of the kind has beside what a page shows.
func usual(t *testing.T, kind string) map[string]any {
	t.Helper()
	const (
		head       = "apiVersion: %\nmetadata: {name: web}\n"
		containers = "containers: [{name: web, image: registry.example.com/web:1.2.3}]"
		run        = "template: {spec: {restartPolicy: Never, " + containers + "}}"
		server     = "spec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {" +
			containers + "}}}"
	)
	text, ok := map[string]string{
		"CronJob":                 "batch/v1 spec: {schedule: 17 4 * * *, jobTemplate: {spec: {" + run + "}}}",
		"Job":                     "batch/v1 spec: {" + run + "}",
		"DaemonSet":               "apps/v1 " + server,
		"Deployment":              "apps/v1 " + server,
		"StatefulSet":             "apps/v1 " + server,
		"HorizontalPodAutoscaler": "autoscaling/v2 spec: {}",
		"PersistentVolumeClaim":   "v1 spec: {resources: {requests: {storage: 1Gi}}}",
		"PodDisruptionBudget":     "policy/v1 spec: {}",
		"Service":                 "v1 spec: {ports: [{port: 80}]}",
	}[kind]
	if !ok {
		t.Fatalf("what is usual for %s?", kind)
	}
	version, spec, _ := strings.Cut(text, " ")
	var object map[string]any
	if err := yaml.Unmarshal([]byte(strings.Replace(head, "%", version, 1)+spec), &object); err != nil {
		t.Fatal(err)
	}
	return object
}

// merge puts what a page shows over what is usual; lists are replaced.
func merge(under, over map[string]any) map[string]any {
	for key, value := range over {
		below, ok := under[key].(map[string]any)
		above, both := value.(map[string]any)
		if ok && both {
			value = merge(below, above)
		}
		under[key] = value
	}
	return under
}
