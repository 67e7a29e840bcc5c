package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// parseJSON parses concatenated JSON values, of which the first is document index and stands below lines others, into the same nodes
// that YAML gives. It returns false when no more documents are wanted.
func parseJSON(data []byte, index, lines int, yield func(Document, *SyntaxError) bool) bool {
	p := newJSONParser(data, lines)
	for ; ; index++ {
		root, err := p.value()
		if errors.Is(err, io.EOF) && root == nil {
			return true
		}
		if err != nil {
			message, offset := p.fault(err)
			line, column := p.position(offset)
			return yield(Document{Index: index},
				&SyntaxError{Document: index, Line: line, Column: column, Message: "not valid JSON: " + message})
		}
		if isEmpty(root) {
			root = nil
		}
		if !yield(Document{Index: index, Root: root}, nil) {
			return false
		}
	}
}

// jsonParser turns JSON tokens into nodes.
type jsonParser struct {
	data    []byte
	decoder *json.Decoder
	lines   int // above the text
	depth   int

	// The last place asked for: places are asked for in order, so the text is walked once.
	offset, line, column int
}

// maxJSONDepth bounds recursion; YAML's parser has the same bound of its own.
const maxJSONDepth = 10_000

func newJSONParser(data []byte, lines int) *jsonParser {
	p := &jsonParser{data: data, decoder: json.NewDecoder(bytes.NewReader(data)), lines: lines, line: lines + 1, column: 1}
	p.decoder.UseNumber()
	return p
}

// position returns the line and column, in characters, of an offset.
func (p *jsonParser) position(offset int) (line, column int) {
	if offset < p.offset {
		p.offset, p.line, p.column = 0, p.lines+1, 1
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

// fault says what is wrong with the text and at which offset. The decoder's tokens come without offsets in their errors, so the values
// are read again as wholes.
func (p *jsonParser) fault(err error) (message string, offset int) {
	offset = int(p.decoder.InputOffset())
	for again := json.NewDecoder(bytes.NewReader(p.data)); ; {
		var value json.RawMessage
		wrong := again.Decode(&value)
		syntax, ok := errors.AsType[*json.SyntaxError](wrong)
		switch {
		case wrong == nil:
			continue
		case ok:
			message, offset = syntax.Error(), int(syntax.Offset)-1
		case errors.Is(wrong, io.ErrUnexpectedEOF):
			message, offset = "the file ends before everything that was opened is closed", len(bytes.TrimRight(p.data, " \t\r\n"))-1
		default: // only this parser finds fault with it
			message = err.Error()
		}
		if offset >= 0 && offset < len(p.data) && p.data[offset] == '\'' {
			message += ": strings stand in double quotes"
		}
		return message, max(offset, 0)
	}
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
