package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"kilter.dev/kilter/manifests/verdict"
)

// mutations are values to put into the workloads of examples/, by kind.
var mutations = map[string]map[string]any{
	"CronJob": {
		"spec.concurrencyPolicy": "Maybe", "spec.failedJobsHistoryLimit": int64(-1), "spec.schedule": "0 0 * * 7",
		"spec.startingDeadlineSeconds": int64(-1), "spec.successfulJobsHistoryLimit": "3", "spec.timeZone": "Mars/Olympus_Mons",
		"spec.jobTemplate.spec.template.spec.restartPolicy": "Always", "metadata.name": strings.Repeat("a", 53),
	},
	"DaemonSet": {
		"spec.updateStrategy.type": "Never", "spec.updateStrategy.rollingUpdate": map[string]any{"maxSurge": int64(1)},
		"spec.minReadySeconds": int64(-1), "spec.template.spec.restartPolicy": "OnFailure",
	},
	"Deployment": {
		"spec.replicas": int64(-1), "spec.strategy": map[string]any{"type": "Recreate", "rollingUpdate": map[string]any{}},
		"spec.selector.matchLabels.other": "label", "spec.progressDeadlineSeconds": int64(0), "metadata.name": "Upper",
	},
	"Job": {
		"spec.activeDeadlineSeconds": int64(-1), "spec.backoffLimit": int64(-1), "spec.completionMode": "Sometimes", "spec.completions": int64(-1),
		"spec.parallelism": int64(-1), "spec.template.spec.restartPolicy": "Always", "spec.ttlSecondsAfterFinished": int64(-1), "spec.unknown": true,
	},
	"StatefulSet": {
		"spec.podManagementPolicy": "Anyhow", "spec.updateStrategy.rollingUpdate": map[string]any{"partition": int64(-1)},
		"spec.serviceName": "UPPER", "spec.template.spec.restartPolicy": "Never",
	},
}

// TestVerdictIsTheServers asks the real API server, by a strict dry run, what it says of every manifest in the verdict's own test data and
// in examples/, as they are and mutated, and wants the linked verdict to say the same: accepted or refused, and the same fields for
// the same reasons.
func TestVerdictIsTheServers(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	ns := c.namespace(t, "verdict")
	asked, refused := 0, 0
	for name, document := range workloads(t) {
		var object unstructured.Unstructured
		must(t, json.Unmarshal(document, &object.Object))
		object.SetNamespace(ns)
		text, err := object.MarshalJSON()
		must(t, err)
		gvk := object.GroupVersionKind()
		ours, linked := verdict.Create(gvk, ns, text)
		if !linked {
			continue
		}
		asked++
		theirs := c.ask(ctx, t, &object)
		if len(theirs) > 0 {
			refused++
		}
		if diff := cmp.Diff(theirs, answer(ours)); diff != "" {
			t.Errorf("%s: the server and the verdict differ (-server +verdict):\n%s", name, diff)
		}
	}
	t.Logf("asked about %d workload manifests, %d of them refused", asked, refused)
	if refused < 100 || asked-refused < 20 {
		t.Errorf("%d refused and %d accepted manifests prove too little", refused, asked-refused)
	}
}

// workloads returns every document of the test data, as JSON, by file and number.
func workloads(t *testing.T) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	add := func(name string, data []byte) {
		for i, document := range strings.Split(string(data), "\n---\n") {
			text, err := yaml.YAMLToJSON([]byte(document))
			must(t, err)
			all[fmt.Sprintf("%s document %d", name, i)] = text
		}
	}
	mutate := func(name string) {
		var object unstructured.Unstructured
		must(t, json.Unmarshal(all[name], &object.Object))
		for path, value := range mutations[object.GetKind()] {
			mutant := object.DeepCopy()
			must(t, unstructured.SetNestedField(mutant.Object, value, strings.Split(path, ".")...))
			text, err := mutant.MarshalJSON()
			must(t, err)
			all[fmt.Sprintf("%s with %s: %v", name, path, value)] = text
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
	for _, name := range slices.Collect(maps.Keys(all)) {
		if strings.HasPrefix(name, "../examples") {
			mutate(name)
		}
	}
	return all
}

// ask returns what the server refuses, as "field: reason", sorted; nothing when it would create the object.
func (c *cluster) ask(ctx context.Context, t *testing.T, object *unstructured.Unstructured) []string {
	t.Helper()
	plural, _ := meta.UnsafeGuessKindToResource(object.GroupVersionKind())
	_, err := c.dynamic.Resource(plural).Namespace(object.GetNamespace()).Create(ctx, object, metav1.CreateOptions{
		DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict,
	})
	status := apierrors.APIStatus(nil)
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &status):
		t.Fatal(err)
	case apierrors.IsBadRequest(err):
		return []string{undecodable}
	case status.Status().Details == nil:
		return []string{string(status.Status().Reason)}
	}
	var causes []string
	for _, cause := range status.Status().Details.Causes {
		causes = append(causes, cause.Field+": "+string(cause.Type))
	}
	slices.Sort(causes)
	return causes
}

// undecodable stands for an object that does not fit its type: the server answers with one text, without causes.
const undecodable = "does not fit its type"

// answer renders a verdict as ask does.
func answer(v verdict.Verdict) []string {
	var causes []string
	for _, cause := range v.Causes {
		if cause.Reason == verdict.ReasonUnknownField || cause.Reason == string(metav1.CauseTypeTypeInvalid) {
			return []string{undecodable}
		}
		causes = append(causes, cause.Field+": "+cause.Reason)
	}
	slices.Sort(causes)
	return causes
}
