// Command canary runs `go test` and fails when a credential of the tests stands in anything that the tests, or the code under them, printed:
//
//	canary go test [flags] packages
//
// Every credential that tests make holds the word c4n4ry, and no name of a test does. The output is that of `go test` without -v: one line for
// each package, and all that was printed by what failed. What is written elsewhere, such as statuses and Events, tests look at themselves.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// word is part of every credential in the tests.
const word = "c4n4ry"

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: canary go test [flags] packages")
		os.Exit(2)
	}
	args := slices.Insert(slices.Clone(os.Args[2:]), 1, "-json")
	cmd := exec.Command(os.Args[1], args...)
	cmd.Stderr = os.Stderr
	output, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "canary:", err)
		os.Exit(2)
	}
	told, err := watch(output, os.Stdout)
	for _, place := range told {
		fmt.Fprintln(os.Stderr, "canary: a credential was printed by", place)
	}
	if failed := cmd.Wait(); failed != nil || err != nil || len(told) > 0 {
		if err != nil {
			fmt.Fprintln(os.Stderr, "canary:", err)
		}
		os.Exit(1)
	}
}

// event is one line of `go test -json`; see `go doc test2json`.
type event struct{ Action, ImportPath, Package, Test, Output string }

// place is what printed something: a package, or one of its tests.
func (e event) place() string { return strings.TrimSpace(e.Package + " " + e.Test) }

// watch writes what people want to read of the events, and returns the places that printed the word, in the order in which they did.
func watch(events io.Reader, to io.Writer) (told []string, err error) {
	printed := map[string][]string{} // by place, until it has ended
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil { // go itself, which has no events for everything
				fmt.Fprintf(to, "%s", line)
				continue
			}
			e.show(printed, to)
			if strings.Contains(e.Output, word) && !slices.Contains(told, e.place()) {
				told = append(told, e.place())
			}
		}
		if err == io.EOF {
			return told, nil
		}
		if err != nil {
			return told, err
		}
	}
}

// show prints the line of a package at once, and what a test printed once it has failed.
func (e event) show(printed map[string][]string, to io.Writer) {
	place := e.place()
	switch e.Action {
	case "build-output":
		fmt.Fprint(to, e.Output)
	case "output":
		if e.Test == "" && (strings.HasPrefix(e.Output, "ok ") || strings.HasPrefix(e.Output, "FAIL") || strings.HasPrefix(e.Output, "? ")) {
			fmt.Fprint(to, e.Output)
			return
		}
		printed[place] = append(printed[place], e.Output)
	case "fail":
		for _, line := range printed[place] {
			fmt.Fprint(to, line)
		}
		delete(printed, place)
	case "pass", "skip":
		delete(printed, place)
	}
}
