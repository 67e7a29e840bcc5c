package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"kilter.dev/kilter/internal/phrase"
)

// The bounds of a comment. GitHub refuses one of more than 65,536 characters; a byte is at most one.
const (
	commentBytes = 65_536
	lineBytes    = 1_000 // of one line in it
	stepLines    = 40    // of one object
	tailBytes    = 300   // kept for what says that something was left out
)

// writePlanMarkdown writes a comment for a pull request: a summary and what is refused are seen, details unfold. What matters most stands
// first, since a comment that would be too long is cut, and says so.
//
// Text of others stands in code only: in fences that are longer than any run of backticks in them.
func writePlanMarkdown(to io.Writer, f *forecast) error {
	c := &comment{}
	c.text.WriteString("**Kilter** " + c.heading(f) + ": " + f.Summary.String() + ".\n")
	c.fence("", "text", blocks(f.Notes))
	var problems []string
	for _, p := range f.Problems {
		problems = append(problems, p.text)
	}
	c.fence("The commit would be refused:", "text", blocks(problems))
	c.fence("Refused:", "diff", slices.Concat(f.blocksOf(refusedOp), f.blocksOf(conflictOp)))
	if f.PruneBlocked != "" {
		c.fence("Prune is blocked:", "text", blocks([]string{f.PruneBlocked}))
	}
	for _, op := range []string{"replace", "delete", "adopt", "update", "create", "skip", "wait", "drift", "keep"} {
		c.fold(op, f.blocksOf(op))
	}
	if c.left > 0 {
		fmt.Fprintf(&c.text, "\n**%d more are left out here**: a comment holds no more than %d characters. `kilter plan` shows them.\n",
			c.left, commentBytes)
	}
	_, err := io.WriteString(to, c.text.String())
	return err
}

// comment is a text of bounded length.
type comment struct {
	text strings.Builder
	left int // blocks that found no room any more
}

func (c *comment) heading(f *forecast) string {
	switch {
	case f.Sync == "":
		return "would create from " + code(f.Directory) + ", which no Sync enforces"
	case f.Directory != "":
		return "would bring " + code(f.Sync) + " to " + code(f.Directory)
	}
	return "would bring " + code(f.Sync) + " to " + code(f.Revision)
}

// block is the lines of one object or problem; it is shown whole or not at all.
type block []string

func blocks(lines []string) []block {
	all := make([]block, len(lines))
	for i, line := range lines {
		all[i] = block{clipped("  " + phrase.Printable(line))}
	}
	return all
}

// blocksOf returns the steps of one operation.
func (f *forecast) blocksOf(op string) []block {
	var all []block
	for _, s := range f.Steps {
		if s.Op != op {
			continue
		}
		b := block{clipped("@@ " + s.Op + " " + s.title() + " @@")}
		s.lines(func(mark, text string) { b = append(b, clipped(mark+" "+text)) })
		if more := len(b) - stepLines; more > 0 {
			b = append(b[:stepLines], "  … and "+phrase.Count(more, "more line"))
		}
		all = append(all, b)
	}
	return all
}

// fold writes blocks that unfold below their number.
func (c *comment) fold(op string, all []block) {
	if len(all) == 0 {
		return
	}
	title := fmt.Sprintf("%d %s", len(all), op)
	for _, each := range planOps {
		if each.op == op {
			title = fmt.Sprintf("%d %s", len(all), each.text)
		}
	}
	c.add("\n<details>\n<summary>"+title+"</summary>\n", "\n</details>\n", "diff", all)
}

// fence writes blocks below a heading.
func (c *comment) fence(heading, language string, all []block) {
	if heading != "" {
		heading = "\n" + heading + "\n"
	}
	c.add(heading, "", language, all)
}

// add writes what finds room, and counts the rest. From the first block that finds none on, nothing is added.
func (c *comment) add(before, after, language string, all []block) {
	if len(all) == 0 {
		return
	}
	fence := strings.Repeat("`", max(3, 1+longestRun(slices.Concat(all...), '`')))
	before += "\n" + fence + language + "\n"
	after = fence + "\n" + after
	room := commentBytes - tailBytes - c.text.Len() - len(before) - len(after)
	var shown strings.Builder
	for _, b := range all {
		text := strings.Join(b, "\n") + "\n"
		if c.left > 0 || shown.Len()+len(text) > room {
			c.left++
			continue
		}
		shown.WriteString(text)
	}
	if shown.Len() > 0 {
		c.text.WriteString(before + shown.String() + after)
	}
}

// clipped bounds a line.
func clipped(line string) string {
	if len(line) <= lineBytes {
		return line
	}
	return strings.ToValidUTF8(line[:lineBytes], "") + "…"
}

// code writes text of others as a code span, which no backtick in it can end.
func code(text string) string {
	text = clipped(phrase.Printable(text))
	fence := strings.Repeat("`", 1+longestRun([]string{text}, '`'))
	if strings.HasPrefix(text, "`") || strings.HasSuffix(text, "`") {
		text = " " + text + " "
	}
	return fence + text + fence
}

// longestRun returns how often a byte follows itself at most.
func longestRun(texts []string, of byte) int {
	longest := 0
	for _, text := range texts {
		run := 0
		for i := range len(text) {
			if run++; text[i] != of {
				run = 0
			}
			longest = max(longest, run)
		}
	}
	return longest
}
