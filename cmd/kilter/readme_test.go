package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"sigs.k8s.io/yaml"
)

// TestEveryFlagOfValidateIsDocumented compares the table in docs/validate.md with the command's flags and what they default to.
func TestEveryFlagOfValidateIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/validate.md")
	if err != nil {
		t.Fatal(err)
	}
	validateCommand().Flags().VisitAll(func(f *pflag.Flag) {
		row := "`--" + f.Name + "` | "
		if f.DefValue != "" && f.DefValue != "false" {
			row += "`" + f.DefValue + "` |"
		}
		if !strings.Contains(string(page), row) {
			t.Errorf("docs/validate.md lacks a row with %s", row)
		}
	})
}

// TestExamplesOfValidateAreCommandLines checks the flags of each kilter validate that people are told to run.
func TestExamplesOfValidateAreCommandLines(t *testing.T) {
	example := regexp.MustCompile("kilter validate ([^\n`>|#)<]+)")
	found := 0
	for _, file := range []string{"docs/validate.md", "examples/ci/validate.yaml"} {
		text, err := os.ReadFile(filepath.Join("../..", file))
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range example.FindAllStringSubmatch(string(text), -1) {
			command := validateCommand()
			if err := command.ParseFlags(strings.Fields(match[1])); err != nil {
				t.Errorf("%s: %s: %v", file, match[0], err)
				continue
			}
			found++
			if output := command.Flag("output").Value.String(); formats[output] == nil {
				t.Errorf("%s: %s: no such format", file, match[0])
			}
		}
	}
	if found < 8 {
		t.Errorf("only %d examples were found", found)
	}
}

// TestExamplesAreValid runs what examples/README.md tells people to run.
func TestExamplesAreValid(t *testing.T) {
	text, err := os.ReadFile("../../examples/README.md")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^    kilter (validate .*)$`).FindSubmatch(text)
	if line == nil {
		t.Fatal("it validates nothing")
	}
	t.Chdir("../..")
	var out bytes.Buffer
	if code := run(t.Context(), strings.Fields(string(line[1])), &out, &out); code != exitFine {
		t.Errorf("exit code %d: %s", code, out.String())
	}
}

// The hook is what pre-commit runs in the repositories of others.
func TestHookRunsValidate(t *testing.T) {
	text, err := os.ReadFile("../../.pre-commit-hooks.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var hooks []struct {
		ID, Entry, Language string
		Args                []string
		PassFilenames       *bool `json:"pass_filenames"`
	}
	if err := yaml.Unmarshal(text, &hooks); err != nil || len(hooks) != 1 {
		t.Fatalf("%d hooks, %v", len(hooks), err)
	}
	hook := hooks[0]
	if hook.ID != "kilter-validate" || hook.Language != "golang" || hook.PassFilenames == nil || *hook.PassFilenames {
		t.Errorf("got %+v", hook)
	}
	t.Chdir(makeFiles(t, "a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"))
	var out bytes.Buffer
	if code := run(t.Context(), append(strings.Fields(hook.Entry)[1:], hook.Args...), &out, &out); code != exitFine {
		t.Errorf("exit code %d: %s", code, out.String())
	}
}

// TestReadmeShowsTheFlags compares the README's list of flags with what -h prints.
func TestReadmeShowsTheFlags(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if code := run(t.Context(), []string{"run", "--help"}, &out, &out); code != exitFine {
		t.Fatalf("exit code %d: %s", code, out.String())
	}
	_, flags, found := strings.Cut(out.String(), "Flags:\n")
	if !found || !strings.Contains(string(readme), "```text\n"+flags+"```") {
		t.Errorf("README.md does not show the flags of kilter run as they are:\n%s", flags)
	}
}
