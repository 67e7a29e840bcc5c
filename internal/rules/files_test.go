package rules_test

import (
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// maxLines is the length of a file that one can hold in the head. Tests and generated files may be longer.
const maxLines = 450

func TestFilesAreShort(t *testing.T) {
	for _, file := range repository(t).files {
		if !file.test() && !file.generated && file.lines > maxLines {
			t.Errorf("%s has %d lines, more than %d: give one of its nouns or verbs a file of its own", file.path, file.lines, maxLines)
		}
	}
}

func TestOnePackageComment(t *testing.T) {
	comments := map[string][]string{} // package directory -> files with a package comment
	program := map[string]bool{}      // package directories with files that are not tests
	for _, file := range repository(t).files {
		program[file.dir()] = program[file.dir()] || !file.test()
	}
	for _, file := range repository(t).files {
		if program[file.dir()] && file.test() {
			continue // the comment belongs to the program; only a package of nothing but tests has it there
		}
		found := comments[file.dir()]
		if file.doc && !file.generated {
			found = append(found, path.Base(file.path))
		}
		comments[file.dir()] = found
	}
	for _, dir := range slices.Sorted(maps.Keys(comments)) {
		switch found := comments[dir]; len(found) {
		case 0:
			t.Errorf("%s has no package comment: say what it is for, what it never does, how its parts connect", dir)
		case 1:
		default:
			t.Errorf("%s has package comments in %s: keep one", dir, strings.Join(found, " and "))
		}
	}
}

var (
	quoted    = regexp.MustCompile("`([^`\n]+)`")
	linked    = regexp.MustCompile(`\]\(([^)\s#]+)[^)]*\)`)
	drawn     = regexp.MustCompile(`(?m)^(?: {4}|\t)\s*([\w.-]+(?:/[\w.-]+)*/)(?:\s|$)`)
	pathShape = regexp.MustCompile(`^\.?[\w-]+(\.[\w-]+)*(/[\w.-]+)*/?$`)
	extension = regexp.MustCompile(`\.(go|md|mod|sum|ya?ml|json|txt|tpl)$`)
	// api/v1alpha1 is the one path that looks like an API version.
	apiVersion = regexp.MustCompile(`^(apps|batch|autoscaling|policy)/v\d\w*$`)
	domain     = regexp.MustCompile(`^[\w-]+(\.[\w-]+)+/`)
)

// Whoever moves a file mends the map. A path may be written from the root or, as in a drawn tree, from where it stands.
func TestArchitectureNamesWhatExists(t *testing.T) {
	const document = "ARCHITECTURE.md"
	paths := repository(t).paths
	if !slices.Contains(paths, document) {
		t.Fatalf("there is no %s", document)
	}
	named := pathsIn(t, document)
	if len(named) < 10 {
		t.Errorf("%s names %d paths: it has no code map", document, len(named))
	}
	for _, name := range named {
		exists := slices.ContainsFunc(paths, func(p string) bool { return p == name || strings.HasSuffix(p, "/"+name) })
		if !exists && name != "bin" {
			t.Errorf("%s names %s, which does not exist", document, name)
		}
	}
}

// pathsIn returns what looks like a path of this repository: linked, between backquotes, or as the first word of a drawn tree.
func pathsIn(t *testing.T, document string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, document))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, pattern := range []*regexp.Regexp{quoted, linked, drawn} {
		for _, match := range pattern.FindAllStringSubmatch(string(text), -1) {
			name := match[1]
			// kilter.dev/run is an annotation, k8s.io/api a module, batch/v1 an API version: not ours.
			if pathShape.MatchString(name) && !domain.MatchString(name) && !apiVersion.MatchString(name) &&
				(strings.Contains(name, "/") || extension.MatchString(name)) {
				found[strings.TrimSuffix(name, "/")] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}
