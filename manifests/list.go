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
	files          []listed // manifests, sorted
	kustomizations []string // directories that hold a kustomization file, sorted
	parts          []part   // manifests in and below such directories, which only a build reads
	read           int      // files that builds read; known when they are done
	skipped        []Skip
	problems       []Problem
	visited        map[string]bool // directories

	// Directories that hold nothing but manifests, by name: those of the last tree, and those of this one.
	last, plain map[string]plain
	most        int // files in one of them: how many to expect
}

// listed is a manifest by name; unchanged when its directory is, since the last tree was read.
type listed struct {
	name      string
	unchanged bool
}

// plain is a directory that holds nothing but manifests, in and below it, and the hash that it had.
type plain struct {
	hash  string
	files []string
}

// directoryHasher is an fs.FS that knows a hash of all that is below a directory, as a Git tree does.
type directoryHasher interface {
	HashDir(name string) (hash string, known bool)
}

// part is a file that is a manifest by its name, in the directory of a kustomization or below it.
type part struct{ name, kustomization string }

const ignoreFile = ".kilterignore"

// maxIgnoreBytes bounds a .kilterignore file.
const maxIgnoreBytes = 1 << 20

// list finds the manifests at the paths of a tree: files whatever their names, and below directories *.yaml, *.yml and *.json
// where no directory is hidden. A directory with a kustomization file is one unit with all below it, whichever of the two is the
// path. A .kilterignore file in gitignore syntax excludes below its own directory. Any error ends it: part of a tree is no tree.
//
// Of a directory with the same hash as last time, given in last, what it holds is known.
func list(tree fs.FS, paths []string, last map[string]plain) (*listing, error) {
	l := &listing{visited: map[string]bool{}, last: last, plain: make(map[string]plain, len(last))}
	for _, p := range last {
		l.most = max(l.most, len(p.files))
	}
	for _, name := range paths {
		info, err := fs.Stat(tree, name)
		if err != nil {
			return nil, err
		}
		l.skipped = slices.DeleteFunc(l.skipped, func(s Skip) bool { return s.Origin.File == name }) // asked for by name
		directory := name
		if !info.IsDir() {
			directory = path.Dir(name)
			if !kustomize.IsKustomization(path.Base(name)) {
				l.file(name)
				continue
			}
		}
		if err := l.directory(tree, directory, "", nil); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(l.files, func(a, b listed) int { return strings.Compare(a.name, b.name) })
	l.files = slices.CompactFunc(l.files, func(a, b listed) bool { return a.name == b.name })
	slices.Sort(l.kustomizations)
	return l, nil
}

// file adds a file that is a path itself, unless it is a part of a kustomization that is another.
func (l *listing) file(name string) {
	if !slices.ContainsFunc(l.parts, func(p part) bool { return p.name == name }) {
		l.files = append(l.files, listed{name: name})
	}
}

// directory lists one directory; patterns are those of the directories above it, and kustomization is the file that it belongs to.
func (l *listing) directory(tree fs.FS, directory, kustomization string, patterns []gitignore.Pattern) error {
	if l.visited[directory] {
		return nil
	}
	l.visited[directory] = true
	if l.files == nil {
		l.files = make([]listed, 0, l.most)
	}
	hash, hashed := "", false
	if h, ok := tree.(directoryHasher); ok && kustomization == "" && len(patterns) == 0 {
		if hash, hashed = h.HashDir(directory); hashed && l.last[directory].hash == hash {
			known := l.last[directory]
			l.plain[directory] = known
			for _, name := range known.files {
				l.files = append(l.files, listed{name, true})
			}
			return nil
		}
	}
	entries, err := fs.ReadDir(tree, directory)
	if err != nil {
		return err
	}
	before, others := len(l.files), l.others()
	if slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == ignoreFile }) {
		own, err := ignorePatterns(tree, directory)
		if err != nil {
			return err
		}
		patterns = slices.Concat(patterns, own)
	}
	ignored := gitignore.NewMatcher(patterns)
	below := ""
	if directory != "." {
		below = directory + "/"
	}
	for _, entry := range entries {
		name := below + entry.Name()
		if kustomization == "" && !entry.IsDir() && kustomize.IsKustomization(entry.Name()) &&
			!(len(patterns) > 0 && ignored.Match(strings.Split(name, "/"), false)) {
			kustomization = name
			l.kustomizations = append(l.kustomizations, directory)
		}
	}
	for _, entry := range entries {
		name := below + entry.Name()
		switch wanted := entry.IsDir() || entry.Type()&fs.ModeSymlink != 0 || isManifest(name); {
		case !wanted || strings.HasPrefix(entry.Name(), "."):
		case len(patterns) > 0 && ignored.Match(strings.Split(name, "/"), entry.IsDir()):
			l.skipped = append(l.skipped, Skip{Origin: Origin{File: name}, Reason: "listed in " + ignoreFile})
		case entry.IsDir():
			if err := l.directory(tree, name, kustomization, patterns); err != nil {
				return err
			}
		case !entry.Type().IsRegular():
			l.problem(name, "not a regular file: replace the link by the file it points to")
		case kustomization != "":
			l.parts = append(l.parts, part{name, kustomization})
		default:
			l.files = append(l.files, listed{name: name})
		}
	}
	if hashed && l.others() == others && len(patterns) == 0 {
		p := plain{hash: hash}
		for _, f := range l.files[before:] {
			p.files = append(p.files, f.name)
		}
		l.plain[directory] = p
	}
	return nil
}

// others counts what was found that is no plain manifest.
func (l *listing) others() int {
	return len(l.kustomizations) + len(l.parts) + len(l.skipped) + len(l.problems)
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
