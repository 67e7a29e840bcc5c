package main

import (
	"io"
	"os"

	"golang.org/x/term"

	"kilter.dev/kilter/internal/phrase"
)

// terminal says how wide the terminal is that a text goes to, 0 for what is none, and whether it shows colours. A NO_COLOR that is not empty
// forbids them (no-color.org).
func terminal(out io.Writer) (columns int, paint phrase.Paint) {
	file, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return 0, false
	}
	columns, _, err := term.GetSize(int(file.Fd()))
	if err != nil || columns == 0 {
		columns = 80
	}
	return columns, os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
