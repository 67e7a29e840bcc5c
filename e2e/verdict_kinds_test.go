package e2e

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"kilter.dev/kilter/internal/await"
	"kilter.dev/kilter/internal/mutate"
	"kilter.dev/kilter/manifests/verdict"
)

// perManifest is how many changed manifests are made of each valid one of testdata/verdict/kinds.yaml.
const perManifest = 30

// TestVerdictOnCreateOfEveryKind sweeps over the fields of one valid manifest, at least, of each linked kind that the server serves. What the
// server's state decides is in the table stateful.
func TestVerdictOnCreateOfEveryKind(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	r := random(t)
	namespace, server := c.namespace(t, "verdict-kinds"), c.judge(t)
	c.serviceAccount(ctx, t, namespace)
	manifests := kinds(t, namespace)
	wantEveryKind(t, server, manifests)
	var questions []question
	for _, m := range manifests {
		q, _ := m.with(t)
		questions = append(questions, q)
		questions = append(questions, sweep(t, r, m)...)
	}
	answers := compare(t, questions,
		func(ctx context.Context, q question) (answer, error) { return server.create(ctx, namespace, q) },
		func(q question) verdict.Verdict { return verdictOnCreate(t, namespace, q) })
	for i, q := range questions {
		if len(q.changes) == 0 && answers[i].refused() {
			t.Errorf("%s should be valid: %q", q, answers[i].Causes)
		}
	}
	count(questions, answers).want(t, 1_000)
}

// TestVerdictOnUpdateOfEveryKind sweeps over the fields of live objects of the other kinds, except those that must not live in a cluster
// where other tests run.
func TestVerdictOnUpdateOfEveryKind(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	r := random(t)
	namespace, server := c.namespace(t, "verdict-kinds-update"), c.judge(t)
	c.serviceAccount(ctx, t, namespace)
	var questions []question
	for i, m := range kinds(t, namespace) {
		if _, no := notAlive[m.gvk.Kind]; no {
			continue
		}
		m.name = fmt.Sprintf("%s-%d", namespace, i)
		m.object["metadata"].(object)["name"] = m.name
		m = c.live(ctx, t, server, namespace, m)
		// A late write of a controller is no conflict for an object that names no version, where the kind allows that.
		free, ok := m.with(t, mutate.Change{Path: "metadata.resourceVersion", Value: mutate.Remove})
		answer, err := server.update(ctx, namespace, free)
		must(t, err)
		if ok && !answer.refused() {
			delete(m.object["metadata"].(object), "resourceVersion")
		}
		unchanged, _ := m.with(t)
		questions = append(questions, unchanged)
		questions = append(questions, sweep(t, r, m)...)
	}
	answers := compare(t, questions,
		func(ctx context.Context, q question) (answer, error) { return server.update(ctx, namespace, q) },
		func(q question) verdict.Verdict { return verdictOnUpdate(t, namespace, q) })
	count(questions, answers).want(t, 500)
}

// notAlive gives the reason why a kind is not created for real.
var notAlive = map[string]string{
	"APIService":                       "discovery would wait for a server that does not exist",
	"ClusterRole":                      "its controller aggregates the rules",
	"ClusterTrustBundle":               "its name is that of its signer, and two runs on one cluster would meet",
	"CustomResourceDefinition":         "its name is that of its group and resource, and two runs on one cluster would meet",
	"IPAddress":                        "its name is an address, and its controller deletes one without a Service",
	"LimitRange":                       "admission would hold the pods of the test to it",
	"MutatingAdmissionPolicy":          "it could judge the requests of other tests",
	"MutatingAdmissionPolicyBinding":   "it could judge the requests of other tests",
	"MutatingWebhookConfiguration":     "it could judge the requests of other tests",
	"Node":                             "the simulation of nodes takes it over",
	"ResourceQuota":                    "admission would hold the pods of the test to it",
	"ServiceCIDR":                      "Services of other tests would get addresses from it",
	"StorageVersionMigration":          "its controller would rewrite every Deployment",
	"ValidatingAdmissionPolicy":        "it could judge the requests of other tests",
	"ValidatingAdmissionPolicyBinding": "it could judge the requests of other tests",
	"ValidatingWebhookConfiguration":   "it could judge the requests of other tests",
	"VolumeAttachment":                 "its controller deletes one of a node that does not exist",
}

// serviceAccount waits for the account that pods of the namespace run as: admission wants it.
func (c *cluster) serviceAccount(ctx context.Context, t *testing.T, namespace string) {
	t.Helper()
	o := await.Object{Client: c.CoreV1().RESTClient(), Resource: "serviceaccounts", Namespace: namespace, Name: "default"}
	must(t, second(await.Until(ctx, o, func(*corev1.ServiceAccount) bool { return true })))
}

// sweep draws changed manifests.
func sweep(t *testing.T, r *rand.Rand, m manifest) []question {
	t.Helper()
	except := []string{"apiVersion", "kind"}
	if m.live != nil { // these say which object is meant, and the status is not of a manifest
		except = append(except, "metadata.name", "metadata.namespace", "metadata.resourceVersion", "metadata.uid", "status")
	}
	changes := slices.DeleteFunc(mutate.Sweep(m.object, except...), func(c mutate.Change) bool { return m.live != nil && c.Path == "metadata" })
	var questions []question
	for _, i := range r.Perm(len(changes))[:min(perManifest, len(changes))] {
		q, ok := m.with(t, changes[i])
		if !ok {
			t.Fatalf("%s leads nowhere in %s", changes[i], m.name)
		}
		if !slices.ContainsFunc(stateful, q.excluded) {
			questions = append(questions, q)
		}
	}
	return questions
}

// kinds reads testdata/verdict/kinds.yaml.
func kinds(t *testing.T, namespace string) []manifest {
	t.Helper()
	data, err := os.ReadFile("testdata/verdict/kinds.yaml")
	must(t, err)
	var all []manifest
	for _, o := range documents(t, bytes.ReplaceAll(data, []byte("$NAMESPACE"), []byte(namespace))) {
		all = append(all, manifestOf(o))
	}
	return all
}

// wantEveryKind fails for a kind that is linked and served and has no manifest.
func wantEveryKind(t *testing.T, server *judge, manifests []manifest) {
	t.Helper()
	written := map[schema.GroupVersionKind]bool{}
	for _, m := range manifests {
		written[m.gvk] = true
	}
	for _, gvk := range verdict.Linked() {
		if _, err := server.path(gvk, ""); err != nil {
			continue // not served: an older version, or behind a feature gate
		}
		if !written[gvk] && !slices.Contains(workloadKinds, gvk.Kind) {
			t.Errorf("%s has no manifest in testdata/verdict/kinds.yaml", gvk)
		}
	}
}

// exclusion is a change that the server judges by what else it holds, which no manifest says.
type exclusion struct {
	kind, path string // the path's beginning
	why        string
}

var stateful = []exclusion{}

func (q question) excluded(e exclusion) bool {
	return q.gvk.Kind == e.kind && slices.ContainsFunc(q.changes, func(c mutate.Change) bool { return strings.HasPrefix(c.Path, e.path) })
}
