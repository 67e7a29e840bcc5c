package e2e

import (
	"cmp"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"kilter.dev/kilter/internal/mutate"
)

var seedFlag = flag.Uint64("seed", 0, "make the same manifests as the run that printed this seed; 0 draws one")

// random returns the source of a test's choices, and prints the seed that repeats them.
func random(t *testing.T) *rand.Rand {
	t.Helper()
	seed := cmp.Or(*seedFlag, uint64(time.Now().UnixNano())%1_000_000_007)
	t.Logf("to repeat: go test ./e2e -run '^%s$' -seed %d", t.Name(), seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// mission lists the fields that must have been changed, with both outcomes.
var mission = strings.Fields(`
	activeDeadlineSeconds backoffLimit backoffLimitPerIndex completionMode completions concurrencyPolicy
	failedJobsHistoryLimit managedBy maxFailedIndexes maxSurge maxUnavailable minReadySeconds parallelism partition
	persistentVolumeClaimRetentionPolicy podFailurePolicy podManagementPolicy podReplacementPolicy progressDeadlineSeconds
	replicas restartPolicy revisionHistoryLimit rollingUpdate schedule selector serviceName startingDeadlineSeconds strategy
	successPolicy successfulJobsHistoryLimit suspend template timeZone ttlSecondsAfterFinished updateStrategy
	volumeClaimTemplates affinity containers dnsPolicy env envFrom hostNetwork image initContainers livenessProbe name ports
	priorityClassName resources securityContext tolerations topologySpreadConstraints volumeMounts volumes annotations
	finalizers labels ownerReferences`)

var workloadKinds = []string{"CronJob", "DaemonSet", "Deployment", "Job", "StatefulSet"}

// pairs is how many manifests with two changes are made for each kind.
const pairs = 200

// TestVerdictOnCreate asks the real API server, by a strict dry run, what it says of some thousands of workload manifests, and
// wants the linked verdict to say the same: accepted or refused, the same fields for the same reasons, the same warnings.
func TestVerdictOnCreate(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	r, server := random(t), c.judge(ctx, t, "verdict")
	var questions []question
	table := workloadFields(t)
	turn := r.IntN(len(workloadKinds))
	for i, kind := range workloadKinds {
		own, pod := table[kind].own.changes(r), table[kind].pod.changes(r)
		tried := slices.Concat(own, everyOther(pod, i+turn))
		questions = append(questions, workloadQuestions(t, r, kind, tried)...)
		questions = append(questions, workloadPairs(t, r, kind, own, pod)...)
	}
	answers := server.compare(t, questions, creating)
	count(questions, answers, mission...).want(t, 2_000)
}

// everyOther returns those changes of pods that are the turn of a kind, so that each is tried in two kinds or three.
func everyOther(changes []mutate.Change, turn int) []mutate.Change {
	var some []mutate.Change
	for i, change := range changes {
		if (i+turn)%2 == 0 {
			some = append(some, change)
		}
	}
	return some
}

// workloadQuestions returns the valid manifests of a kind, and one question for each change, on a manifest drawn from those where
// it can be made.
func workloadQuestions(t *testing.T, r *rand.Rand, kind string, changes []mutate.Change) []question {
	t.Helper()
	var questions []question
	valid := workloads(t, kind)
	for _, m := range valid {
		q, _ := m.with(t)
		questions = append(questions, q)
	}
	for _, change := range changes {
		for _, i := range r.Perm(len(valid)) {
			if q, ok := valid[i].with(t, change); ok {
				questions = append(questions, q)
				break
			}
		}
	}
	return questions
}

// workloadPairs draws manifests with two changes, the first of them to a field of the kind's own.
func workloadPairs(t *testing.T, r *rand.Rand, kind string, own, pod []mutate.Change) []question {
	t.Helper()
	var questions []question
	valid, all := workloads(t, kind), append(slices.Clone(own), pod...)
	for len(questions) < pairs {
		if q, ok := valid[r.IntN(len(valid))].with(t, own[r.IntN(len(own))], all[r.IntN(len(all))]); ok {
			questions = append(questions, q)
		}
	}
	return questions
}

// workloads returns the manifests of a kind in testdata/verdict/workloads.yaml.
func workloads(t *testing.T, kind string) []manifest {
	t.Helper()
	templates := map[string]object{}
	data, err := os.ReadFile("testdata/verdict/workloads.yaml")
	must(t, err)
	var all []manifest
	for _, o := range documents(t, data) {
		if name, ok := o["template"].(string); ok {
			delete(o, "template")
			templates[name] = o
		} else if o["kind"] == kind {
			all = append(all, manifestOf(o))
		}
	}
	for _, m := range all {
		spec := m.object["spec"].(object)
		if m.gvk.Kind == "CronJob" {
			spec = spec["jobTemplate"].(object)["spec"].(object)
		}
		template := mutate.Copy(templates[spec["template"].(string)]).(object)
		if policy, ok := spec["restartPolicy"]; ok {
			delete(spec, "restartPolicy")
			template["spec"].(object)["restartPolicy"] = policy
		}
		spec["template"] = template
	}
	return all
}

// documents returns the objects of a YAML file.
func documents(t *testing.T, data []byte) []object {
	t.Helper()
	var all []object
	for _, document := range strings.Split(string(data), "\n---\n") {
		text, err := yaml.YAMLToJSON([]byte(document))
		must(t, err)
		var o object
		must(t, json.Unmarshal(text, &o))
		all = append(all, o)
	}
	return all
}

func manifestOf(o object) manifest {
	version, _ := o["apiVersion"].(string)
	kind, _ := o["kind"].(string)
	name, _ := o["metadata"].(object)["name"].(string)
	return manifest{name: name, gvk: schema.FromAPIVersionAndKind(version, kind), object: o}
}
