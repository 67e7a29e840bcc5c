package document

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Scalar is what kubectl reads from one YAML scalar.
type Scalar struct {
	Kind Kind
	JSON string // the value as JSON; for strings unset: the node's Value is the string
}

// Kind is what a scalar is, in words.
type Kind string

// The kinds of scalars.
const (
	String Kind = "a string"
	Bool   Kind = "a boolean"
	Number Kind = "a number"
	Null   Kind = "null"
)

// words are those that YAML 1.1 gives a meaning when they stand unquoted.
var words = func() map[string]Scalar {
	all := map[string]Scalar{}
	for meaning, list := range map[Scalar]string{
		{Bool, "true"}:  "true True TRUE y Y yes Yes YES on On ON",
		{Bool, "false"}: "false False FALSE n N no No NO off Off OFF",
		{Null, "null"}:  "~ null Null NULL",
		{Number, ""}:    ".nan .NaN .NAN .inf .Inf .INF +.inf +.Inf +.INF -.inf -.Inf -.INF",
	} {
		for word := range strings.FieldsSeq(list) {
			all[word] = meaning
		}
	}
	return all
}()

// yamlFloat is the YAML 1.1 float without base 60, which kubectl's parser leaves out too.
var yamlFloat = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)

// Resolve reads a scalar as kubectl does (sigs.k8s.io/yaml): YAML 1.1 words, octal 017, numbers with underscores. The error says
// what is wrong with a scalar that JSON cannot hold, or cannot hold exactly, and the way out.
func Resolve(node *yaml.Node) (Scalar, error) {
	tag := ""
	if node.Style&yaml.TaggedStyle != 0 {
		tag = node.ShortTag()
	}
	const quoted = yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle
	switch {
	case tag == "!!str" || tag == "" && node.Style&quoted != 0:
		return Scalar{Kind: String}, nil
	case tag != "":
		return Scalar{}, fmt.Errorf("the tag %s is not allowed: write the value without it", tag)
	}
	return plain(node.Value)
}

// plain reads an unquoted scalar.
func plain(text string) (Scalar, error) {
	if text == "" {
		return Scalar{Null, "null"}, nil
	}
	if !strings.ContainsRune("+-.0123456789yYnNtTfFoO~", rune(text[0])) { // nothing else starts a word or number
		return Scalar{Kind: String}, nil
	}
	if word, ok := words[text]; ok {
		if word.JSON == "" {
			return Scalar{}, errors.New("infinity and not-a-number are not allowed in Kubernetes objects: quote it if it is meant as text")
		}
		return word, nil
	}
	switch {
	case text[0] == '.':
		// Kubectl's parser takes whatever Go reads as a float here.
		if _, err := strconv.ParseFloat(text, 64); err == nil {
			return decimal(strings.ReplaceAll(text, "_", ""))
		}
		return Scalar{Kind: String}, nil
	case strings.IndexByte("+-0123456789", text[0]) < 0:
		return Scalar{Kind: String}, nil
	}
	return number(strings.ReplaceAll(text, "_", ""))
}

// number reads text that starts as a number does, without its underscores.
func number(text string) (Scalar, error) {
	if i, err := strconv.ParseInt(text, 0, 64); err == nil {
		return Scalar{Number, strconv.FormatInt(i, 10)}, nil
	}
	if u, err := strconv.ParseUint(text, 0, 64); err == nil {
		return Scalar{Number, strconv.FormatUint(u, 10)}, nil
	}
	if yamlFloat.MatchString(text) {
		return decimal(text)
	}
	return Scalar{Kind: String}, nil
}

// decimal reads a number that must go through a 64-bit float, and refuses it when that changes it. What is too large for one is text to
// kubectl: 1e999, as some abbreviated commits look.
func decimal(text string) (Scalar, error) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return Scalar{Kind: String}, nil
	}
	if !exact(text, f) {
		return Scalar{}, errors.New("the number has more digits than a 64-bit float keeps: shorten it, or quote it if it is meant as text")
	}
	out, err := json.Marshal(f)
	if err != nil {
		return Scalar{}, err
	}
	return Scalar{Number, string(out)}, nil
}

// exact reports whether f, printed as short as it can be, has the decimal digits of text.
func exact(text string, f float64) bool {
	digits, exponent := significant(text)
	if digits == "" {
		return true
	}
	printed, printedExponent := significant(strconv.FormatFloat(f, 'e', -1, 64))
	return digits == printed && exponent == printedExponent
}

// significant returns a decimal number's digits without leading and trailing zeros, and the power of ten of the last one.
func significant(text string) (digits string, exponent int) {
	mantissa, power, _ := strings.Cut(strings.ToLower(strings.TrimLeft(text, "+-")), "e")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	if power != "" {
		exponent, _ = strconv.Atoi(power) // ParseFloat has accepted it; out of range it differs from what is printed
	}
	digits = strings.TrimLeft(whole+fraction, "0")
	exponent -= len(fraction)
	trimmed := strings.TrimRight(digits, "0")
	return trimmed, exponent + len(digits) - len(trimmed)
}

// Words says what YAML takes a plain scalar for, without its value where that could be secret: "the boolean false", "an octal number".
// It is empty for strings.
func Words(node *yaml.Node) string {
	s, err := Resolve(node)
	switch {
	case node.Kind != yaml.ScalarNode || err != nil || s.Kind == String:
		return ""
	case s.Kind == Bool:
		return "the boolean " + s.JSON
	case s.Kind == Number:
		return form(node.Value)
	}
	return string(s.Kind)
}

// The forms of numbers that surprise.
const (
	octal       = "an octal number"
	hexadecimal = "a hexadecimal number"
	binary      = "a binary number"
	grouped     = "a number whose digits the underscores group"
	scientific  = "a number with an exponent"
	fraction    = "a decimal fraction"
)

// form names the way in which a number is written.
func form(text string) string {
	text = strings.ToLower(strings.TrimLeft(text, "+-"))
	digits, prefix := strings.ReplaceAll(text, "_", ""), ""
	if len(digits) > 1 {
		prefix = digits[:2]
	}
	switch {
	case prefix == "0x":
		return hexadecimal
	case prefix == "0b":
		return binary
	case prefix == "0o" || len(digits) > 1 && digits[0] == '0' && strings.Trim(digits, "01234567") == "":
		return octal
	case strings.Contains(text, "_"):
		return grouped
	case strings.Contains(text, "e"):
		return scientific
	case strings.Contains(text, "."):
		return fraction
	}
	return string(Number)
}
