package document

import (
	"bytes"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// start is where, in a chunk's own lines and characters, a line begins as YAML counts them.
type start struct{ line, column int }

// foreignBreaks returns where each line of YAML's count begins, when the chunk holds line breaks that only YAML knows (a lone carriage
// return, U+0085, U+2028, U+2029), and nil otherwise.
func foreignBreaks(chunk []byte) []start {
	if !bytes.ContainsAny(chunk, "\u0085\u2028\u2029") && !loneReturn(chunk) {
		return nil
	}
	starts := []start{{}}
	at := start{}
	for i := 0; i < len(chunk); {
		r, size := utf8.DecodeRune(chunk[i:])
		i += size
		at.column++
		switch {
		case r == '\n':
			at = start{line: at.line + 1}
			starts = append(starts, at)
		case r == '\r' && !(i < len(chunk) && chunk[i] == '\n'), r == 0x85, r == 0x2028, r == 0x2029:
			starts = append(starts, at)
		}
	}
	return starts
}

func loneReturn(chunk []byte) bool {
	for {
		i := bytes.IndexByte(chunk, '\r')
		if i < 0 {
			return false
		}
		if i+1 == len(chunk) || chunk[i+1] != '\n' {
			return true
		}
		chunk = chunk[i+1:]
	}
}

// move gives a chunk's node tree the lines and columns of the file, where lines of it stand before the chunk. Aliases are not followed: they
// point back into the tree.
func move(node *yaml.Node, lines int, starts []start) {
	if lines == 0 && starts == nil {
		return
	}
	if starts != nil && node.Line <= len(starts) {
		at := starts[node.Line-1]
		node.Line, node.Column = at.line+1, node.Column+at.column
	}
	node.Line += lines
	for _, child := range node.Content {
		move(child, lines, starts)
	}
}
