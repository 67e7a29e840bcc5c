package manifests

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// document is one YAML document, or one JSON value, of a file. Its nodes carry lines and columns of the file.
type document struct {
	index int        // within the file, from 0
	root  *yaml.Node // nil for an empty document
}

// syntaxError is text that is neither YAML nor JSON. Column is 0 where only the line is known.
type syntaxError struct {
	document, line, column int
	message                string
}

func (e *syntaxError) Error() string { return fmt.Sprintf("line %d: %s", e.line, e.message) }

// documents parses a file and hands each document to yield, one at a time, so that only one node tree is alive. A syntax error
// in one YAML document does not hide the next; in JSON it ends the file.
func documents(name string, data []byte, yield func(document), fail func(*syntaxError)) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if line, ok := invalidUTF8(data); ok {
		fail(&syntaxError{line: line, message: "not UTF-8 text: save the file as UTF-8"})
		return
	}
	if isJSON(name, data) {
		jsonDocuments(data, yield, fail)
		return
	}
	for index, line := 0, 0; len(data) > 0; index++ {
		chunk := nextChunk(data)
		if err := yamlDocument(chunk, index, line, yield); err != nil {
			fail(err)
		}
		line += bytes.Count(chunk, []byte("\n"))
		data = data[len(chunk):]
	}
}

// isJSON decides how to read a file: by its extension, or else by its first characters. What begins like a JSON object might be
// YAML too; hardly anybody writes that.
func isJSON(name string, data []byte) bool {
	switch path.Ext(name) {
	case ".json":
		return true
	case ".yaml", ".yml":
		return false
	}
	inner, found := bytes.CutPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{"))
	return found && bytes.HasPrefix(bytes.TrimLeft(inner, " \t\r\n"), []byte(`"`))
}

// invalidUTF8 returns the line of the first byte that is not UTF-8.
func invalidUTF8(data []byte) (line int, found bool) {
	if utf8.Valid(data) {
		return 0, false
	}
	line = 1
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		if r == utf8.RuneError && size == 1 {
			break
		}
		if r == '\n' {
			line++
		}
		data = data[size:]
	}
	return line, true
}

// nextChunk cuts off the first document: up to, and without, the next line that starts with "---". The chunk keeps its own "---"
// line, on which a document may begin. Text before the first "---" that holds nothing but comments and directives belongs to the
// document after it.
func nextChunk(data []byte) []byte {
	blank := true
	for from := 0; from < len(data); {
		end := len(data)
		if i := bytes.IndexByte(data[from:], '\n'); i >= 0 {
			end = from + i + 1
		}
		line := data[from:end]
		switch {
		case isSeparator(line) && from > 0 && !blank:
			return data[:from]
		case isSeparator(line):
			blank = false
		case blank:
			trimmed := bytes.TrimSpace(line)
			blank = len(trimmed) == 0 || trimmed[0] == '#' || line[0] == '%'
		}
		from = end
	}
	return data
}

// isSeparator reports whether a line is YAML's start of a document.
func isSeparator(line []byte) bool {
	rest, ok := bytes.CutPrefix(line, []byte("---"))
	return ok && (len(rest) == 0 || strings.IndexByte(" \t\r\n", rest[0]) >= 0)
}

// yamlDocument parses one chunk whose first line is number line+1 of the file.
func yamlDocument(chunk []byte, index, line int, yield func(document)) *syntaxError {
	decoder := yaml.NewDecoder(bytes.NewReader(chunk))
	for {
		var node yaml.Node
		err := decoder.Decode(&node)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return yamlError(err, chunk, index, line)
		}
		doc := document{index: index}
		if len(node.Content) > 0 && !isEmpty(node.Content[0]) {
			doc.root = node.Content[0]
			shift(doc.root, line)
		}
		yield(doc)
	}
}

func isEmpty(node *yaml.Node) bool {
	return node.Kind == yaml.ScalarNode && node.Anchor == "" && isNull(node)
}

// shift moves a node tree down by a number of lines. Aliases are not followed: they point back into the tree.
func shift(node *yaml.Node, lines int) {
	if lines == 0 {
		return
	}
	node.Line += lines
	for _, child := range node.Content {
		shift(child, lines)
	}
}

var yamlErrorLine = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?`)

// yamlError gives the parser's error a line of the file, and the way out of the commonest mistake.
func yamlError(err error, chunk []byte, index, line int) *syntaxError {
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
	return &syntaxError{document: index, line: line + within, message: message}
}

// jsonDocuments parses concatenated JSON values into the same nodes that YAML gives.
func jsonDocuments(data []byte, yield func(document), fail func(*syntaxError)) {
	p := newJSONParser(data)
	for index := 0; ; index++ {
		root, err := p.value()
		if errors.Is(err, io.EOF) && root == nil {
			return
		}
		if err != nil {
			line, column := p.position(p.errorOffset(err))
			message := strings.TrimPrefix(err.Error(), "json: ")
			fail(&syntaxError{document: index, line: line, column: column, message: "not valid JSON: " + message})
			return
		}
		if isEmpty(root) {
			root = nil
		}
		yield(document{index: index, root: root})
	}
}

// jsonParser turns JSON tokens into nodes.
type jsonParser struct {
	data    []byte
	decoder *json.Decoder
	depth   int

	// The last place asked for: places are asked for in order, so the text is walked once.
	offset, line, column int
}

// maxJSONDepth bounds recursion; YAML's parser has the same bound of its own.
const maxJSONDepth = 10_000

func newJSONParser(data []byte) *jsonParser {
	p := &jsonParser{data: data, decoder: json.NewDecoder(bytes.NewReader(data)), line: 1, column: 1}
	p.decoder.UseNumber()
	return p
}

// position returns the line and column, in characters, of an offset.
func (p *jsonParser) position(offset int) (line, column int) {
	if offset < p.offset {
		p.offset, p.line, p.column = 0, 1, 1
	}
	for p.offset < min(offset, len(p.data)) {
		r, size := utf8.DecodeRune(p.data[p.offset:])
		p.offset, p.column = p.offset+size, p.column+1
		if r == '\n' {
			p.line, p.column = p.line+1, 1
		}
	}
	return p.line, p.column
}

func (p *jsonParser) errorOffset(err error) int {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return max(int(syntax.Offset)-1, 0)
	}
	return int(p.decoder.InputOffset())
}

// next reads a token and returns the offset of its first byte.
func (p *jsonParser) next() (token json.Token, offset int, err error) {
	offset = int(p.decoder.InputOffset())
	for offset < len(p.data) && strings.IndexByte(" \t\r\n,:", p.data[offset]) >= 0 {
		offset++
	}
	token, err = p.decoder.Token()
	return token, offset, err
}

// value reads one value.
func (p *jsonParser) value() (*yaml.Node, error) {
	token, offset, err := p.next()
	if err != nil {
		return nil, err
	}
	node := &yaml.Node{}
	node.Line, node.Column = p.position(offset)
	switch t := token.(type) {
	case json.Delim:
		if p.depth++; p.depth > maxJSONDepth {
			return nil, fmt.Errorf("nested deeper than %d levels", maxJSONDepth)
		}
		defer func() { p.depth-- }()
		return node, p.collection(node, t)
	case string:
		node.Kind, node.Tag, node.Style, node.Value = yaml.ScalarNode, "!!str", yaml.DoubleQuotedStyle, t
	case json.Number:
		node.Kind, node.Value = yaml.ScalarNode, t.String()
	case bool:
		node.Kind, node.Value = yaml.ScalarNode, strconv.FormatBool(t)
	case nil:
		node.Kind, node.Value = yaml.ScalarNode, "null"
	}
	return node, nil
}

// collection reads the members of an object or array up to its end.
func (p *jsonParser) collection(node *yaml.Node, open json.Delim) error {
	node.Style = yaml.FlowStyle
	node.Kind, node.Tag = yaml.SequenceNode, "!!seq"
	if open == '{' {
		node.Kind, node.Tag = yaml.MappingNode, "!!map"
	}
	for p.decoder.More() {
		child, err := p.value()
		if err != nil {
			return unexpectedEnd(err)
		}
		node.Content = append(node.Content, child)
	}
	_, _, err := p.next()
	return unexpectedEnd(err)
}

func unexpectedEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
