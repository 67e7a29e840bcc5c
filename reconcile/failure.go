package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"kilter.dev/kilter/internal/phrase"
	"kilter.dev/kilter/manifests"
)

// Class says what a failed request asks for. The set is closed: status, metrics and retries go by it.
type Class string

// The classes.
const (
	Terminal  Class = "Terminal"  // the manifest is wrong: only another commit helps
	Transient Class = "Transient" // the server or the way to it is in trouble: try again soon
	Slow      Class = "Slow"      // somebody has to act first (quota, RBAC, terminating namespace): try again at leisure
	Conflict  Class = "Conflict"  // somebody else changed the object in between: look again, then decide again
)

// Failure is a request that the API server refused, in words without any value of the object. Values could be secret.
type Failure struct {
	Class  Class
	Reason string // the server's reason, such as "Invalid" or "Forbidden"
	Causes []FieldCause
	Text   string           // what is wrong and the way out
	Where  manifests.Origin // the place to mend it; zero for an object that left Git
}

// FieldCause is one field that the server refused.
type FieldCause struct {
	Field  string // the server's field path
	Reason string // the server's cause type
	Text   string
}

// Error returns the text.
func (f *Failure) Error() string { return f.Text }

// soon reports whether a request that failed so may succeed soon, with nobody's help.
func (f *Failure) soon() bool { return f.Class == Transient || f.Class == Conflict }

// because returns the failure with a further explanation.
func (f *Failure) because(more string) *Failure {
	explained := *f
	explained.Text += "; " + more
	return &explained
}

// newFailure reads the server's answer. host is named when the server could not be reached.
func newFailure(err error, host string) *Failure {
	if failure := (*Failure)(nil); errors.As(err, &failure) {
		return failure
	}
	status := apierrors.APIStatus(nil)
	if !errors.As(err, &status) {
		return connectionFailure(err, host)
	}
	s := status.Status()
	f := &Failure{Class: classify(s), Reason: reasonOf(s), Causes: causes(s)}
	switch {
	case tooLarge(s):
		f.Text = "the server cannot store it: with its managedFields, which repeat the name of every field, it is larger than etcd takes; split it"
	case unmergeable(s):
		f.Causes = mergeCauses(s.Message)
		f.Text = "the server cannot merge it: " + mergeText(f.Causes)
	case deniedByPolicy(s):
		f.Causes = nil // they repeat the message
		f.Text = oneLine(s.Message)
	case len(f.Causes) > 0:
		f.Text = refusalOf(f.Causes)
	case s.Reason == metav1.StatusReasonInvalid || s.Reason == metav1.StatusReasonBadRequest:
		f.Text = "the server refuses it as " + f.Reason
	case namespaceMissing(s):
		f.Text = fmt.Sprintf("namespace %s does not exist: create it, or add its manifest to the repository", s.Details.Name)
	case s.Reason == metav1.StatusReasonUnauthorized:
		f.Text = "the API server does not accept the credentials: check the kubeconfig, or the ServiceAccount's token"
	case wordless(s):
		f.Text = fmt.Sprintf("the API server, or what stands before it, answered %d %s", s.Code, http.StatusText(int(s.Code)))
	default:
		f.Text = oneLine(s.Message) + wayToGrant(s.Message)
	}
	return f
}

// wordless reports whether an answer says nothing but its code: what came is no Status, such as the page of a balancer, or one without a message.
func wordless(s metav1.Status) bool {
	return s.Message == "" || s.Details != nil && slices.ContainsFunc(s.Details.Causes, func(c metav1.StatusCause) bool {
		return c.Type == metav1.CauseTypeUnexpectedServerResponse
	})
}

// refusalOf says which fields the server refuses, and why.
func refusalOf(causes []FieldCause) string {
	texts := make([]string, len(causes))
	for i, c := range causes {
		texts[i] = strings.TrimPrefix(c.Field+": "+c.Text, ": ")
	}
	return "the server refuses it: " + strings.Join(texts, "; ")
}

// deniedByPolicy reports whether a ValidatingAdmissionPolicy refuses the object. Its answers look like those of validation, save that their
// causes have no type; see k8s.io/apiserver/pkg/admission/plugin/policy/validating/dispatcher.go.
func deniedByPolicy(s metav1.Status) bool {
	return s.Details != nil && len(s.Details.Causes) > 0 && !slices.ContainsFunc(s.Details.Causes, func(c metav1.StatusCause) bool { return c.Type != "" })
}

// namespaceMissing reports whether the server refuses a namespaced object because its namespace does not exist.
func namespaceMissing(s metav1.Status) bool {
	return s.Reason == metav1.StatusReasonNotFound && s.Details != nil && s.Details.Kind == "namespaces"
}

func connectionFailure(err error, host string) *Failure {
	f := &Failure{Class: Transient, Reason: "Unreachable"}
	switch {
	case meta.IsNoMatchError(err):
		f.Class, f.Reason = Slow, "UnknownKind"
		f.Text = oneLine(innermost(err).Error()) + ": install its CustomResourceDefinition, or add it to the repository"
	case errors.Is(err, context.DeadlineExceeded):
		f.Reason = "Timeout"
		f.Text = fmt.Sprintf("the API server at %s did not answer in %s", host, requestTimeout)
	default:
		f.Text = fmt.Sprintf("cannot reach the API server at %s: %s; check that it runs, and that the kubeconfig names its address",
			host, oneLine(innermost(err).Error()))
	}
	return f
}

func innermost(err error) error {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err
}

// reasonOf returns the server's reason. Webhooks may give none, and server-side apply has none for a manifest that it cannot merge.
func reasonOf(s metav1.Status) string {
	switch {
	case s.Reason != "":
		return string(s.Reason)
	case tooLarge(s):
		return string(metav1.StatusReasonRequestEntityTooLarge)
	case unmergeable(s):
		return string(metav1.StatusReasonInvalid)
	case s.Code == http.StatusForbidden:
		return string(metav1.StatusReasonForbidden)
	case s.Code == http.StatusBadRequest:
		return string(metav1.StatusReasonBadRequest)
	}
	return "Unknown"
}

// classify sorts the server's answers. A 500 without a reason is how server-side apply reports a manifest that it cannot merge
// (k8s.io/apiserver/pkg/endpoints/handlers/fieldmanager); a 500 with a reason is trouble in the server or a webhook.
func classify(s metav1.Status) Class {
	switch {
	case unmergeable(s), tooLarge(s):
		return Terminal
	case s.Code >= http.StatusInternalServerError, s.Code == http.StatusTooManyRequests:
		return Transient
	case s.Code == http.StatusConflict:
		return Conflict
	case s.Code == http.StatusForbidden, s.Code == http.StatusUnauthorized, s.Code == http.StatusNotFound, deniedByPolicy(s):
		return Slow
	}
	return Terminal
}

// causes returns the server's causes, without the values that their messages quote.
func causes(s metav1.Status) []FieldCause {
	if s.Details == nil || s.Reason != metav1.StatusReasonInvalid {
		return nil
	}
	found := make([]FieldCause, 0, len(s.Details.Causes))
	for _, c := range s.Details.Causes {
		found = append(found, FieldCause{Field: c.Field, Reason: string(c.Type), Text: withoutValue(c.Type, c.Message)})
	}
	return found
}

// withoutValue takes the value out of "Invalid value: <value>: <detail>", as field.Error writes it. Where the end of the value cannot
// be told for certain, the detail goes with it; and where a detail repeats the value, the value is cut out of it. Numbers, booleans
// and null stay: they say what is wrong, and secrets are strings.
func withoutValue(cause metav1.CauseType, message string) string {
	kind := field.ErrorType(cause).String()
	rest, ok := strings.CutPrefix(message, kind)
	if !ok {
		return oneLine(kind)
	}
	switch field.ErrorType(cause) {
	case field.ErrorTypeRequired, field.ErrorTypeForbidden, field.ErrorTypeTooLong, field.ErrorTypeTooShort, field.ErrorTypeInternal:
		// Of these it shows none. But details of several kinds end with a comparison of both objects, from the second line on: see
		// ValidatePodUpdate and ValidatePersistentVolumeClaimUpdate in k8s.io/kubernetes/pkg/apis/core/validation.
		message, _, _ = strings.Cut(message, "\n")
		return oneLine(message)
	}
	if strings.HasSuffix(rest, "field is immutable") {
		return "field is immutable"
	}
	value, detail, ok := cutValue(strings.TrimPrefix(rest, ": "))
	if !ok {
		return kind
	}
	switch value := value.(type) {
	case json.Number, bool, nil:
		kind += fmt.Sprintf(": %v", orNull(value))
	default:
		if cause != metav1.CauseTypeFieldValueNotSupported { // whose detail lists what the schema allows
			detail = withoutStrings(detail, value)
		}
	}
	return oneLine(strings.TrimSuffix(kind+": "+detail, ": "))
}

// cutValue parts "<value>: <detail>" where the value is a Go string literal or JSON, which is how field.Error writes almost every one.
func cutValue(text string) (value any, detail string, ok bool) {
	rest := ""
	if quoted, err := strconv.QuotedPrefix(text); err == nil {
		if value, err = strconv.Unquote(quoted); err != nil {
			return nil, "", false
		}
		rest = text[len(quoted):]
	} else {
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.UseNumber()
		if err := decoder.Decode(&value); err != nil {
			return nil, "", false
		}
		rest = text[decoder.InputOffset():]
	}
	detail, separated := strings.CutPrefix(rest, ": ")
	return value, detail, separated || rest == ""
}

func orNull(value any) any {
	if value == nil {
		return "null"
	}
	return value
}

// withoutStrings cuts every string of a value out of a text, as it is and as it looks in quotes. One of less than four bytes is cut
// out only in quotes: elsewhere it is a part of some word. The names of types stay, which a CRD's rules have in place of a value.
func withoutStrings(text string, value any) string {
	switch value := value.(type) {
	case string:
		switch value {
		case "", "object", "array", "string", "integer", "number", "boolean":
			return text
		}
		quoted := strconv.Quote(value)
		text = strings.ReplaceAll(text, quoted, "…")
		if len(value) >= 4 {
			text = strings.ReplaceAll(text, quoted[1:len(quoted)-1], "…")
			text = strings.ReplaceAll(text, value, "…")
		}
	case []any:
		for _, each := range value {
			text = withoutStrings(text, each)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			text = withoutStrings(text, value[key])
		}
	}
	return text
}

// oneLine bounds a text of others and removes what could disturb a terminal.
func oneLine(text string) string {
	text = phrase.Printable(text)
	const most = 500
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return strings.TrimSpace(text)
}
