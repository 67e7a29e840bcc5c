package reconcile

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// unmergeable reports whether server-side apply cannot read a manifest by its schema, or not merge it with what is there. It says so by a
// 500 without a reason; see k8s.io/apiserver/pkg/endpoints/handlers/fieldmanager.
func unmergeable(s metav1.Status) bool {
	return s.Code == http.StatusInternalServerError && s.Reason == "" && !tooLarge(s)
}

// tooLarge reports whether etcd, or the way to it, does not take an object of this size; see go.etcd.io/etcd/api/v3/v3rpc/rpctypes.
func tooLarge(s metav1.Status) bool {
	return s.Code == http.StatusInternalServerError &&
		(strings.Contains(s.Message, "etcdserver: request is too large") || strings.Contains(s.Message, "trying to send message larger than max"))
}

// mergeCauses reads the lines "path: what" of a merge error; see sigs.k8s.io/structured-merge-diff/v6/typed. It keeps what holds no value:
// the field, and what the schema wants there. A path with the key of a list that is a set holds one.
func mergeCauses(message string) []FieldCause {
	var found []FieldCause
	for line := range strings.Lines(message) {
		for _, kind := range []struct {
			mark string
			text func(rest string) string
		}{
			{": duplicate entries for key ", func(key string) string {
				if strings.HasPrefix(key, "[=") {
					return ""
				}
				return "has duplicate entries for key " + oneLine(key)
			}},
			{": field not declared in schema", func(string) string { return "unknown field" }},
			{": expected ", func(rest string) string {
				wanted, _, _ := strings.Cut(rest, ", got ")
				return wants[wanted]
			}},
		} {
			before, rest, marked := strings.Cut(line, kind.mark)
			path := before[strings.LastIndexByte(before, ' ')+1:]
			field, named := strings.CutPrefix(path, ".")
			if !marked || !named {
				continue
			}
			text := kind.text(rest)
			if text == "" || strings.Contains(path, "[=") {
				found = append(found, FieldCause{Text: "a list has the same value twice, or one that it must not have"})
				break
			}
			found = append(found, FieldCause{Field: oneLine(field), Reason: string(metav1.CauseTypeFieldValueInvalid), Text: text})
			break
		}
	}
	slices.SortStableFunc(found, func(a, b FieldCause) int { return strings.Compare(a.Field, b.Field) }) // the server goes over maps
	return found
}

// wants says what the schema wants where the manifest has something else.
var wants = map[string]string{
	"any scalar":             "must be a string, a number or a boolean",
	"boolean":                "must be true or false",
	"list":                   "must be a list",
	"map":                    "must be a map",
	"numeric (int or float)": "must be a number",
	"string":                 "must be a string",
}

// mergeText renders the causes of a merge error.
func mergeText(causes []FieldCause) string {
	const most = 5
	if len(causes) == 0 {
		return "a field has another type than its schema says; see `kubectl explain`"
	}
	var texts []string
	for _, c := range causes[:min(len(causes), most)] {
		texts = append(texts, strings.TrimPrefix(c.Field+": "+c.Text, ": "))
	}
	if more := len(causes) - most; more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(texts, "; ")
}
