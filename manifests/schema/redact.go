package schema

import (
	"slices"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"kilter.dev/kilter/manifests/verdict"
)

// texts knows which words of the server's answer come from the CRD, and are public, and which may hold values of an object.
type texts struct {
	fixed     map[string]bool // what a failed rule says, when it is always the same
	evaluated bool            // some rule says what an expression over the object gives
}

// textsOf collects the messages of all CEL rules of a schema.
func textsOf(props *apiextensions.JSONSchemaProps) texts {
	t := texts{fixed: map[string]bool{}}
	visit(props, func(p *apiextensions.JSONSchemaProps) {
		for _, rule := range p.XValidations {
			t.fixed["failed rule: "+strings.TrimSpace(rule.Rule)] = true
			t.fixed[strings.TrimSpace(rule.Message)] = true
			t.evaluated = t.evaluated || rule.MessageExpression != ""
		}
	})
	return t
}

// redact takes out of errors what verdict.Causes would not find by itself, and keeps it from hiding words that only look like a value.
func (t texts) redact(errs field.ErrorList, content map[string]any) {
	var values []string
	for _, err := range errs {
		if t.mayHoldValues(err) {
			if values == nil {
				values = stringsIn(content)
			}
			err.Detail = withhold(err.Detail, values)
		}
		if t.fixed[err.Detail] || err.Type == field.ErrorTypeNotSupported || isTypeName(err.BadValue) {
			err.BadValue = shownValue(err.BadValue)
		}
	}
}

// mayHoldValues reports whether the detail of an error can repeat values of any field of the object: it is what an expression gave, or an
// error while one was evaluated, which may name a key that came from a value.
func (t texts) mayHoldValues(err *field.Error) bool {
	if strings.Contains(err.Detail, " evaluating rule: ") {
		return true
	}
	const bySchema = " in body " // in the words of all errors that the schema alone gives
	return t.evaluated && !t.fixed[err.Detail] && err.Type != field.ErrorTypeNotSupported && !strings.Contains(err.Detail, bySchema)
}

// isTypeName reports whether a value is not the object's: the server gives the name of a type where a value has the wrong one, or a whole
// object breaks a rule.
func isTypeName(value any) bool {
	s, ok := value.(string)
	return ok && slices.Contains([]string{"array", "boolean", "integer", "null", "number", "object", "string"}, s)
}

// shownValue returns a number or boolean as it is, and leaves everything else out.
func shownValue(value any) any {
	switch value.(type) {
	case bool, int64, float64:
		return value
	}
	return field.OmitValueType{}
}

// maxValues bounds the work of withhold.
const maxValues = 1000

// withhold removes every value from a text, or the text itself when there are too many.
func withhold(text string, values []string) string {
	if len(values) > maxValues {
		return "a rule of the CRD is broken (its message may hold values and is not shown)"
	}
	for _, value := range values {
		text = verdict.Mask(text, value)
	}
	return text
}

// stringsIn collects the strings of an object, longest first, without those that name it.
func stringsIn(content map[string]any) []string {
	found := []string{}
	var walk func(any)
	walk = func(value any) {
		switch v := value.(type) {
		case string:
			if v != "" && len(found) <= maxValues {
				found = append(found, v)
			}
		case []any:
			for _, item := range v {
				walk(item)
			}
		case map[string]any:
			for _, item := range v {
				walk(item)
			}
		}
	}
	for key, value := range content {
		if key != "apiVersion" && key != "kind" && key != "metadata" {
			walk(value)
		}
	}
	slices.SortFunc(found, func(a, b string) int { return len(b) - len(a) })
	return found
}
