package verdict

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// open lists the fields whose strings may be shown: they come from closed sets or say when something runs. Every other
// string could hold a secret.
var open = []string{
	"action", "completionMode", "concurrencyPolicy", "dnsPolicy", "effect", "imagePullPolicy", "operator", "podManagementPolicy",
	"podReplacementPolicy", "preemptionPolicy", "protocol", "restartPolicy", "schedule", "scheme", "scope", "terminationMessagePolicy",
	"timeZone", "type", "whenDeleted", "whenScaled", "whenUnsatisfiable",
}

// closed lists the fields below which no string is ever shown.
var closed = []string{"annotations", "args", "command", "data", "env", "stringData"}

// causes turns the server's errors into causes.
func causes(errs field.ErrorList) []Cause {
	out := make([]Cause, 0, len(errs))
	for _, err := range errs {
		out = append(out, Cause{Field: err.Field, Reason: string(err.Type), Message: message(err)})
	}
	return out
}

// message is field.Error.ErrorBody in k8s.io/apimachinery/pkg/util/validation/field/errors.go, without the bad value where that
// could be a secret.
func message(err *field.Error) string {
	body := err.Type.String()
	detail, _, _ := strings.Cut(err.Detail, "\n") // immutable specs append a diff of the whole, with all values
	if value, shown := show(err); shown {
		body += ": " + value
	} else if hidden, ok := text(err.BadValue); ok {
		detail = mask(detail, hidden)
	}
	if detail != "" {
		body += ": " + detail
	}
	return body
}

// show returns the bad value as the server prints it, or false when the server prints none or it must not be printed here.
func show(err *field.Error) (string, bool) {
	switch err.Type {
	case field.ErrorTypeRequired, field.ErrorTypeForbidden, field.ErrorTypeTooLong, field.ErrorTypeTooShort, field.ErrorTypeInternal:
		return "", false
	}
	switch v := reflect.Indirect(reflect.ValueOf(err.BadValue)); v.Kind() {
	case reflect.Invalid:
		return "null", true
	case reflect.Bool, reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64:
		return fmt.Sprint(v), true
	}
	switch v := err.BadValue.(type) {
	case intstr.IntOrString:
		return v.String(), v.Type == intstr.Int
	case *intstr.IntOrString:
		return v.String(), v.Type == intstr.Int
	}
	s, ok := text(err.BadValue)
	if !ok || !public(err.Field) {
		return "", false
	}
	return strconv.Quote(s), true
}

// public reports whether strings of the field may be shown.
func public(path string) bool {
	segments := strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' })
	if slices.ContainsFunc(segments, func(s string) bool { return slices.Contains(closed, s) }) {
		return false
	}
	return len(segments) > 0 && !strings.HasSuffix(path, "]") && slices.Contains(open, segments[len(segments)-1])
}

// mask removes a value that must not be shown from an explanation that repeats it. Short values are masked only in quotes: they
// may be part of a word.
func mask(detail, value string) string {
	if value == "" {
		return detail
	}
	for _, quoted := range []string{strconv.Quote(value), "'" + value + "'", "`" + value + "`"} {
		detail = strings.ReplaceAll(detail, quoted, "the value")
	}
	if len(value) >= 6 {
		detail = strings.ReplaceAll(detail, value, "the value")
	}
	return detail
}

// text returns the string behind a value: the API has many named string types, and pointers to them.
func text(value any) (string, bool) {
	v := reflect.ValueOf(value)
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if v.Kind() != reflect.String {
		return "", false
	}
	return v.String(), true
}
