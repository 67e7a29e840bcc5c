package document

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	yamlv2 "go.yaml.in/yaml/v2"
	"go.yaml.in/yaml/v3"
)

// mistake is what a YAML parser could not read.
type mistake struct {
	problem string // the parser's words
	begun   int    // the line of the chunk on which what it is about begins: a mapping, a quote, a bracket
	noticed int    // the line on which the parser noticed
	lines   []string
}

// explain gives the parser's error its place in the file, and says what to do about it. No text of the file is repeated: it may be secret.
func explain(err error, chunk []byte, index, above int) *SyntaxError {
	if _, after, ok := strings.Cut(err.Error(), "unknown anchor '"); ok {
		anchor, _, _ := strings.Cut(after, "'")
		line, column := aliasAt(chunk, anchor)
		return &SyntaxError{
			Document: index, Line: above + line, Column: column,
			Message: "YAML aliases are not allowed: *" + anchor + " must be quoted if it is meant as text, or its value written out",
		}
	}
	m := newMistake(err, chunk)
	line, column, message := m.diagnose()
	if column == 0 {
		text := m.line(line)
		column = utf8.RuneCountInString(text[:len(text)-len(strings.TrimLeft(text, " \t"))]) + 1
	}
	return &SyntaxError{Document: index, Line: above + line, Column: column, Message: "not valid YAML: " + message}
}

// aliasAt finds where a chunk uses an alias.
func aliasAt(chunk []byte, anchor string) (line, column int) {
	use := regexp.MustCompile(`(?m)^(?:[^#\n]|[^\s#]#)*?(?:^|[\s\[{,])(\*` + regexp.QuoteMeta(anchor) + `)(?:[\s\]},]|$)`)
	at := use.FindSubmatchIndex(chunk)
	if at == nil {
		return 1, 0
	}
	before := chunk[:at[2]]
	start := bytes.LastIndexByte(before, '\n') + 1
	return bytes.Count(before, []byte("\n")) + 1, utf8.RuneCount(before[start:]) + 1
}

// nothing lets the older parser read a document and make nothing of it.
type nothing struct{}

func (*nothing) UnmarshalYAML(func(any) error) error { return nil }

// newMistake finds the lines of an error. The parser tells only the line of what an error is about, where that is not on the first line, and
// its elder brother, which kubectl uses, only the line of the error itself; each counts from 0 unless the error is the scanner's. So
// both are asked, about a text with one line more above.
func newMistake(err error, chunk []byte) mistake {
	m := mistake{lines: strings.Split(strings.ReplaceAll(string(chunk), "\r", ""), "\n")}
	more := append([]byte("\n"), chunk...)
	if again := yaml.Unmarshal(more, &yaml.Node{}); again != nil {
		err = again
	}
	m.problem, m.begun = errorLine(err)
	m.noticed = m.begun
	if err := yamlv2.Unmarshal(more, &nothing{}); err != nil {
		if problem, line := errorLine(err); problem == m.problem {
			m.noticed = line
		}
	}
	if starts := foreignBreaks(chunk); starts != nil {
		m.begun, m.noticed = starts[min(m.begun, len(starts))-1].line+1, starts[min(m.noticed, len(starts))-1].line+1
	}
	for m.noticed > 1 && strings.TrimSpace(m.line(m.noticed)) == "" { // noticed at the end of the text
		m.noticed--
	}
	return m
}

var yamlErrorLine = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?`)

// parserProblems are the errors of the parser proper; all others are the scanner's.
var parserProblems = regexp.MustCompile(`^(did not find expected (<|node content|key|'-'|',')|found undefined tag|found duplicate|found incompatible)`)

// errorLine takes an error apart that is about a text with one line more above.
func errorLine(err error) (problem string, line int) {
	match := yamlErrorLine.FindStringSubmatch(err.Error())
	problem = strings.TrimPrefix(err.Error(), match[0])
	line, _ = strconv.Atoi(match[1])
	if !parserProblems.MatchString(problem) {
		line--
	}
	return problem, max(line, 1)
}

// line returns the text of a line of the chunk, counted from 1.
func (m mistake) line(n int) string {
	if n < 1 || n > len(m.lines) {
		return ""
	}
	return m.lines[n-1]
}

var (
	keyWithoutSpace = regexp.MustCompile(`^\s*(?:- +)*[\w./-]+(:)[^\s:/]`)
	keyWithValue    = regexp.MustCompile(`^\s*(?:- +)*(?:"[^"]*"|'[^']*'|[^\s"'#][^#]*?):\s+[^\s#]`)
	secondColon     = regexp.MustCompile(`:\s.*?[^\s](:)(?:\s|$)`)
	reserved        = regexp.MustCompile("(?:^|[\\s\\[{,])([@`%])")
	reference       = regexp.MustCompile(`(?:^|[\s\[{,])([*&])`)
	openingQuote    = regexp.MustCompile(`(?:^|[\s\[{,])(["'])`)
	wrongEscape     = regexp.MustCompile(`(?:^|[^\\])(?:\\\\)*(\\(?:[^0abtnvfre "\\/N_LPxuU]|x(?:[^0-9a-fA-F]|.[^0-9a-fA-F])|u.{0,3}[^0-9a-fA-F]|U.{0,7}[^0-9a-fA-F]))`)
	afterQuote      = regexp.MustCompile(`(?:^|[\s\[{,])(?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*')\s*([^\s,:\]}#])`)
	template        = regexp.MustCompile(`(\{\{)`)
	extraBracket    = regexp.MustCompile(`[\]}]\s*([\]}])`)
)

// find returns the column, in characters, of the last match's group in a line, or 0.
func find(pattern *regexp.Regexp, text string) int {
	all := pattern.FindAllStringSubmatchIndex(text, -1)
	if len(all) == 0 {
		return 0
	}
	return utf8.RuneCountInString(text[:all[len(all)-1][2]]) + 1
}

// diagnose says where an author would mend the mistake, and how. Column 0 means the first character of the line.
func (m mistake) diagnose() (line, column int, message string) {
	text := m.line(m.noticed)
	indent := text[:len(text)-len(strings.TrimLeft(text, " \t"))]
	if i := strings.IndexByte(indent, '\t'); i >= 0 {
		return m.noticed, i + 1, "a tab is used for indentation: use spaces"
	}
	if strings.Contains(m.problem, "tab character") {
		line := m.begun
		if i := strings.IndexByte(m.line(line+1), '\t'); i >= 0 {
			return line + 1, i + 1, "a tab is used for indentation: use spaces"
		}
		return line, 0, "a tab is used for indentation: use spaces"
	}
	for _, known := range diagnoses {
		if strings.HasPrefix(m.problem, known.problem) {
			return known.diagnose(m, text)
		}
	}
	return m.noticed, 0, m.problem
}

// diagnoses hold the commonest mistakes, by what the parser says.
var diagnoses = []struct {
	problem  string
	diagnose func(m mistake, text string) (line, column int, message string)
}{
	{"found character that cannot start any token", func(m mistake, text string) (int, int, string) {
		return m.noticed, find(reserved, text), "no key or value can start with @, %, a backquote or a tab unless it is quoted: quote it"
	}},
	{"did not find expected alphabetic or numeric character", func(m mistake, text string) (int, int, string) {
		return m.noticed, find(reference, text), "* and & stand for YAML aliases and anchors: quote the value if it is meant as text"
	}},
	{"mapping values are not allowed", mistake.colon},
	{"could not find expected ':'", func(m mistake, _ string) (int, int, string) {
		text := m.line(m.begun)
		switch {
		case template.MatchString(text):
			return m.begun, find(template, text), unrendered
		case keyWithoutSpace.MatchString(text):
			return m.begun, find(keyWithoutSpace, text), noSpace
		}
		return m.begun, 0, "a line that is no \"key: value\": add the colon, or indent the line if it belongs to the text above"
	}},
	{"did not find expected key", mistake.key},
	{"did not find expected <document start>", func(m mistake, _ string) (int, int, string) {
		return m.noticed, 0, "a line with --- is missing between directives (%) and what they are for, or between two documents"
	}},
	{"did not find expected '-' indicator", func(m mistake, _ string) (int, int, string) {
		return m.noticed, 0, "a key where the list above goes on: start the line with \"- \", or correct its indentation"
	}},
	{"did not find expected ','", func(m mistake, text string) (int, int, string) {
		message := fmt.Sprintf("the bracket opened on line %d", m.begun)
		if m.begun == m.noticed {
			message = "a bracket on this line"
		}
		if template.MatchString(m.line(m.begun)) {
			return m.begun, find(template, m.line(m.begun)), unrendered
		}
		return m.noticed, 0, message + " is not closed, or a comma is missing"
	}},
	{"found unexpected end of stream", mistake.quote},
	{"found unexpected document indicator", mistake.quote},
	{"did not find expected node content", func(m mistake, text string) (int, int, string) {
		if template.MatchString(text) {
			return m.noticed, find(template, text), unrendered
		}
		return m.noticed, 0, "a value is missing, or starts with a bracket or comma: close what was opened, or quote the value"
	}},
	{"found unknown escape character", mistake.escape},
	{"did not find expected hexdecimal number", mistake.escape},
	{"block sequence entries are not allowed", func(m mistake, _ string) (int, int, string) {
		return m.noticed, 0, "a list cannot begin behind its key: begin it on the next line, or quote the value if it is meant as text"
	}},
}

const (
	unrendered = "{{ … }} must be quoted if it is meant as text, and a template must be rendered first"
	noSpace    = "a space is missing after the colon"
)

// colon explains "mapping values are not allowed": a colon where the value of a key goes on.
func (m mistake) colon(text string) (line, column int, message string) {
	above := m.noticed - 1
	for above > 0 && strings.TrimSpace(m.line(above)) == "" {
		above--
	}
	switch previous := m.line(above); {
	case secondColon.MatchString(text):
		at := secondColon.FindStringSubmatchIndex(text)
		return m.noticed, utf8.RuneCountInString(text[:at[2]]) + 1,
			"a second \": \" in one line: quote the value, or put the inner key on a line of its own"
	case keyWithoutSpace.MatchString(previous):
		return above, find(keyWithoutSpace, previous), noSpace
	case keyWithValue.MatchString(previous):
		return m.noticed, 0, "indented deeper than the line above, which has a value already: align it with the other keys"
	}
	return m.noticed, 0, "a key inside the value that began above: correct the indentation, or quote the value"
}

// key explains "did not find expected key": a line that fits nowhere, or more text after a value that is complete.
func (m mistake) key(text string) (line, column int, message string) {
	switch trimmed := strings.TrimSpace(text); {
	case template.MatchString(text):
		return m.noticed, find(template, text), unrendered
	case find(afterQuote, text) > 0:
		return m.noticed, find(afterQuote, text),
			"text after the closing quote: quote the whole value (a quote is written \\\" inside double quotes, and '' inside single ones)"
	case find(extraBracket, text) > 0:
		return m.noticed, find(extraBracket, text), "one closing bracket too many"
	case trimmed == "-" || strings.HasPrefix(trimmed, "- "):
		return m.noticed, 0, "a list item where a key is expected: correct its indentation"
	}
	return m.noticed, 0, "the indentation fits no line above: align it with the lines it belongs to"
}

func (m mistake) quote(string) (line, column int, message string) {
	return m.begun, find(openingQuote, m.line(m.begun)), "the quote that opens here is never closed"
}

func (m mistake) escape(text string) (line, column int, message string) {
	return m.noticed, find(wrongEscape, text),
		"a backslash in double quotes begins an escape, and this is none: write it twice, or use single quotes"
}
