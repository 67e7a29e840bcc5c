package manifests

import (
	"bufio"
	"bytes"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/gitignore"
)

// listing is what a tree holds, by name.
type listing struct {
	files    []string // manifests, sorted
	skipped  []Skip
	problems []Problem
}

const ignoreFile = ".kilterignore"

// maxIgnoreBytes bounds a .kilterignore file.
const maxIgnoreBytes = 1 << 20

// list finds the manifests of a tree: *.yaml, *.yml and *.json in every directory that is not hidden. A .kilterignore file in
// gitignore syntax excludes below its own directory. Any error while walking ends it: part of a tree is no tree.
func list(tree fs.FS) (*listing, error) {
	l := &listing{}
	var patterns []gitignore.Pattern
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := name != "." && strings.HasPrefix(entry.Name(), ".")
		switch {
		case name != "." && gitignore.NewMatcher(patterns).Match(strings.Split(name, "/"), entry.IsDir()):
			l.ignore(name, entry, hidden)
			return skipIfDir(entry)
		case entry.IsDir() && hidden:
			return fs.SkipDir
		case entry.IsDir():
			return l.directory(tree, name, &patterns)
		case hidden || !isManifest(name):
			return nil
		case !entry.Type().IsRegular():
			l.problem(name, "not a regular file: replace the link by the file it points to")
			return nil
		}
		l.files = append(l.files, name)
		return nil
	})
	slices.Sort(l.files)
	return l, err
}

// directory reads a directory's .kilterignore, and refuses a kustomization: its files are parts, and no manifests by themselves.
func (l *listing) directory(tree fs.FS, name string, patterns *[]gitignore.Pattern) error {
	entries, err := fs.ReadDir(tree, name)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		switch entry.Name() {
		case ignoreFile:
			found, err := ignorePatterns(tree, name)
			if err != nil {
				return err
			}
			*patterns = append(*patterns, found...)
		case "kustomization.yaml", "kustomization.yml", "Kustomization":
			l.problem(path.Join(name, entry.Name()), "kustomizations are not supported: commit what \"kustomize build\" prints, "+
				"or list this directory in .kilterignore")
			return fs.SkipDir
		}
	}
	return nil
}

func (l *listing) problem(name, message string) {
	l.problems = append(l.problems, Problem{
		Origin: Origin{File: name}, Reason: ReasonUnsupported, Severity: Error, Message: message,
	})
}

// ignore lists what .kilterignore excludes; of other files nobody expects to hear.
func (l *listing) ignore(name string, entry fs.DirEntry, hidden bool) {
	if !hidden && (entry.IsDir() || isManifest(name)) {
		l.skipped = append(l.skipped, Skip{Origin: Origin{File: name}, Reason: "listed in " + ignoreFile})
	}
}

func skipIfDir(entry fs.DirEntry) error {
	if entry.IsDir() {
		return fs.SkipDir
	}
	return nil
}

func isManifest(name string) bool {
	switch path.Ext(name) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}

// ignorePatterns reads the .kilterignore of a directory; its patterns hold below that directory.
func ignorePatterns(tree fs.FS, directory string) ([]gitignore.Pattern, error) {
	data, err := readUpTo(tree, path.Join(directory, ignoreFile), maxIgnoreBytes)
	if err != nil {
		return nil, err
	}
	var domain []string
	if directory != "." {
		domain = strings.Split(directory, "/")
	}
	var patterns []gitignore.Pattern
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		if line := lines.Text(); strings.TrimSpace(line) != "" && !strings.HasPrefix(line, "#") {
			patterns = append(patterns, gitignore.ParsePattern(line, domain))
		}
	}
	return patterns, nil
}
