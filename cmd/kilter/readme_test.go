package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

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
