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
	visited  map[string]bool // directories
}

const ignoreFile = ".kilterignore"

// maxIgnoreBytes bounds a .kilterignore file.
const maxIgnoreBytes = 1 << 20

// list finds the manifests at the paths of a tree: files whatever their names, and below directories *.yaml, *.yml and *.json
// where no directory is hidden. A .kilterignore file in gitignore syntax excludes below its own directory. Any error ends it:
// part of a tree is no tree.
func list(tree fs.FS, paths []string) (*listing, error) {
	l := &listing{visited: map[string]bool{}}
	for _, name := range paths {
		info, err := fs.Stat(tree, name)
		if err != nil {
			return nil, err
		}
		l.skipped = slices.DeleteFunc(l.skipped, func(s Skip) bool { return s.Origin.File == name }) // asked for by name
		if !info.IsDir() {
			l.files = append(l.files, name)
		} else if err := l.directory(tree, name, nil); err != nil {
			return nil, err
		}
	}
	slices.Sort(l.files)
	l.files = slices.Compact(l.files)
	return l, nil
}

// directory lists one directory; patterns are those of the directories above it.
func (l *listing) directory(tree fs.FS, directory string, patterns []gitignore.Pattern) error {
	if l.visited[directory] {
		return nil
	}
	l.visited[directory] = true
	entries, err := fs.ReadDir(tree, directory)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		switch entry.Name() {
		case ignoreFile:
			own, err := ignorePatterns(tree, directory)
			if err != nil {
				return err
			}
			patterns = slices.Concat(patterns, own)
		case "kustomization.yaml", "kustomization.yml", "Kustomization":
			// Its files are parts, and no manifests by themselves.
			l.problem(path.Join(directory, entry.Name()), "kustomizations are not supported: "+
				"commit what \"kustomize build\" prints, or list this directory in "+ignoreFile)
			return nil
		}
	}
	ignored := gitignore.NewMatcher(patterns)
	for _, entry := range entries {
		name := path.Join(directory, entry.Name())
		switch wanted := entry.IsDir() || entry.Type()&fs.ModeSymlink != 0 || isManifest(name); {
		case !wanted || strings.HasPrefix(entry.Name(), "."):
		case ignored.Match(strings.Split(name, "/"), entry.IsDir()):
			l.skipped = append(l.skipped, Skip{Origin: Origin{File: name}, Reason: "listed in " + ignoreFile})
		case entry.IsDir():
			if err := l.directory(tree, name, patterns); err != nil {
				return err
			}
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
