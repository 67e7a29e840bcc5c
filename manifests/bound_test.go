package manifests

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
)

// badly returns a tree of so many files with one object each, which has so many errors, or warnings.
func badly(files, problems int, severity Severity) map[string]string {
	line := "f%d: x\n" // an unknown field
	if severity == Warning {
		line = "  f%d: 017\n" // a number that is not the one that people read
	}
	tree := map[string]string{}
	for i := range files {
		text := fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a%d}\n", i)
		if severity == Warning {
			text = fmt.Sprintf("apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: a%d}\nspec:\n", i)
		}
		tree[fmt.Sprintf("f%05d.yaml", i)] = text + numbered(line, problems)
	}
	return tree
}

// Of a tree with more problems than anybody reads the first are listed, and how many more there are; the same ones whatever else the Loader has read.
func TestG13ProblemsOfATreeAreBounded(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  int // listed, and what is said of the others
		says  []string
	}{
		"as many as are listed": {badly(100, 10, Error), 1000, nil},
		"errors in many files": {badly(200, 10, Error), 1002, []string{
			"f00101.yaml: not read, nor 98 files after it: there are more than 1000 errors already; mend those first",
			"not listed: 10 more errors; mend those that are",
		}},
		"errors in one file": {map[string]string{"a.yaml": several(badly(30, 50, Error)), "b.yaml": "a: b"}, 1002, []string{
			"b.yaml: not read, nor 0 files after it", "not listed: 50 more errors",
		}},
		"warnings in many files": {badly(40, 40, Warning), 1001, []string{"warning: not listed: 600 more warnings"}},
		"warnings in one file":   {map[string]string{"a.yaml": several(badly(40, 40, Warning))}, 1001, []string{"not listed: 600 more warnings"}},
	} {
		t.Run(name, func(t *testing.T) {
			tree := newHashedTree(c.files)
			loader := NewLoader(Options{})
			set := loadWith(t, loader, tree)
			if len(set.Problems) != c.want {
				t.Errorf("%d problems are listed; want %d", len(set.Problems), c.want)
			}
			all := texts(set.Problems)
			for _, text := range c.says {
				if !strings.Contains(all, text) {
					t.Errorf("nothing says %q: %s", text, all[max(0, len(all)-500):])
				}
			}
			if set.Problems[0].Severity == Warning && len(set.Objects) != 40 {
				t.Errorf("%d objects are left of 40 with warnings", len(set.Objects))
			}
			if again := texts(loadWith(t, loader, tree).Problems); again != all {
				t.Error("the same tree has other problems when it is loaded again")
			}
			// Once the first file is mended, what it had kept out is listed.
			for file := range tree.MapFS {
				if strings.HasPrefix(file, "f0000") {
					tree.MapFS[file] = &fstest.MapFile{Data: fmt.Appendf(nil, configMap, "good-"+file[:6])}
				}
			}
			if known, fresh := texts(loadWith(t, loader, tree).Problems), texts(loadWith(t, NewLoader(Options{}), tree).Problems); known != fresh {
				t.Error("what a Loader remembers changes what it lists")
			}
		})
	}
}

// several puts all files into one.
func several(files map[string]string) string {
	var all strings.Builder
	for i := range len(files) {
		all.WriteString("---\n" + files[fmt.Sprintf("f%05d.yaml", i)])
	}
	return all.String()
}

func loadWith(t *testing.T, loader *Loader, tree hashedTree) *Set {
	t.Helper()
	set, err := loader.Load(t.Context(), tree, Target{})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func texts(problems []Problem) string {
	var all strings.Builder
	for _, p := range problems {
		all.WriteString(p.String() + "\n")
	}
	return all.String()
}

// TestG13HostileTrees loads the worst trees that are not refused for their size, each in a process of its own, whose memory is the kernel's figure.
func TestG13HostileTrees(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads the kernel's figures as Linux gives them")
	}
	const most = 160 << 10 // KiB; the chart gives the program 256 MiB
	for name, tree := range map[string]func() map[string]string{
		"errors":     func() map[string]string { return badly(10_000, 100, Error) },
		"warnings":   func() map[string]string { return badly(9_000, 100, Warning) },
		"large":      func() map[string]string { return inTens(badly(10_000, 100, Error)) },
		"duplicates": func() map[string]string { return map[string]string{"a.yaml": fill("", "---\n"+header)(1 << 20)} },
	} {
		t.Run(name, func(t *testing.T) {
			if os.Getenv(childSize) != "" {
				loadWith(t, NewLoader(Options{}), newHashedTree(tree()))
				return
			}
			t.Parallel()
			_, memory := loadInChild(t, 1)
			t.Logf("%d MiB", memory>>10)
			if memory > most {
				t.Errorf("used %d MiB", memory>>10)
			}
		})
	}
}

// inTens puts the files into ten.
func inTens(files map[string]string) map[string]string {
	tens := map[string]string{}
	for name, text := range files {
		tens[name[4:5]+".yaml"] += "---\n" + text
	}
	return tens
}
