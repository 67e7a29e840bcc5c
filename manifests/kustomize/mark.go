package kustomize

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// annotated returns an object's JSON with a mark among its annotations; unchanged when its metadata can hold none.
func annotated(object []byte, mark string) []byte {
	content, err := decodeObject(object)
	if err != nil {
		return object
	}
	metadata, ok := content["metadata"].(map[string]any)
	if !ok {
		return object
	}
	annotations, ok := metadata["annotations"].(map[string]any)
	if !ok {
		if metadata["annotations"] != nil {
			return object
		}
		annotations = map[string]any{}
		metadata["annotations"] = annotations
	}
	annotations[markAnnotation] = mark
	marked, err := json.Marshal(content)
	if err != nil {
		return object
	}
	return marked
}

// unmarked returns an object without any mark, and the number of its own; -1 when it has lost it.
func unmarked(object []byte) (clean []byte, mark int, err error) {
	mark = -1
	if !bytes.Contains(object, []byte(markAnnotation)) {
		return object, mark, nil
	}
	content, err := decodeObject(object)
	if err != nil {
		return nil, mark, err
	}
	if metadata, ok := content["metadata"].(map[string]any); ok {
		if annotations, ok := metadata["annotations"].(map[string]any); ok {
			if number, ok := annotations[markAnnotation].(string); ok {
				if n, err := strconv.Atoi(number); err == nil {
					mark = n
				}
			}
			if delete(annotations, markAnnotation); len(annotations) == 0 {
				delete(metadata, "annotations")
			}
		}
	}
	removeMarks(content) // a replacement may have copied all annotations
	clean, err = json.Marshal(content)
	return clean, mark, err
}

func removeMarks(value any) {
	switch value := value.(type) {
	case map[string]any:
		delete(value, markAnnotation)
		for _, below := range value {
			removeMarks(below)
		}
	case []any:
		for _, below := range value {
			removeMarks(below)
		}
	}
}

func decodeObject(data []byte) (content map[string]any, err error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	err = decoder.Decode(&content)
	return content, err
}

// quoted returns JSON that a YAML parser reads as the same: it escapes the characters that YAML does not allow or takes for the end of
// a line. They can only stand in strings.
func quoted(data []byte) []byte {
	special := func(r rune) bool {
		return r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' || r == '\ufeff' || r >= '\ufffe' && r <= '\uffff'
	}
	if utf8.Valid(data) && bytes.IndexFunc(data, special) < 0 {
		return data
	}
	var out strings.Builder
	for _, r := range string(data) {
		if special(r) {
			fmt.Fprintf(&out, `\u%04x`, r)
		} else {
			out.WriteRune(r)
		}
	}
	return []byte(out.String())
}
