// Package rules_test holds the rules of this repository as tests: which package may import which and why, one set of module
// versions, one comment per package, files of a size one can hold in the head, and an ARCHITECTURE.md that tells the truth.
//
// It reads source files and go.mod files, builds nothing and needs no network.
package rules_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// mainModule is the path of the module in the repository's root.
const mainModule = "kilter.dev/kilter"

// root is the repository's root, seen from this package.
const root = "../.."

// goFile is one Go file of any of the repository's modules.
type goFile struct {
	path      string // relative to the repository's root, with slashes
	name      string // the package clause
	doc       bool   // has a package comment
	generated bool
	lines     int
	syntax    *ast.File
	imports   []string
}

func (f goFile) test() bool  { return strings.HasSuffix(f.path, "_test.go") }
func (f goFile) dir() string { return path.Dir(f.path) }

// pkg returns the import path, as if all modules were one.
func (f goFile) pkg() string { return path.Join(mainModule, f.dir()) }

// tree is what the rules look at: every file's path, and every Go file's syntax. Build constraints are ignored, so a rule
// holds on every platform.
type tree struct {
	paths []string
	files []goFile
}

var loadTree = sync.OnceValues(func() (tree, error) {
	var t tree
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		relative = filepath.ToSlash(relative)
		if entry.IsDir() && slices.Contains([]string{".git", ".cache", "bin", "dist"}, relative) {
			return fs.SkipDir
		}
		t.paths = append(t.paths, relative)
		if entry.IsDir() || path.Ext(relative) != ".go" || slices.Contains(strings.Split(relative, "/"), "testdata") {
			return nil
		}
		file, err := parse(name)
		if err != nil {
			return err
		}
		file.path = relative
		t.files = append(t.files, file)
		return nil
	})
	return t, err
})

func parse(name string) (goFile, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return goFile{}, err
	}
	syntax, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return goFile{}, err
	}
	file := goFile{
		name: syntax.Name.Name, doc: syntax.Doc != nil, generated: ast.IsGenerated(syntax),
		lines: bytes.Count(text, []byte("\n")), syntax: syntax,
	}
	for _, spec := range syntax.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return goFile{}, err
		}
		file.imports = append(file.imports, imported)
	}
	return file, nil
}

func repository(t *testing.T) tree {
	t.Helper()
	loaded, err := loadTree()
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}
