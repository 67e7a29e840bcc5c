package document

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
)

var yamlErrorLine = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?`)

// explain gives the parser's error a line of the file, and the way out of the commonest mistake.
func explain(err error, chunk []byte, index, line int) *SyntaxError {
	match := yamlErrorLine.FindStringSubmatch(err.Error())
	within, _ := strconv.Atoi(match[1])
	within = max(within, 1)
	message := "not valid YAML: " + strings.TrimPrefix(err.Error(), match[0])
	if _, anchor, ok := strings.Cut(message, "unknown anchor '"); ok { // the parser tells no line
		anchor, _, _ = strings.Cut(anchor, "'")
		before, _, _ := bytes.Cut(chunk, []byte("*"+anchor))
		within = bytes.Count(before, []byte("\n")) + 1
		message = "YAML aliases are not allowed: *" + anchor + " must be quoted if it is meant as text, or its value written out"
	}
	if lines := bytes.Split(chunk, []byte("\n")); within <= len(lines) {
		text := lines[within-1]
		if indent := text[:len(text)-len(bytes.TrimLeft(text, " \t"))]; bytes.IndexByte(indent, '\t') >= 0 {
			message += " (a tab is used for indentation: use spaces)"
		}
	}
	return &SyntaxError{Document: index, Line: line + within, Message: message}
}
