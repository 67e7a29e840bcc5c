package e2e

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"kilter.dev/kilter/internal/mutate"
	"kilter.dev/kilter/manifests/verdict"
)

// inFlight is how many questions the server works on at a time.
const inFlight = 32

// question is one manifest to be judged by both.
type question struct {
	manifest
	changes []mutate.Change
	text    []byte // of the manifest with its changes
}

// manifest is a valid manifest to start from.
type manifest struct {
	name   string // for people
	gvk    schema.GroupVersionKind
	object object
	live   []byte // as the server has it, for an update
}

// with returns the question that the changed manifest is, or false when a change leads nowhere.
func (m manifest) with(t *testing.T, changes ...mutate.Change) (question, bool) {
	t.Helper()
	changed := mutate.Copy(m.object).(object)
	for _, change := range changes {
		if !change.Apply(changed) {
			return question{}, false
		}
	}
	text, err := mutate.Encode(changed)
	must(t, err)
	return question{m, changes, text}, true
}

func (q question) String() string {
	name := q.gvk.Kind + " " + q.name
	for _, change := range q.changes {
		name += ", " + change.String()
	}
	return name
}

// answer is what both say, in comparable form.
type answer struct {
	Causes   []string // "field: reason", sorted
	Mistyped string   // the field whose value does not fit its type, without places in lists; the server names the first only
	Unmerged []string // the lists in which server-side apply finds a key twice, without places in lists, sorted; it looks at nothing else then
	Warnings []string // of an accepted object, sorted
}

func (a answer) refused() bool { return len(a.Causes)+len(a.Unmerged) > 0 || a.Mistyped != "" }

// compare asks the server in parallel and the verdict about every question, and fails for each on which they differ. It returns the
// server's answers, in the order of the questions.
func compare(
	t *testing.T, questions []question, server func(context.Context, question) (answer, error), ours func(question) verdict.Verdict,
) []answer {
	t.Helper()
	answers := make([]answer, len(questions))
	var failures failures
	tasks, ctx := errgroup.WithContext(t.Context())
	tasks.SetLimit(inFlight)
	for i, q := range questions {
		tasks.Go(func() error {
			theirs, err := server(ctx, q)
			if err != nil {
				return fmt.Errorf("%s: %w", q, err)
			}
			answers[i] = theirs
			if diff := gocmp.Diff(theirs, answerOf(ours(q), theirs)); diff != "" {
				failures.add(q.String() + ": the server and the verdict differ (-server +verdict):\n" + diff)
			}
			return nil
		})
	}
	must(t, tasks.Wait())
	failures.report(t)
	return answers
}

// failures are collected in parallel and reported in order, no more than one can read.
type failures struct {
	sync.Mutex
	texts []string
}

func (f *failures) add(text string) {
	f.Lock()
	defer f.Unlock()
	f.texts = append(f.texts, text)
}

func (f *failures) report(t *testing.T) {
	t.Helper()
	const most = 30
	slices.Sort(f.texts)
	for _, text := range f.texts[:min(len(f.texts), most)] {
		t.Error(text)
	}
	if n := len(f.texts); n > 0 {
		t.Errorf("%d disagreements", n)
	}
}

// judge is the real server.
type judge struct {
	client rest.Interface
	mapper meta.RESTMapper
}

// judge returns the server as a judge, and skips the test when it is of another release than the linked rules.
func (c *cluster) judge(t *testing.T) *judge {
	t.Helper()
	version, err := c.Discovery().ServerVersion()
	must(t, err)
	if release := version.Major + "." + strings.TrimRight(version.Minor, "+"); release != verdict.Version() {
		t.Skipf("the server is Kubernetes %s and the linked rules are those of %s", release, verdict.Version())
	}
	config := rest.CopyConfig(c.config)
	config.WarningHandlerWithContext = heard{}
	client, err := rest.UnversionedRESTClientFor(dynamic.ConfigFor(config))
	must(t, err)
	groups, err := restmapper.GetAPIGroupResources(c.Discovery())
	must(t, err)
	return &judge{client: client, mapper: restmapper.NewDiscoveryRESTMapper(groups)}
}

// path returns the URL path of the kind's collection.
func (j *judge) path(gvk schema.GroupVersionKind, namespace string) (string, error) {
	mapping, err := j.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return "", err
	}
	path := "/apis/" + gvk.Group + "/" + gvk.Version
	if gvk.Group == "" {
		path = "/api/" + gvk.Version
	}
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		path += "/namespaces/" + namespace
	}
	return path + "/" + mapping.Resource.Resource, nil
}

// create asks by a strict dry run of a POST.
func (j *judge) create(ctx context.Context, namespace string, q question) (answer, error) {
	path, err := j.path(q.gvk, namespace)
	if err != nil {
		return answer{}, err
	}
	return j.ask(ctx, j.client.Post().AbsPath(path).SetHeader("Content-Type", runtime.ContentTypeJSON).Body(q.text))
}

// update asks by a strict dry run of a PUT over the object that the manifest was read from.
func (j *judge) update(ctx context.Context, namespace string, q question) (answer, error) {
	path, err := j.path(q.gvk, namespace)
	if err != nil {
		return answer{}, err
	}
	name := q.object["metadata"].(object)["name"].(string)
	return j.ask(ctx, j.client.Put().AbsPath(path, name).SetHeader("Content-Type", runtime.ContentTypeJSON).Body(q.text))
}

// apply asks by a strict dry run of a server-side apply.
func (j *judge) apply(ctx context.Context, namespace string, q question) (answer, error) {
	path, err := j.path(q.gvk, namespace)
	if err != nil {
		return answer{}, err
	}
	name := q.object["metadata"].(object)["name"].(string)
	return j.ask(ctx, j.client.Patch(types.ApplyPatchType).AbsPath(path, name).Param("fieldManager", "kilter").Body(q.text))
}

func (j *judge) ask(ctx context.Context, request *rest.Request) (answer, error) {
	var warnings []string
	ctx = context.WithValue(ctx, heard{}, &warnings)
	err := request.Param("dryRun", metav1.DryRunAll).Param("fieldValidation", metav1.FieldValidationStrict).Do(ctx).Error()
	theirs, err := refusal(err)
	if !theirs.refused() {
		theirs.Warnings = sorted(warnings)
	}
	return theirs, err
}

// heard takes a response's warnings to the request's context, where it is also the key of a *[]string.
type heard struct{}

func (heard) HandleWarningHeaderWithContext(ctx context.Context, _ int, _, text string) {
	if warnings, ok := ctx.Value(heard{}).(*[]string); ok {
		*warnings = append(*warnings, text)
	}
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
			reason := map[string]string{"unknown": verdict.ReasonUnknownField, "duplicate": string(metav1.CauseTypeFieldValueDuplicate)}[match[1]]
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

// answerOf renders a verdict as the server's answer is. Of several values that do not fit their types, the verdict names each, and that
// one counts which the server named. Where the server names none, any that the decoder can find counts.
func answerOf(v verdict.Verdict, theirs answer) answer {
	if theirs.Unmerged != nil {
		return unmerged(v, theirs)
	}
	var mine answer
	for _, cause := range v.Causes {
		mistyped := cause.Reason == string(metav1.CauseTypeTypeInvalid)
		switch {
		case theirs.Mistyped == unnamed && (mistyped || cause.Field == "" || cause.Reason == verdict.ReasonUnknownField),
			mistyped && index.ReplaceAllString(cause.Field, "") == theirs.Mistyped:
			return answer{Mistyped: theirs.Mistyped}
		case cause.Apply: // the server was asked by a POST or a PUT; what it warns of then is not in the verdict
			mine.Warnings = theirs.Warnings
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

// unmerged renders the verdict on what server-side apply refuses before the rules are asked: the lists of which the verdict says so, and
// those where it leaves that to the rules, which refuse the same entry.
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

func sorted(lines []string) []string {
	slices.Sort(lines)
	return slices.Compact(lines)
}

var (
	index  = regexp.MustCompile(`\[[^]]*\]`)
	number = regexp.MustCompile(`\[\d+\]`)
)
