package main

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// shownCommand finds kilter's command lines in a page: in backquotes, and at the start of a line of code, after a prompt or not.
var shownCommand = regexp.MustCompile("(?m)(?:`|^ {0,4}(?:\\$ |bin/)?)kilter ((?:[a-z]|-)[^\n`]*)")

// TestCommandsOfPagesExist looks for the verb and the flags of every command line that a page shows.
func TestCommandsOfPagesExist(t *testing.T) {
	found := 0
	for name, text := range pages(t) {
		for _, shown := range shownCommand.FindAllStringSubmatch(text, -1) {
			line, _, _ := strings.Cut(shown[1], " | ")
			line, _, _ = strings.Cut(line, " #")
			line, _, _ = strings.Cut(line, ";")
			line = strings.ReplaceAll(strings.ReplaceAll(line, `\|`, "|"), `"`, "")
			words := strings.Fields(strings.NewReplacer("[", "", "]", "", "…", "x", "...", "").Replace(line))
			if len(words) == 0 {
				continue
			}
			found++
			for _, verb := range strings.Split(words[0], "|") {
				checkCommand(t, name+": kilter "+shown[1], append([]string{verb}, words[1:]...))
			}
		}
	}
	if found < 60 {
		t.Errorf("only %d command lines were found", found)
	}
}

func checkCommand(t *testing.T, where string, words []string) {
	t.Helper()
	root := &cobra.Command{Use: "kilter"}
	root.AddCommand(commands()...)
	command, rest, err := root.Find(words)
	if err != nil || command == root {
		t.Errorf("%s: there is no such verb", where)
		return
	}
	for _, word := range rest {
		flag, ok := strings.CutPrefix(word, "-")
		flag = strings.TrimRight(flag, ",.:`")
		if !ok || flag == "" || flag == "h" {
			continue
		}
		flag, _, _ = strings.Cut(flag, "=")
		known := command.Flags().ShorthandLookup(flag[:1]) != nil
		if long, ok := strings.CutPrefix(flag, "-"); ok {
			known = command.Flags().Lookup(long) != nil || long == "help"
		}
		if !known {
			t.Errorf("%s: kilter %s has no flag %s", where, command.Name(), word)
		}
	}
	if command.Name() != "get" || len(rest) == 0 || strings.HasPrefix(rest[0], "-") || rest[0] == "KIND" {
		return
	}
	for _, kind := range strings.Split(strings.TrimRight(rest[0], ","), "|") {
		if !slices.ContainsFunc(getKinds(), func(k getKind) bool { return slices.Contains(k.names, kind) }) {
			t.Errorf("%s: kilter get knows no %s", where, kind)
		}
	}
}

// pages returns the text of everything that users read, by path.
func pages(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, name := range []string{"README.md", "CHANGELOG.md", "examples", "docs", "devcluster"} {
		err := filepath.WalkDir(filepath.Join("../..", name), func(file string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || path.Ext(file) != ".md" {
				return err
			}
			text, err := os.ReadFile(file)
			texts[file] = string(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return texts
}
