package report

import (
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// cell is one character of a line, as a terminal shows it.
type cell struct {
	text    string
	columns int
}

const (
	tabStop  = 4  // tabs end at multiples of it: a terminal's 8 would push deep YAML off the screen
	minShown = 20 // columns of a line that are shown however narrow the terminal is
)

// cells lays out a line. Tabs become spaces, and what a terminal might obey becomes a replacement character.
func cells(line string) []cell {
	var all []cell
	column := 0
	for _, r := range line {
		c := cell{text: string(r), columns: 1}
		switch {
		case r == '\t':
			c.columns = tabStop - column%tabStop
			c.text = strings.Repeat(" ", c.columns)
		case !unicode.IsPrint(r):
			c.text = string(unicode.ReplacementChar)
		case unicode.In(r, unicode.Mn, unicode.Me):
			c.columns = 0
		default:
			if kind := width.LookupRune(r).Kind(); kind == width.EastAsianWide || kind == width.EastAsianFullwidth {
				c.columns = 2
			}
		}
		column += c.columns
		all = append(all, c)
	}
	return all
}

// clip returns a line of a file as it fits into so many columns, and how many of them stand before the caret for the character
// of that number, counted from 1: -1 when the line has no such character. A line that is too long is cut on both sides of the
// caret.
func clip(line string, character, columns int) (shown string, caret int) {
	columns = max(columns, minShown)
	all := cells(line)
	at := character - 1
	if at < 0 || at > len(all) {
		at = -1
	}
	from, to := window(all, max(at, 0), columns)
	var b strings.Builder
	if from > 0 {
		b.WriteString("…")
		caret = 1
	}
	for i := from; i < to; i++ {
		b.WriteString(all[i].text)
		if i < at {
			caret += all[i].columns
		}
	}
	if to < len(all) {
		b.WriteString("…")
	}
	if at < 0 {
		caret = -1
	}
	return strings.TrimRight(b.String(), " "), caret
}

// window chooses which cells to show: all of them where they fit, or else a third of the room before the caret's, the rest from
// there on. Room for an ellipsis on either side is left.
func window(all []cell, at, columns int) (from, to int) {
	total := 0
	for _, c := range all {
		total += c.columns
	}
	if total <= columns {
		return 0, len(all)
	}
	room := columns - 2
	from, to = at, at
	for used := 0; from > 0 && used+all[from-1].columns <= room/3; from-- {
		used += all[from-1].columns
	}
	used := 0
	for i := from; i < at; i++ {
		used += all[i].columns
	}
	for ; to < len(all) && used+all[to].columns <= room; to++ {
		used += all[to].columns
	}
	for ; from > 0 && used+all[from-1].columns <= room; from-- { // near the end of the line
		used += all[from-1].columns
	}
	return from, to
}
