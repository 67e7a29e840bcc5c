package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

// makeFiles makes a directory of files, given as name and content in turn, and returns where it really is.
func makeFiles(t *testing.T, pairs ...string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(pairs); i += 2 {
		name := filepath.Join(dir, filepath.FromSlash(pairs[i]))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(pairs[i+1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func mustOpenFiles(t *testing.T, args ...string) *files {
	t.Helper()
	f, err := openFiles(t.Context(), args, strings.NewReader("from stdin"), 100)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// A kustomization reaches its base beyond the directory that is named, up to the top of the work tree.
func TestFilesReachAsFarAsTheWorkTree(t *testing.T) {
	dir := makeFiles(t, "outside.yaml", "o", "other/c.yaml", "c",
		"repo/.git/HEAD", "", "repo/base/a.yaml", "a", "repo/prod/b.yaml", "b")
	t.Chdir(filepath.Join(dir, "repo", "prod"))
	f := mustOpenFiles(t, ".")
	if err := fstest.TestFS(f, "base/a.yaml", "prod/b.yaml"); err != nil {
		t.Error(err)
	}
	if got := f.paths(); len(got) != 1 || got[0] != "prod" {
		t.Errorf("paths are %q, want prod", got)
	}
	for name, want := range map[string][2]string{
		"prod/b.yaml": {"b.yaml", "prod/b.yaml"},
		"base/a.yaml": {"../base/a.yaml", "base/a.yaml"},
	} {
		if got := [2]string{f.name(name), f.nameInRepository(name)}; got != want {
			t.Errorf("%s is called %q, want %q", name, got, want)
		}
	}
	for _, name := range []string{"../outside.yaml", "/etc/passwd", "base/../../outside.yaml"} {
		if _, err := f.Open(name); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("opening %s: %v", name, err)
		}
	}

	// Paths in two places are one tree all the same.
	f = mustOpenFiles(t, filepath.Join(dir, "other"), ".")
	for _, name := range f.paths() {
		if _, err := fs.Stat(f, name); err != nil {
			t.Error(err)
		}
	}
	if got := f.name(f.paths()[0]) + " " + f.name(f.paths()[1]); got != filepath.Join(dir, "other")+" ." {
		t.Errorf("they are called %s", got)
	}
}

func TestFilesRefuseSymbolicLinks(t *testing.T) {
	dir := makeFiles(t, ".git/HEAD", "", "base/a.yaml", "a", "prod/b.yaml", "b")
	for link, target := range map[string]string{"prod/link.yaml": "b.yaml", "linked": "base", "prod/up": "../base"} {
		if err := os.Symlink(target, filepath.Join(dir, filepath.FromSlash(link))); err != nil {
			t.Fatal(err)
		}
	}
	f := mustOpenFiles(t, filepath.Join(dir, "prod"))
	for _, name := range []string{"prod/link.yaml", "linked/a.yaml", "prod/up/a.yaml", "prod/up"} {
		if _, err := f.Open(name); !errors.Is(err, errSymlink) {
			t.Errorf("opening %s: %v", name, err)
		}
		if _, err := f.ReadDir(name); !errors.Is(err, errSymlink) {
			t.Errorf("listing %s: %v", name, err)
		}
	}
	// The user's own word counts: a link that is named is followed.
	f = mustOpenFiles(t, filepath.Join(dir, "prod", "link.yaml"))
	if data, err := fs.ReadFile(f, f.paths()[0]); err != nil || string(data) != "b" {
		t.Errorf("got %q, %v", data, err)
	}
	if got := filepath.Base(f.name(f.paths()[0])); got != "link.yaml" {
		t.Errorf("it is called %s", got)
	}
}

func TestStreamsAreReadOnce(t *testing.T) {
	f := mustOpenFiles(t, "-", "-")
	for range 2 {
		if data, err := fs.ReadFile(f, f.paths()[0]); err != nil || string(data) != "from stdin" {
			t.Errorf("got %q, %v", data, err)
		}
	}
	if got := f.name(f.paths()[1]); got != standardInput {
		t.Errorf("it is called %s", got)
	}
	bounded, err := openFiles(t.Context(), []string{"-"}, strings.NewReader(strings.Repeat("x", 100)), 10)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(bounded.streams[bounded.paths()[0]]); got != 11 {
		t.Errorf("%d bytes were read, want one more than the limit of 10", got)
	}
}

// Whoever waits at a terminal can leave.
func TestReadingStandardInputCanBeInterrupted(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	defer writer.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := openFiles(ctx, []string{"-"}, reader, 100); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
