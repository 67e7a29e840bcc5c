package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"kilter.dev/kilter/internal/await"
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

// verb is a way to put the question: to the server, and to the linked rules, which do not know every kind.
type verb struct {
	server func(*judge, context.Context, question) (answer, error)
	linked func(namespace string, q question) (verdict.Verdict, bool)
	apply  bool // by server-side apply
	state  bool // where what the server says of its own state is no answer
}

var (
	creating = verb{server: (*judge).create, linked: func(namespace string, q question) (verdict.Verdict, bool) {
		return verdict.Create(q.gvk, namespace, q.text)
	}}
	creatingHere = verb{server: creating.server, linked: creating.linked, state: true}
	applying     = verb{server: (*judge).apply, linked: creating.linked, apply: true}
	updating     = verb{server: (*judge).update, linked: func(namespace string, q question) (verdict.Verdict, bool) {
		return verdict.Update(q.gvk, namespace, q.live, q.text)
	}}
)

// compare asks both about every question, and fails for each on which they differ. It returns the server's answers, in the order
// of the questions.
func (j *judge) compare(t *testing.T, questions []question, v verb) []answer {
	t.Helper()
	answers := make([]answer, len(questions))
	var failures failures
	tasks, ctx := errgroup.WithContext(t.Context())
	tasks.SetLimit(inFlight)
	for i, q := range questions {
		tasks.Go(func() error {
			theirs, err := v.server(j, ctx, q)
			if err != nil {
				return fmt.Errorf("%s: %w", q, err)
			}
			answers[i] = theirs
			if v.state && theirs.ofState() {
				return nil
			}
			ours, linked := v.linked(j.namespace, q)
			if !linked {
				return fmt.Errorf("%s: no rules are linked", q)
			}
			if diff := cmp.Diff(theirs, answerOf(ours, theirs, v.apply), cmpopts.EquateEmpty()); diff != "" {
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

// judge is the real server, asked about objects in a namespace of the test.
type judge struct {
	*cluster
	namespace string
	client    rest.Interface
	mapper    meta.RESTMapper
}

// judge returns the server as a judge once pods can be created in the namespace: admission wants the account that they run as. It
// skips the test when the server is of another release than the linked rules.
func (c *cluster) judge(ctx context.Context, t *testing.T, prefix string) *judge {
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
	namespace := c.namespace(t, prefix)
	account := await.Object{Client: c.CoreV1().RESTClient(), Resource: "serviceaccounts", Namespace: namespace, Name: "default"}
	must(t, second(await.Until(ctx, account, func(*corev1.ServiceAccount) bool { return true })))
	return &judge{cluster: c, namespace: namespace, client: client, mapper: restmapper.NewDiscoveryRESTMapper(groups)}
}

// path returns the URL path of the kind's collection.
func (j *judge) path(gvk schema.GroupVersionKind) (string, error) {
	mapping, err := j.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return "", err
	}
	path := "/apis/" + gvk.Group + "/" + gvk.Version
	if gvk.Group == "" {
		path = "/api/" + gvk.Version
	}
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		path += "/namespaces/" + j.namespace
	}
	return path + "/" + mapping.Resource.Resource, nil
}

// create asks by a strict dry run of a POST.
func (j *judge) create(ctx context.Context, q question) (answer, error) {
	path, err := j.path(q.gvk)
	if err != nil {
		return answer{}, err
	}
	return j.ask(ctx, j.client.Post().AbsPath(path).SetHeader("Content-Type", runtime.ContentTypeJSON).Body(q.text))
}

// update asks by a strict dry run of a PUT over the object that the manifest was read from.
func (j *judge) update(ctx context.Context, q question) (answer, error) {
	path, err := j.path(q.gvk)
	if err != nil {
		return answer{}, err
	}
	name := q.object["metadata"].(object)["name"].(string)
	return j.ask(ctx, j.client.Put().AbsPath(path, name).SetHeader("Content-Type", runtime.ContentTypeJSON).Body(q.text))
}

// apply asks by a strict dry run of a server-side apply.
func (j *judge) apply(ctx context.Context, q question) (answer, error) {
	path, err := j.path(q.gvk)
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
