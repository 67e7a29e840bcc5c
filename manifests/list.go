package manifests

import (
	"bufio"
	"bytes"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/gitignore"

	"kilter.dev/kilter/manifests/kustomize"
)

// listing is what a tree holds, by name.
type listing struct {
	files          []string // manifests, sorted
	kustomizations []string // directories that hold a kustomization file, sorted
	parts          []part   // manifests in and below such directories, which only a build reads
	read           int      // files that builds read; known when they are done
	skipped        []Skip
	problems       []Problem
}

// part is a file that is a manifest by its name, in the directory of a kustomization or below it.
type part struct{ name, kustomization string }

const ignoreFile = ".kilterignore"

// maxIgnoreBytes bounds a .kilterignore file.
const maxIgnoreBytes = 1 << 20

// list finds the manifests below one directory of a tree: *.yaml, *.yml and *.json in every directory that is not hidden. A directory
// with a kustomization file is one unit with all below it. A .kilterignore file in gitignore syntax excludes below its own directory.
// Any error ends it: part of a tree is no tree.
func list(tree fs.FS, root string) (*listing, error) {
	l := &listing{}
	if err := l.directory(tree, root, "", nil); err != nil {
		return nil, err
	}
	slices.Sort(l.files)
	slices.Sort(l.kustomizations)
	return l, nil
}

// directory lists one directory; patterns are those of the directories above it, and kustomization is the file that it belongs to.
func (l *listing) directory(tree fs.FS, directory, kustomization string, patterns []gitignore.Pattern) error {
	entries, err := fs.ReadDir(tree, directory)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == ignoreFile }) {
		own, err := ignorePatterns(tree, directory)
		if err != nil {
			return err
		}
		patterns = slices.Concat(patterns, own)
	}
	ignored := gitignore.NewMatcher(patterns)
	for _, entry := range entries {
		name := path.Join(directory, entry.Name())
		if kustomization == "" && !entry.IsDir() && kustomize.IsKustomization(entry.Name()) && !ignored.Match(strings.Split(name, "/"), false) {
			kustomization = name
			l.kustomizations = append(l.kustomizations, directory)
		}
	}
	for _, entry := range entries {
		name := path.Join(directory, entry.Name())
		switch wanted := entry.IsDir() || isManifest(name); {
		case !wanted || strings.HasPrefix(entry.Name(), "."):
		case ignored.Match(strings.Split(name, "/"), entry.IsDir()):
			l.skipped = append(l.skipped, Skip{Origin: Origin{File: name}, Reason: "listed in " + ignoreFile})
		case entry.IsDir():
			if err := l.directory(tree, name, kustomization, patterns); err != nil {
				return err
			}
		case kustomization != "":
			l.parts = append(l.parts, part{name, kustomization})
		case !entry.Type().IsRegular():
			l.problem(name, "not a regular file: replace the link by the file it points to")
		default:
			l.files = append(l.files, name)
		}
	}
	return nil
}

func (l *listing) problem(name, message string) {
	l.problems = append(l.problems, Problem{
		Origin: Origin{File: name}, Reason: ReasonUnsupported, Severity: Error, Message: message,
	})
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
