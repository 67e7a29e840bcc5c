package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// file is where the samples go; empty when they go nowhere.
func (o *options) file() string {
	if o.json == "" && o.out != "" {
		return filepath.Join(o.out, "results.json")
	}
	return o.json
}

// merge adds what is in the file already of other numbers of objects: so they can be measured one at a time.
func (o *options) merge(r *results) error {
	text, err := os.ReadFile(o.file())
	if o.file() == "" || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var earlier results
	if err := json.Unmarshal(text, &earlier); err != nil {
		return fmt.Errorf("%s is not what an earlier run has written; remove it, or write elsewhere: %w", o.file(), err)
	}
	r.keep(&earlier)
	return nil
}

// write sums up, prints the tables, and writes everything that was asked for.
func (o *options) write(r *results) error {
	r.summarize()
	tables := r.tables()
	fmt.Fprint(o.stdout, "\n", tables)
	if file := o.file(); file != "" {
		text, err := json.MarshalIndent(r, "", " ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil {
			return err
		}
	}
	if o.out == "" {
		return nil
	}
	if err := r.draw(o.out); err != nil {
		return err
	}
	return embed(filepath.Join(o.out, "README.md"), tables)
}

// The lines of a document between which the tables are.
const (
	tablesBegin = "<!-- tables: written by make bench -->\n"
	tablesEnd   = "<!-- end of tables -->\n"
)

// embed replaces the tables in a document.
func embed(file, tables string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, begins := strings.Cut(string(text), tablesBegin)
	_, after, ends := strings.Cut(rest, tablesEnd)
	if !begins || !ends {
		return fmt.Errorf("%s does not hold the lines %q and %q", file, tablesBegin, tablesEnd)
	}
	return os.WriteFile(file, []byte(before+tablesBegin+"\n"+tables+"\n"+tablesEnd+after), 0o644)
}

// tables renders everything as tables of Markdown that are aligned for terminals too.
func (r *results) tables() string {
	var text strings.Builder
	text.WriteString(r.standing())
	for _, run := range r.Runs {
		n := run.N
		fmt.Fprintf(&text, "\n### %d objects\n\nTaken %s on %d cores, %d repetitions; the machine's load average before was %.2g. `bench %s`\n\n",
			n, run.Taken.Format("2006-01-02"), run.Cores, run.Reps, run.Load, run.Flags)
		lines := [][]string{{"", "median", "range", "limit", "ratio", "promised", ""}}
		for _, m := range measures() {
			for _, subject := range r.Subjects {
				if found := r.find(n, m.id, subject, ""); found != nil {
					lines = append(lines, r.line(m, found))
				}
			}
		}
		text.WriteString(align(lines))
		if parts := r.parts(n); len(parts) > 1 {
			text.WriteString("\n" + align(parts))
		}
	}
	if len(r.Runs) > 1 {
		text.WriteString("\n### Growth\n\nThe cost grows with the number of objects to the power of:\n\n" + align(r.growth()))
	}
	return text.String()
}

// standing sums up what was promised, and which of it was missed.
func (r *results) standing() string {
	met := 0
	var missed []string
	count := func(title, promise, verdict string) {
		switch {
		case verdict == "missed":
			missed = append(missed, title+" ("+promise+")")
		case verdict != "":
			met++
		}
	}
	for _, run := range r.Runs {
		for _, m := range measures() {
			if found := r.find(run.N, m.id, subjectKilter, ""); found != nil {
				promise, verdict := m.promised(found)
				reached := fmt.Sprintf("%s, %d objects: %s", m.title, run.N, format(found.Median, m.unit))
				if found.Ratio > 0 {
					reached += fmt.Sprintf(", %.2f × limit", found.Ratio)
				}
				count(reached, promise, verdict)
			}
		}
	}
	if len(r.Runs) > 1 {
		for _, line := range r.growth()[1:] {
			count(line[0]+": exponent "+line[1], line[2], line[3])
		}
	}
	text := fmt.Sprintf("Of %d promises %d were met.", met+len(missed), met)
	if len(missed) > 0 {
		text += " Missed:\n\n- " + strings.Join(missed, "\n- ")
	}
	return text + "\n"
}

// line is one row of the table.
func (r *results) line(m measure, found *row) []string {
	title := m.title
	if found.Subject != subjectKilter && found.Subject != subjectRaw {
		title += " (" + found.Subject + ")"
	}
	line := []string{title, format(found.Median, m.unit), format(found.Low, "") + "–" + format(found.High, ""), "", "", "", ""}
	if limit := r.find(found.N, m.limit, subjectRaw, ""); limit != nil {
		line[3], line[4] = format(limit.Median, m.unit), fmt.Sprintf("%.2f", found.Ratio)
	}
	if found.Subject == subjectKilter {
		line[5], line[6] = m.promised(found)
	}
	return line
}

// promised returns what is promised of a measure at this number of objects, and whether it was met.
func (m measure) promised(found *row) (promise, verdict string) {
	var parts []string
	met := true
	most := m.most
	if found.N >= 10_000 && m.mostAt10000 != nil {
		most = m.mostAt10000
	}
	if most != nil {
		parts = append(parts, "≤ "+format(*most, m.unit))
		met = met && found.Median <= *most
	}
	if m.ratio != nil {
		parts = append(parts, "≤ "+format(*m.ratio, "")+" × limit")
		met = met && (found.Ratio == 0 || found.Ratio <= *m.ratio)
	}
	switch {
	case len(parts) == 0:
		return "", ""
	case met:
		return strings.Join(parts, ", "), "met"
	}
	return strings.Join(parts, ", "), "missed"
}

// parts is the table of what is told apart further: raw applies by number in flight, requests by verb.
func (r *results) parts(n int) [][]string {
	lines := [][]string{{"", "", "median", "range"}}
	for _, m := range measures() {
		byPart := map[string]*row{}
		for _, row := range r.Rows {
			if row.N == n && row.Measure == m.id && row.Part != "" {
				byPart[row.Part] = row
			}
		}
		for _, part := range slices.SortedFunc(maps.Keys(byPart), byNumber) {
			found := byPart[part]
			lines = append(lines, []string{m.title, part, format(found.Median, m.unit), format(found.Low, "") + "–" + format(found.High, "")})
		}
	}
	return lines
}

// byNumber sorts "8 in flight" before "16 in flight", and words by their letters.
func byNumber(a, b string) int {
	number := func(text string) (n int) {
		_, _ = fmt.Sscan(text, &n)
		return n
	}
	if x, y := number(a), number(b); x != y {
		return x - y
	}
	return strings.Compare(a, b)
}

// growth is the table of exponents.
func (r *results) growth() [][]string {
	lines := [][]string{{"", "exponent", "promised", ""}}
	for _, m := range measures() {
		for _, subject := range r.Subjects {
			exponent, ok := r.exponent(m.id, subject)
			if !ok {
				continue
			}
			line := []string{m.title, fmt.Sprintf("%.2f", exponent), "", ""}
			if subject != subjectKilter && subject != subjectRaw {
				line[0] += " (" + subject + ")"
			}
			if m.exponent != nil && subject == subjectKilter {
				line[2], line[3] = "< "+format(*m.exponent, ""), "met"
				if exponent >= *m.exponent {
					line[3] = "missed"
				}
			}
			lines = append(lines, line)
		}
	}
	return lines
}

// format renders a number with three digits, and its unit.
func format(x float64, unit string) string {
	text := fmt.Sprintf("%.3g", x)
	if x >= 1000 {
		text = fmt.Sprintf("%.0f", x)
	}
	return strings.TrimSpace(text + " " + unit)
}

// align renders lines as a Markdown table whose columns are aligned, numbers and all to the left; the first line is the head.
func align(lines [][]string) string {
	widths := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell), 3)
		}
	}
	var text strings.Builder
	for i, line := range lines {
		for j, cell := range line {
			text.WriteString("| " + cell + strings.Repeat(" ", widths[j]-utf8.RuneCountInString(cell)+1))
		}
		text.WriteString("|\n")
		if i == 0 {
			for _, width := range widths {
				text.WriteString("|" + strings.Repeat("-", width+2))
			}
			text.WriteString("|\n")
		}
	}
	return text.String()
}
