package e2e

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"kilter.dev/kilter/internal/mutate"
	"kilter.dev/kilter/manifests/verdict"
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
	activeDeadlineSeconds backoffLimit backoffLimitPerIndex completionMode completions concurrencyPolicy failedJobsHistoryLimit managedBy
	maxFailedIndexes maxSurge maxUnavailable minReadySeconds parallelism partition persistentVolumeClaimRetentionPolicy podFailurePolicy
	podManagementPolicy podReplacementPolicy progressDeadlineSeconds replicas restartPolicy revisionHistoryLimit rollingUpdate schedule selector
	serviceName startingDeadlineSeconds strategy successPolicy successfulJobsHistoryLimit suspend template timeZone ttlSecondsAfterFinished
	updateStrategy volumeClaimTemplates
	affinity containers dnsPolicy env envFrom hostNetwork image initContainers livenessProbe name ports priorityClassName resources
	securityContext tolerations topologySpreadConstraints volumeMounts volumes
	annotations finalizers labels ownerReferences`)

// pairs is how many manifests with two changes are made for each kind.
const pairs = 400

// TestVerdictOnCreate asks the real API server, by a strict dry run, what it says of some thousands of workload manifests, and wants the
// linked verdict to say the same: accepted or refused, the same fields for the same reasons, the same warnings.
func TestVerdictOnCreate(t *testing.T) {
	t.Parallel()
	_, c := newCluster(t)
	r := random(t)
	namespace, server := c.namespace(t, "verdict"), c.judge(t)
	questions := published(t)
	for _, kind := range slices.Sorted(maps.Keys(workloadFields)) {
		questions = append(questions, workloadQuestions(t, r, kind)...)
	}
	answers := compare(t, questions,
		func(ctx context.Context, q question) (answer, error) { return server.create(ctx, namespace, q) },
		func(q question) verdict.Verdict { return verdictOnCreate(t, namespace, q) })

	tally := count(questions, answers)
	t.Log(tally)
	tally.want(t, 2_000, mission)
}

func verdictOnCreate(t *testing.T, namespace string, q question) verdict.Verdict {
	v, linked := verdict.Create(q.gvk, namespace, q.text)
	if !linked {
		t.Errorf("%s: no rules are linked", q)
	}
	return v
}

// workloadFields are all fields of the five kinds.
var workloadFields = map[string]fields{
	"CronJob":     join(metadataFields, cronJobFields, jobFields.below("spec.jobTemplate.spec."), podFields.below("spec.jobTemplate.spec.template.")),
	"DaemonSet":   join(metadataFields, rolloutFields, daemonSetFields, podFields.below("spec.template.")),
	"Deployment":  join(metadataFields, rolloutFields, deploymentFields, podFields.below("spec.template.")),
	"Job":         join(metadataFields, jobFields.below("spec."), podFields.below("spec.template.")),
	"StatefulSet": join(metadataFields, rolloutFields, statefulSetFields, podFields.below("spec.template.")),
}

func (f fields) below(prefix string) fields {
	all := fields{}
	for path, values := range f {
		all[prefix+path] = values
	}
	return all
}

func join(all ...fields) fields {
	sum := fields{}
	for _, f := range all {
		for path, values := range f {
			if sum[path] != nil {
				panic(path + " stands in two tables")
			}
			sum[path] = values
		}
	}
	return sum
}

// changes returns every change of the table, in the order of the paths.
func (f fields) changes(r *rand.Rand) []mutate.Change {
	var all []mutate.Change
	for _, path := range slices.Sorted(maps.Keys(f)) {
		for _, value := range f[path] {
			if draw, ok := value.(drawn); ok {
				value = draw(r)
			}
			all = append(all, mutate.Change{Path: path, Value: value})
		}
	}
	return all
}

// workloadQuestions returns the valid manifests of a kind, one question for each value of its table, on a manifest drawn from those where it
// can be put, and pairs.
func workloadQuestions(t *testing.T, r *rand.Rand, kind string) []question {
	t.Helper()
	valid := slices.DeleteFunc(workloads(t), func(m manifest) bool { return m.gvk.Kind != kind })
	var questions []question
	for _, m := range valid {
		q, _ := m.with(t)
		questions = append(questions, q)
	}
	all := workloadFields[kind].changes(r)
	for _, change := range all {
		for _, i := range r.Perm(len(valid)) {
			if q, ok := valid[i].with(t, change); ok {
				questions = append(questions, q)
				break
			}
		}
	}
	for made := 0; made < pairs; {
		m := valid[r.IntN(len(valid))]
		if q, ok := m.with(t, all[r.IntN(len(all))], all[r.IntN(len(all))]); ok {
			questions = append(questions, q)
			made++
		}
	}
	return questions
}

// workloads reads testdata/verdict/workloads.yaml.
func workloads(t *testing.T) []manifest {
	t.Helper()
	templates := map[string]object{}
	data, err := os.ReadFile("testdata/verdict/workloads.yaml")
	must(t, err)
	var all []manifest
	for _, o := range documents(t, data) {
		if name, ok := o["template"].(string); ok {
			delete(o, "template")
			templates[name] = o
		} else {
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

// published returns the workloads of examples/ and of the tests of package manifests, as they are.
func published(t *testing.T) []question {
	t.Helper()
	var questions []question
	add := func(file string, data []byte) {
		for i, document := range documents(t, data) {
			m := manifestOf(document)
			m.name = fmt.Sprintf("%s document %d", file, i)
			delete(m.object["metadata"].(object), "namespace")
			if _, ok := workloadFields[m.gvk.Kind]; ok {
				q, _ := m.with(t)
				questions = append(questions, q)
			}
		}
	}
	archives, err := filepath.Glob("../manifests/testdata/verdict-*.txtar")
	must(t, err)
	for _, name := range archives {
		archive, err := txtar.ParseFile(name)
		must(t, err)
		for _, file := range archive.Files {
			if filepath.Ext(file.Name) == ".yaml" {
				add(filepath.Base(name)+" "+file.Name, file.Data)
			}
		}
	}
	files, err := filepath.Glob("../examples/prod/*/*.yaml")
	must(t, err)
	for _, name := range files {
		data, err := os.ReadFile(name)
		must(t, err)
		add(name, data)
	}
	return questions
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
