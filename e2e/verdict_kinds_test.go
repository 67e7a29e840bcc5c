package e2e

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"kilter.dev/kilter/internal/mutate"
	"kilter.dev/kilter/manifests/verdict"
)

// perManifest is how many changed manifests are made of each valid one of testdata/verdict/kinds.yaml.
const perManifest = 30

// TestVerdictOnCreateOfEveryKind sweeps over the fields of one valid manifest, at least, of each linked kind that the server serves. What the
// server's state decides is in the table stateful.
func TestVerdictOnCreateOfEveryKind(t *testing.T) {
	t.Parallel()
	_, c := newCluster(t)
	r := random(t)
	namespace, server := c.namespace(t, "verdict-kinds"), c.judge(t)
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

// sweep draws changed manifests.
func sweep(t *testing.T, r *rand.Rand, m manifest) []question {
	t.Helper()
	changes := mutate.Sweep(m.object, "apiVersion", "kind")
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
