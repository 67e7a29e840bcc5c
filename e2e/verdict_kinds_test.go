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

	"github.com/rogpeppe/go-internal/txtar"

	"kilter.dev/kilter/internal/mutate"
)

// perManifest is how many changed manifests are made of each valid one.
const perManifest = 25

// TestVerdictOfEveryKind sweeps over the fields of one valid manifest, at least, of each other kind that the server serves: first
// to create the manifest, then, where it may live in a cluster on which other tests run, to update it. What the server's state
// decides is in the table stateful.
func TestVerdictOfEveryKind(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	r, server := random(t), c.judge(ctx, t, "verdict-kinds")
	manifests := kinds(t, server)
	t.Run("create", func(t *testing.T) { createEveryKind(t, r, server, manifests) })
	t.Run("update", func(t *testing.T) { updateEveryKind(ctx, t, r, server, manifests) })
}

func createEveryKind(t *testing.T, r *rand.Rand, server *judge, manifests []manifest) {
	var questions []question
	for _, m := range manifests {
		q, _ := m.with(t)
		questions = append(questions, q)
		questions = append(questions, sweep(t, r, m)...)
	}
	answers := server.compare(t, questions, creating)
	for i, q := range questions {
		if len(q.changes) == 0 && answers[i].refused() {
			t.Errorf("%s should be valid: %q", q, answers[i].Causes)
		}
	}
	count(questions, answers).want(t, 1_000)
}

func updateEveryKind(ctx context.Context, t *testing.T, r *rand.Rand, server *judge, manifests []manifest) {
	var questions []question
	for i, m := range manifests {
		if _, no := notAlive[m.gvk.Kind]; no {
			continue
		}
		m.name = fmt.Sprintf("%s-%d", server.namespace, i)
		m.object["metadata"].(object)["name"] = m.name
		m = server.live(ctx, t, m)
		// A late write of a controller is no conflict for an object that names no version, where the kind allows that.
		free, ok := m.with(t, mutate.Change{Path: "metadata.resourceVersion", Value: mutate.Remove})
		answer, err := server.update(ctx, free)
		must(t, err)
		if ok && !answer.refused() {
			delete(m.object["metadata"].(object), "resourceVersion")
		}
		unchanged, _ := m.with(t)
		questions = append(questions, unchanged)
		questions = append(questions, sweep(t, r, m)...)
	}
	answers := server.compare(t, questions, updating)
	count(questions, answers).want(t, 1_000)
}

// notAlive gives the reason why a kind is not created for real.
var notAlive = map[string]string{
	"APIService":                       "discovery would wait for a server that does not exist",
	"ClusterRole":                      "its controller aggregates the rules",
	"ClusterTrustBundle":               "its name is that of its signer, and two runs on one cluster would meet",
	"CustomResourceDefinition":         "its name is that of its group and resource, and two runs on one cluster would meet",
	"DeviceTaintRule":                  "its controller writes to it whenever it likes, and an update must name the version",
	"IPAddress":                        "its name is an address, and its controller deletes one without a Service",
	"LimitRange":                       "admission would hold the pods of the test to it",
	"MutatingAdmissionPolicy":          "it could judge the requests of other tests",
	"MutatingAdmissionPolicyBinding":   "it could judge the requests of other tests",
	"MutatingWebhookConfiguration":     "it could judge the requests of other tests",
	"Node":                             "the simulation of nodes takes it over",
	"PersistentVolume":                 "a claim of the test would be bound to it",
	"ResourceQuota":                    "admission would hold the pods of the test to it",
	"ServiceCIDR":                      "Services of other tests would get addresses from it",
	"StorageVersionMigration":          "its controller would rewrite every Deployment",
	"ValidatingAdmissionPolicy":        "it could judge the requests of other tests",
	"ValidatingAdmissionPolicyBinding": "it could judge the requests of other tests",
	"ValidatingWebhookConfiguration":   "it could judge the requests of other tests",
	"VolumeAttachment":                 "its controller deletes one of a node that does not exist",
}

// sweep draws changed manifests.
func sweep(t *testing.T, r *rand.Rand, m manifest) []question {
	t.Helper()
	except := []string{"apiVersion", "kind"}
	if m.live != nil { // these say which object is meant, and the status is not of a manifest
		except = append(except, "metadata.name", "metadata.namespace", "metadata.resourceVersion", "metadata.uid", "status")
	}
	changes := slices.DeleteFunc(mutate.Sweep(m.object, except...), func(c mutate.Change) bool {
		return m.live != nil && c.Path == "metadata"
	})
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

// kinds returns the samples of the verdict's own tests and those of testdata/verdict/more.yaml, save workloads and what the
// server does not serve: versions behind a feature gate.
func kinds(t *testing.T, server *judge) []manifest {
	t.Helper()
	archive, err := txtar.ParseFile("../manifests/verdict/testdata/kinds.txtar")
	must(t, err)
	more, err := os.ReadFile("testdata/verdict/more.yaml")
	must(t, err)
	var all []manifest
	for _, file := range append(archive.Files, txtar.File{Data: more}) {
		for _, o := range documents(t, bytes.ReplaceAll(file.Data, []byte("team-a"), []byte(server.namespace))) {
			m := manifestOf(o)
			if m.gvk.Kind == "Service" { // of which only one could have the port, this run's and all others' together
				mutate.Change{Path: "spec.ports[0].nodePort", Value: mutate.Remove}.Apply(o)
				mutate.Change{Path: "spec.healthCheckNodePort", Value: mutate.Remove}.Apply(o)
			}
			if _, err := server.path(m.gvk); err == nil && !slices.Contains(workloadKinds, m.gvk.Kind) {
				all = append(all, m)
			}
		}
	}
	return all
}

// exclusion is a change on which the server's state decides, or what admission makes of the object: no manifest says that.
type exclusion struct {
	kind, path string // and what is below
	why        string
}

var stateful = []exclusion{
	{"Namespace", "metadata.labels[pod-security.kubernetes.io/enforce]", "Pod Security admission reads it"},
	{"Pod", "spec.preemptionPolicy", "the admission of priorities puts it back"},
	{"Pod", "spec.priority", "the admission of priorities puts it back"},
	{"Pod", "spec.tolerations", "admission puts two default ones back"},
	{"Service", "spec.healthCheckNodePort", "the server's range of node ports is its own"},
	{"Service", "spec.ports[0].nodePort", "the server's range of node ports is its own"},
}

func (q question) excluded(e exclusion) bool {
	within := func(c mutate.Change) bool { return strings.HasPrefix(c.Path, e.path) }
	return q.gvk.Kind == e.kind && slices.ContainsFunc(q.changes, within)
}
