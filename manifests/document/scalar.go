package document

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Scalar is what kubectl reads from one YAML scalar.
type Scalar struct {
	Kind Kind
	JSON string // the value as JSON; for strings unset: the node's Value is the string
}

type Kind string

const (
	String Kind = "a string"
	Bool   Kind = "a boolean"
	Number Kind = "a number"
	Null   Kind = "null"
)

// The words that YAML 1.1 gives a meaning when they stand unquoted.
var (
	trueWords  = []string{"true", "True", "TRUE", "y", "Y", "yes", "Yes", "YES", "on", "On", "ON"}
	falseWords = []string{"false", "False", "FALSE", "n", "N", "no", "No", "NO", "off", "Off", "OFF"}
	nullWords  = []string{"", "~", "null", "Null", "NULL"}
	notNumbers = []string{".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF"}
)

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
	switch {
	case slices.Contains(trueWords, text):
		return Scalar{Bool, "true"}, nil
	case slices.Contains(falseWords, text):
		return Scalar{Bool, "false"}, nil
	case slices.Contains(nullWords, text):
		return Scalar{Null, "null"}, nil
	case slices.Contains(notNumbers, text):
		return Scalar{}, errors.New("infinity and not-a-number are not allowed in Kubernetes objects: quote it if it is meant as text")
	case text[0] == '.':
		// Kubectl's parser takes whatever Go reads as a float here, underscores excepted.
		if _, err := strconv.ParseFloat(text, 64); err == nil {
			return decimal(text)
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

// decimal reads a number that must go through a 64-bit float, and refuses it when that changes it.
func decimal(text string) (Scalar, error) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(f, 0) {
		return Scalar{}, errors.New("the number is too large: quote it if it is meant as text")
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
