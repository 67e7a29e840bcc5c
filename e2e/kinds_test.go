package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"sigs.k8s.io/yaml"

	"kilter.dev/kilter/manifests/verdict"
)

// patienceForKinds bounds some thousand requests.
const patienceForKinds = 10 * time.Minute

// TestEveryKindIsTheServers takes the sample of every linked kind that the server serves, changes each of its fields in turn, and
// wants the server (by a strict dry run) and the verdict to agree on every one: accepted or refused, on the same fields, for the
// same reasons and with the same warnings. It does so for creation and, with the sample as the live object, for an update.
func TestEveryKindIsTheServers(t *testing.T) {
	t.Parallel()
	_, c := newCluster(t)
	config := rest.CopyConfig(c.config)
	config.WarningHandlerWithContext = heard{}
	client, err := dynamic.NewForConfig(config)
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patienceForKinds)
	defer cancel()
	ns := c.namespace(t, "kinds")
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(c.Discovery()))
	count := tally{}
	for _, sample := range kindSamples(t, ns) {
		gvk := sample.GroupVersionKind()
		mapping, err := mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
		if err != nil {
			t.Logf("%s is not served by default", gvk)
			continue
		}
		resource := dynamic.ResourceInterface(client.Resource(mapping.Resource))
		if mapping.Scope.Name() == "namespace" {
			resource = client.Resource(mapping.Resource).Namespace(ns)
			sample.SetNamespace(ns)
		}
		t.Run(gvk.Group+"/"+gvk.Version+" "+gvk.Kind, func(t *testing.T) {
			k := kindTest{resource: resource, gvk: gvk, namespace: ns, count: count}
			k.creates(ctx, t, sample)
			k.applies(ctx, t, sample)
			k.updates(ctx, t, sample)
		})
	}
	t.Logf("asked about %d kinds: %d creations (%d refused), %d applications of double entries (%d refused), %d updates (%d refused); "+
		"%d answers were the cluster's, not the rules'", count["kinds"], count["create"], count["create refused"],
		count["apply"], count["apply refused"], count["update"], count["update refused"], count["cluster"])
	if count["kinds"] < 60 || count["create"] < 2000 || count["update"] < 1500 {
		t.Error("too few to prove much")
	}
}

// tally counts what was asked.
type tally map[string]int

// kindTest asks about one kind.
type kindTest struct {
	resource  dynamic.ResourceInterface
	gvk       schema.GroupVersionKind
	namespace string
	count     tally
}

// question is one request: what the server answers, and what the verdict says.
type question struct {
	name     string
	object   *unstructured.Unstructured
	resource dynamic.ResourceInterface // for questions about more than one kind
	cluster  bool                      // the answer depends on this cluster
	theirs   []string                  // refusals and warnings
	message  string
	ours     []string
	messages []string
}

// heard records the server's warnings in the question that the request's context holds.
type heard struct{}

func (heard) HandleWarningHeaderWithContext(ctx context.Context, _ int, _, text string) {
	if q, ok := ctx.Value(heard{}).(*question); ok {
		q.theirs = append(q.theirs, "warning: "+text)
	}
}

func (k kindTest) creates(ctx context.Context, t *testing.T, sample *unstructured.Unstructured) {
	t.Helper()
	k.count["kinds"]++
	questions := append(mutants(sample), &question{name: "the sample", object: sample})
	ask(t, questions, func(q *question) {
		_, err := k.resource.Create(context.WithValue(ctx, heard{}, q), q.object,
			metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict})
		q.answered(err)
		v, linked := verdict.Create(k.gvk, k.namespace, text(q.object))
		q.judged(v, linked)
	})
	k.compare(t, "create", questions)
}

// applies doubles the first entry of each list and asks server-side apply, which answers where a POST has no objection.
func (k kindTest) applies(ctx context.Context, t *testing.T, sample *unstructured.Unstructured) {
	t.Helper()
	var questions []*question
	visit(sample.Object, nil, func(path []any, value any) {
		if list, ok := value.([]any); ok && len(list) > 0 {
			double := sample.DeepCopy()
			replace(double.Object, path, append(slices.Clone(list), list[0]))
			questions = append(questions, &question{name: fmt.Sprintf("%v doubled", path), object: double})
		}
	})
	ask(t, questions, func(q *question) {
		_, err := k.resource.Apply(ctx, q.object.GetName(), q.object,
			metav1.ApplyOptions{DryRun: []string{metav1.DryRunAll}, FieldManager: "kinds", Force: true})
		if err != nil {
			q.message, q.theirs = err.Error(), []string{"refused"}
			q.cluster = apierrors.IsForbidden(err)
		}
		if v, _ := verdict.Create(k.gvk, k.namespace, text(q.object)); len(v.Causes) > 0 {
			q.ours = []string{"refused"}
		}
	})
	k.compare(t, "apply", questions)
}

func (k kindTest) updates(ctx context.Context, t *testing.T, sample *unstructured.Unstructured) {
	t.Helper()
	live, err := k.resource.Create(ctx, sample, metav1.CreateOptions{})
	if err != nil {
		t.Errorf("cannot create the sample: %v", err)
		return
	}
	t.Cleanup(func() {
		zero := int64(0)
		err := k.resource.Delete(context.WithoutCancel(ctx), live.GetName(), metav1.DeleteOptions{GracePeriodSeconds: &zero})
		if err != nil && !apierrors.IsNotFound(err) {
			t.Error(err)
		}
	})
	desired := live.DeepCopy()
	desired.SetManagedFields(nil)
	desired.SetResourceVersion("") // or every status that a controller writes meanwhile is a conflict
	questions := append(mutants(desired), &question{name: "the live object", object: desired})
	ask(t, questions, func(q *question) {
		if q.object.GetName() != live.GetName() || q.object.GetNamespace() != live.GetNamespace() {
			q.cluster = true // there is no URL for it
			return
		}
		_, err := k.resource.Update(context.WithValue(ctx, heard{}, q), q.object,
			metav1.UpdateOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict})
		q.answered(err)
		old, err := k.resource.Get(ctx, live.GetName(), metav1.GetOptions{})
		if err != nil {
			t.Error(err)
			return
		}
		v, linked := verdict.Update(k.gvk, k.namespace, text(old), text(q.object))
		q.judged(v, linked)
	})
	k.compare(t, "update", questions)
}

func ask(t *testing.T, questions []*question, each func(*question)) {
	t.Helper()
	var group errgroup.Group
	group.SetLimit(8)
	for _, q := range questions {
		group.Go(func() error {
			each(q)
			return nil
		})
	}
	must(t, group.Wait())
}

func (k kindTest) compare(t *testing.T, verb string, questions []*question) {
	t.Helper()
	for _, q := range questions {
		if q.cluster {
			k.count["cluster"]++
			continue
		}
		k.count[verb]++
		if len(q.theirs) > 0 {
			k.count[verb+" refused"]++
		}
		if diff := cmp.Diff(q.theirs, q.ours); diff != "" {
			t.Errorf("%s with %s: the server and the verdict differ (-server +verdict):\n%s\nserver: %s\nverdict: %q",
				verb, q.name, diff, q.message, q.messages)
		}
	}
}

// answered records what the server says, as "field: reason", sorted.
func (q *question) answered(err error) {
	if err == nil {
		return
	}
	q.theirs = nil // a deprecated API version is warned of even then
	q.message = err.Error()
	status := apierrors.APIStatus(nil)
	switch {
	case strings.Contains(err.Error(), "INTERNAL_ERROR"):
		q.theirs = []string{": " + string(metav1.CauseTypeInternal)} // the server's handler panicked
	case !errors.As(err, &status):
		q.theirs = []string{err.Error()}
	case apierrors.IsBadRequest(err):
		q.theirs = []string{undecodable}
	case apierrors.IsForbidden(err), apierrors.IsConflict(err), apierrors.IsNotFound(err), apierrors.IsAlreadyExists(err),
		strings.Contains(err.Error(), "pod-security.kubernetes.io"), // an admission plugin
		strings.Contains(err.Error(), "on this cluster"), strings.Contains(err.Error(), "provided IP"),
		strings.Contains(err.Error(), "valid ports is"):
		q.cluster = true
	case status.Status().Details == nil:
		q.theirs = []string{string(status.Status().Reason)}
	default:
		for _, cause := range status.Status().Details.Causes {
			q.theirs = append(q.theirs, cause.Field+": "+string(cause.Type))
		}
		slices.Sort(q.theirs)
	}
}

func (q *question) judged(v verdict.Verdict, linked bool) {
	if !linked {
		q.ours = []string{"not linked"}
		return
	}
	for _, cause := range v.Causes {
		q.ours = append(q.ours, cause.Field+": "+cause.Reason)
		q.messages = append(q.messages, cause.Field+": "+cause.Message)
	}
	slices.Sort(q.ours)
	if len(q.ours) > 0 && slices.Equal(q.theirs, []string{undecodable}) && !slices.ContainsFunc(v.Causes, byRules) {
		q.ours = q.theirs
	}
	for _, warning := range v.Warnings {
		q.ours = append(q.ours, "warning: "+warning)
	}
}

// byRules reports whether a cause is anything else than that the object does not fit its type.
func byRules(cause verdict.Cause) bool {
	return cause.Reason != verdict.ReasonUnknownField && cause.Reason != string(metav1.CauseTypeTypeInvalid) && cause.Field != ""
}

// kindSamples reads the verdict's own samples.
func kindSamples(t *testing.T, namespace string) []*unstructured.Unstructured {
	t.Helper()
	archive, err := txtar.ParseFile("../manifests/verdict/testdata/kinds.txtar")
	must(t, err)
	var samples []*unstructured.Unstructured
	for _, file := range archive.Files {
		data, err := yaml.YAMLToJSON(bytes.ReplaceAll(file.Data, []byte("team-a"), []byte(namespace)))
		must(t, err)
		object := &unstructured.Unstructured{}
		must(t, object.UnmarshalJSON(data))
		samples = append(samples, object)
	}
	return samples
}

// mutants returns copies of an object, each with one field removed or replaced by another value of its type. The type itself and
// what the server alone writes stay.
func mutants(object *unstructured.Unstructured) []*question {
	var all []*question
	visit(object.Object, nil, func(path []any, value any) {
		for _, other := range others(value) {
			mutant := object.DeepCopy()
			if !replace(mutant.Object, path, other) {
				continue
			}
			all = append(all, &question{name: fmt.Sprintf("%v = %#v", path, other), object: mutant})
		}
	})
	return all
}

// gone stands for a field that is removed.
type gone struct{}

// others returns what a value is replaced by.
func others(value any) []any {
	switch v := value.(type) {
	case string:
		return []any{gone{}, "", "Not/Valid!", "other"}
	case bool:
		return []any{gone{}, !v}
	case int64, float64:
		return []any{gone{}, int64(-1), int64(0), int64(7), int64(100000)}
	case []any:
		return []any{gone{}, []any{}}
	case map[string]any:
		return []any{gone{}, map[string]any{}}
	}
	return nil
}

func visit(value any, path []any, each func(path []any, value any)) {
	if len(path) > 0 && !skipped(path) {
		each(path, value)
	}
	switch v := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			visit(v[key], append(slices.Clone(path), key), each)
		}
	case []any:
		for i, item := range v {
			visit(item, append(slices.Clone(path), i), each)
		}
	}
}

// ofServer are the fields of metadata that only the server writes.
var ofServer = []any{"creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"}

func skipped(path []any) bool {
	switch path[0] {
	case "spec":
		if len(path) > 1 && (path[1] == "priority" || path[1] == "preemptionPolicy" || path[1] == "tolerations") {
			return true // admission plugins fill them in again
		}
	case "apiVersion", "kind", "status":
		return true
	case "metadata":
		return len(path) == 1 || path[1] == "namespace" || slices.Contains(ofServer, path[1])
	}
	return false
}

// replace puts a value at a path, or removes what is there, and reports whether that changes anything.
func replace(object any, path []any, value any) bool {
	for _, step := range path[:len(path)-1] {
		switch parent := object.(type) {
		case map[string]any:
			object = parent[step.(string)]
		case []any:
			object = parent[step.(int)]
		}
	}
	_, remove := value.(gone)
	switch parent := object.(type) {
	case map[string]any:
		key := path[len(path)-1].(string)
		if cmp.Equal(parent[key], value) {
			return false
		}
		parent[key] = value
		if remove {
			delete(parent, key)
		}
		return true
	case []any:
		i := path[len(path)-1].(int)
		if remove || cmp.Equal(parent[i], value) {
			return false // lists are emptied as a whole
		}
		parent[i] = value
		return true
	}
	return false
}

func text(object *unstructured.Unstructured) []byte {
	data, err := object.MarshalJSON()
	if err != nil {
		panic(err) // it was JSON before
	}
	return data
}
