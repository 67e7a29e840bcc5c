// Package phrase words what people read. It is pure, so that every package may use it.
package phrase

import (
	"fmt"
	"strings"
	"unicode"
)

// Count returns "1 pod" or "2 pods".
func Count[N ~int | ~int32](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Printable returns the text with a space for each character that could disturb a terminal or look like another line: names and
// messages come from repositories and servers.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
}

// Few returns the first few of a list, separated by commas, and how many more there are.
func Few(list []string, most int) string {
	text := strings.Join(list[:min(len(list), most)], ", ")
	if more := len(list) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// List returns all of them, separated by commas.
func List[T fmt.Stringer](all []T) string {
	texts := make([]string, len(all))
	for i, each := range all {
		texts[i] = each.String()
	}
	return strings.Join(texts, ", ")
}
