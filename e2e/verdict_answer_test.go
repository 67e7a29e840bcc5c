package e2e

import (
	"cmp"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"kilter.dev/kilter/manifests/verdict"
)

// answer is what both say, in comparable form.
type answer struct {
	Causes   []string // "field: reason", sorted
	Mistyped string   // the field whose value does not fit its type, without places in lists; the server names the first only
	Unmerged []string // the lists in which server-side apply finds a key twice, as Mistyped; it looks at nothing else then
	Warnings []string // of an accepted object, sorted
}

func (a answer) refused() bool { return len(a.Causes)+len(a.Unmerged) > 0 || a.Mistyped != "" }

// ofState reports whether the server refuses for what else it holds, or for what it lacks.
func (a answer) ofState() bool {
	return slices.ContainsFunc(a.Causes, func(line string) bool {
		reason, _, _ := strings.Cut(line, ": ")
		return slices.Contains([]string{"AlreadyExists", "Conflict", "Forbidden", "NotFound"}, reason)
	})
}

// What the server says of a body that does not fit its type is one text.
var (
	strictText = regexp.MustCompile(`(unknown|duplicate) field "([^"]*)"`)
	typeText   = regexp.MustCompile(`json: cannot unmarshal .* into Go struct field \w*\.(\S+) of type`)
	twiceText  = regexp.MustCompile(`\.(\S+): duplicate entries for key`)
	embedded   = regexp.MustCompile(`\b[A-Z]\w*\.`) // Go structs without a field in JSON
)

// unnamed stands for the field where the server refuses in one text, without a cause.
const unnamed = "a field without a name"

// refusal returns the server's answer when it refuses. An error that is not the server's is returned as it is.
func refusal(err error) (answer, error) {
	status := apierrors.APIStatus(nil)
	switch {
	case err == nil:
		return answer{}, nil
	case strings.HasSuffix(err.Error(), "INTERNAL_ERROR; received from peer"): // how HTTP/2 says that the request's handler panicked
		return answer{Causes: []string{": " + string(field.ErrorTypeInternal)}}, nil
	case !errors.As(err, &status):
		return answer{}, err
	}
	s := status.Status()
	var causes []string
	switch {
	case s.Details != nil && len(s.Details.Causes) > 0:
		for _, cause := range s.Details.Causes {
			causes = append(causes, cause.Field+": "+string(cause.Type))
		}
	case s.Code == http.StatusInternalServerError && s.Reason == "":
		if lists := twiceText.FindAllStringSubmatch(index.ReplaceAllString(s.Message, ""), -1); lists != nil {
			var unmerged []string
			for _, list := range lists {
				unmerged = append(unmerged, list[1])
			}
			return answer{Unmerged: sorted(unmerged)}, nil
		}
		return answer{Mistyped: unnamed}, nil
	case s.Code != http.StatusBadRequest:
		causes = []string{cmp.Or(string(s.Reason), http.StatusText(int(s.Code))) + ": " + s.Message}
	case strictText.MatchString(s.Message):
		for _, match := range strictText.FindAllStringSubmatch(s.Message, -1) {
			reason := verdict.ReasonUnknownField
			if match[1] == "duplicate" {
				reason = string(metav1.CauseTypeFieldValueDuplicate)
			}
			causes = append(causes, match[2]+": "+reason)
		}
	case typeText.MatchString(s.Message):
		return answer{Mistyped: embedded.ReplaceAllString(typeText.FindStringSubmatch(s.Message)[1], "")}, nil
	case strings.HasPrefix(s.Message, "the namespace of the provided object does not match"):
		causes = []string{"metadata.namespace: " + string(metav1.CauseTypeFieldValueInvalid)}
	default:
		return answer{Mistyped: unnamed}, nil
	}
	slices.Sort(causes)
	return answer{Causes: causes}, nil
}

// answerOf renders a verdict as the server's answer is. Of several values that do not fit their types, the verdict names each,
// and that one counts which the server named. Where the server names none, any that the decoder can find counts. What only
// server-side apply refuses counts if that was asked.
func answerOf(v verdict.Verdict, theirs answer, applied bool) answer {
	if theirs.Unmerged != nil {
		return unmerged(v, theirs)
	}
	var mine answer
	for _, cause := range v.Causes {
		mistyped := cause.Reason == string(metav1.CauseTypeTypeInvalid)
		switch {
		case theirs.Mistyped == unnamed && (cause.Field == "" || slices.Contains(decoding, cause.Reason)),
			mistyped && index.ReplaceAllString(cause.Field, "") == theirs.Mistyped:
			return answer{Mistyped: theirs.Mistyped}
		case cause.Apply && !applied:
			mine.Warnings = theirs.Warnings // a refusal has none
		default:
			mine.Causes = append(mine.Causes, cause.Field+": "+cause.Reason)
		}
	}
	slices.Sort(mine.Causes)
	if len(v.Causes) == 0 {
		mine.Warnings = sorted(slices.Clone(v.Warnings))
	}
	return mine
}

// unmerged renders the verdict on what server-side apply refuses before the rules are asked: the lists of which the verdict says
// so, and those where it leaves that to the rules, which refuse the same entry.
func unmerged(v verdict.Verdict, theirs answer) answer {
	var lists []string
	for _, cause := range v.Causes {
		if place := strings.LastIndexByte(cause.Field, '['); place >= 0 && cause.Reason == string(metav1.CauseTypeFieldValueDuplicate) {
			list := strings.NewReplacer("[", ".", "]", "").Replace(number.ReplaceAllString(cause.Field[:place], ""))
			if cause.Apply || slices.Contains(theirs.Unmerged, list) {
				lists = append(lists, list)
			}
		}
	}
	return answer{Unmerged: sorted(lists)}
}

// decoding are the reasons of the decoder.
var decoding = []string{
	string(metav1.CauseTypeTypeInvalid), string(metav1.CauseTypeFieldValueDuplicate), verdict.ReasonUnknownField,
}

func sorted(lines []string) []string {
	slices.Sort(lines)
	return slices.Compact(lines)
}

var (
	index  = regexp.MustCompile(`\[[^]]*\]`)
	number = regexp.MustCompile(`\[\d+\]`)
)
