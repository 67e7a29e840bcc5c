package main

import (
	"errors"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"

	"kilter.dev/kilter/internal/golden"
)

// satisfies is the command of that name.
func satisfies(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: satisfies SCHEMA FILE")
	}
	wrong, err := golden.Violations(filepath.Join("..", "..", "docs", args[0]), []byte(ts.ReadFile(args[1])))
	ts.Check(errors.Join(append(wrong, err)...))
}
