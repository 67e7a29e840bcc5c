package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"unicode"

	"kilter.dev/kilter/manifests"
)

// GitHub is the Format for a step of a GitHub workflow: a workflow command per problem, which becomes an annotation of the line in
// the pull request, and the line of summary.
func GitHub(w io.Writer, r *Report) error {
	out := bufio.NewWriter(w)
	for _, p := range r.Set.Problems {
		fmt.Fprintf(out, "::%s %s::%s\n", p.Severity, strings.Join(r.properties(p), ","), escape(r.message(p)))
	}
	fmt.Fprintln(out, r.Summary())
	return out.Flush()
}

// properties returns where a problem is, and the annotation's title.
func (r *Report) properties(p manifests.Problem) []string {
	title := "kilter"
	if p.Object != (manifests.ID{}) {
		title = p.Object.String()
	}
	var all []string
	if at := r.at(p.Origin); at.File != "" {
		all = append(all, "file="+escapeProperty(at.File))
		if at.Line > 0 {
			all = append(all, fmt.Sprintf("line=%d", at.Line))
		}
		if at.Column > 0 {
			all = append(all, fmt.Sprintf("col=%d", at.Column))
		}
	}
	return append(all, "title="+escapeProperty(title))
}

// escape writes text so that the runner reads it as one command's message (actions/toolkit, packages/core/src/command.ts). What
// could disturb a terminal that shows the log becomes a space.
func escape(text string) string {
	text = strings.Map(func(r rune) rune {
		if r != '\r' && r != '\n' && !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(text)
}

// escapeProperty is escape for a property, which a colon or comma would end.
func escapeProperty(text string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(escape(text))
}
