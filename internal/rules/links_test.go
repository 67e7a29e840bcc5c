package rules_test

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	link    = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	fence   = regexp.MustCompile("(?s)\n```.*?\n```")
)

// TestLinksLead follows each relative link of each page, to the file and to the heading.
func TestLinksLead(t *testing.T) {
	tree, followed := repository(t), 0
	for _, name := range tree.paths {
		if path.Ext(name) != ".md" || strings.Contains(name, "testdata/") {
			continue
		}
		for _, found := range link.FindAllStringSubmatch(prose(t, name), -1) {
			target, anchor, _ := strings.Cut(found[1], "#")
			if strings.Contains(target, ":") {
				continue // elsewhere
			}
			followed++
			file := name
			if target != "" {
				file = path.Join(path.Dir(name), target)
			}
			switch {
			case !slices.Contains(tree.paths, file):
				t.Errorf("%s: %s leads nowhere", name, found[1])
			case anchor != "" && path.Ext(file) == ".md" && !slices.Contains(anchors(prose(t, file)), anchor):
				t.Errorf("%s: %s names no heading of %s, which has %s", name, found[1], file, strings.Join(anchors(prose(t, file)), ", "))
			}
		}
	}
	if followed < 100 {
		t.Errorf("only %d links were found", followed)
	}
}

// prose returns a page without its blocks of code.
func prose(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return fence.ReplaceAllString(string(text), "")
}

// anchors returns the names by which the headings of a page are linked to.
func anchors(text string) []string {
	var names []string
	for _, found := range heading.FindAllStringSubmatch(text, -1) {
		names = append(names, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-', r == '_', r >= 'a' && r <= 'z', r >= '0' && r <= '9':
				return r
			}
			return -1
		}, strings.ToLower(found[1])))
	}
	return names
}
