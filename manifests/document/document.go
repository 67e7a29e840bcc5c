package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"path"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Document is one YAML document, or one JSON value, of a file. Its nodes carry lines and columns of the file.
type Document struct {
	Index int        // within the file, from 0
	Root  *yaml.Node // nil for an empty document
}

// SyntaxError is text that is neither YAML nor JSON, and the way out. Line is never 0; Column is 0 where only the line is known.
type SyntaxError struct {
	Document, Line, Column int
	Message                string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Message) }

// Parse reads a file document by document, so that only one node tree is alive. With a syntax error comes a Document that has only its
// Index; in YAML it does not hide the next document, in JSON it ends the file.
func Parse(name string, data []byte) iter.Seq2[Document, *SyntaxError] {
	return func(yield func(Document, *SyntaxError) bool) {
		data := bytes.TrimPrefix(data, []byte("\ufeff"))
		json := isJSONFile(name, data)
		if at, ok := unreadable(data, json); ok {
			yield(Document{}, at)
			return
		}
		if json {
			parseJSON(data, 0, 0, yield)
			return
		}
		for index, line := 0, 0; len(data) > 0; index++ {
			chunk := nextChunk(data)
			if !parseChunk(chunk, index, line, yield) {
				return
			}
			line += bytes.Count(chunk, []byte("\n"))
			data = data[len(chunk):]
		}
	}
}

// isJSONFile decides how to read a file: by its extension, or else by its first characters. What begins like a JSON object might be YAML
// too; hardly anybody writes that.
func isJSONFile(name string, data []byte) bool {
	switch path.Ext(name) {
	case ".json":
		return true
	case ".yaml", ".yml":
		return false
	}
	inner, found := bytes.CutPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{"))
	return found && bytes.HasPrefix(bytes.TrimLeft(inner, " \t\r\n"), []byte(`"`))
}

// unreadable finds the first byte that is no UTF-8, or the first character that no text of its kind may hold: JSON forbids less than YAML.
func unreadable(data []byte, json bool) (*SyntaxError, bool) {
	line, column := 1, 1
	for i := 0; i < len(data); {
		if c := data[i]; c >= ' ' && c < 0x7f || c == '\t' || c == '\r' {
			i, column = i+1, column+1
			continue
		}
		r, size := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return &SyntaxError{Line: line, Column: column, Message: "not UTF-8 text: save the file as UTF-8"}, true
		case r == '\n':
			line, column = line+1, 0
		case r < ' ' || !json && (r == 0xfeff || r == 0xfffe || r == 0xffff || 0x7f <= r && r < 0xa0 && r != 0x85):
			return &SyntaxError{
				Line: line, Column: column,
				Message: fmt.Sprintf("the character U+%04X is not allowed: remove it, or write it as an escape in double quotes", r),
			}, true
		}
		i, column = i+size, column+1
	}
	return nil, false
}

// nextChunk cuts off the first document: up to, and without, the next line that starts with "---", or up to and with a line that starts
// with "...". The chunk keeps its own "---" line, on which a document may begin. Text before the first "---" that holds nothing but
// comments and directives belongs to the document after it.
func nextChunk(data []byte) []byte {
	blank := true
	for from := 0; from < len(data); {
		end := len(data)
		if i := bytes.IndexByte(data[from:], '\n'); i >= 0 {
			end = from + i + 1
		}
		line := data[from:end]
		switch {
		case isMarker(line, "---") && from > 0 && !blank:
			return data[:from]
		case isMarker(line, "---"):
			blank = false
		case isMarker(line, "...") && !blank:
			return data[:end]
		case blank:
			trimmed := bytes.TrimSpace(line)
			blank = len(trimmed) == 0 || trimmed[0] == '#' || line[0] == '%'
		}
		from = end
	}
	return data
}

// isMarker reports whether a line is YAML's start ("---") or end ("...") of a document.
func isMarker(line []byte, marker string) bool {
	rest, ok := bytes.CutPrefix(line, []byte(marker))
	return ok && (len(rest) == 0 || bytes.IndexByte([]byte(" \t\r\n"), rest[0]) >= 0)
}

// parseChunk parses one chunk whose first line is number line+1 of the file. It returns false when no more documents are wanted.
func parseChunk(chunk []byte, index, line int, yield func(Document, *SyntaxError) bool) bool {
	text, above := afterMarker(chunk)
	switch {
	case isBlank(text): // starting a parser costs more than most documents
		return yield(Document{Index: index}, nil)
	case isJSON(text):
		return parseJSON(text, index, line+above, yield)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(chunk))
	for {
		var node yaml.Node
		err := decoder.Decode(&node)
		if errors.Is(err, io.EOF) {
			return true
		}
		if err != nil {
			return yield(Document{Index: index}, explain(err, chunk, index, line))
		}
		doc := Document{Index: index}
		if len(node.Content) > 0 && !isEmpty(node.Content[0]) {
			doc.Root = node.Content[0]
			move(doc.Root, line, foreignBreaks(chunk))
		}
		if !yield(doc, nil) {
			return false
		}
	}
}

// isBlank reports whether a text holds nothing but white space and whole-line comments.
func isBlank(text []byte) bool {
	for line := range bytes.Lines(text) {
		if line = bytes.TrimLeft(line, " \r\n"); len(line) > 0 && line[0] != '#' {
			return false
		}
	}
	return len(foreignBreaks(text)) == 0
}

// afterMarker returns a chunk without its first line when that is a bare "---", and how many lines that took off.
func afterMarker(chunk []byte) (text []byte, lines int) {
	if first, rest, ok := bytes.Cut(chunk, []byte("\n")); ok && string(bytes.TrimSpace(first)) == "---" {
		return rest, 1
	}
	return chunk, 0
}

// isJSON reports whether a text is one JSON object. Nearly all JSON is YAML as well, but not what is indented with tabs, nor escapes
// such as "\ud83d\ude00".
func isJSON(chunk []byte) bool {
	chunk = bytes.TrimSpace(chunk)
	return len(chunk) > 0 && chunk[0] == '{' && json.Valid(chunk)
}

func isEmpty(node *yaml.Node) bool {
	return node.Kind == yaml.ScalarNode && node.Anchor == "" && IsNull(node)
}
