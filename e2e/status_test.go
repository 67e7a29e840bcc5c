package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	yamldecoder "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/internal/await"
	"kilter.dev/kilter/internal/golden"
	"kilter.dev/kilter/internal/process"
)

// follow makes a Sync object named "e2e" and runs the program for the Syncs of its namespace, as the administrator. The lines are those of
// a terminal. spec is added to the Sync's spec, indented as its fields.
func (c *cluster) follow(ctx context.Context, t *testing.T, ns, url, spec string, args ...string) (*process.Process, await.Object) {
	t.Helper()
	c.installCRDs(ctx, t)
	sync := await.Object{Client: c.syncs(t), Resource: v1alpha1.SyncResource, Namespace: ns, Name: "e2e"}
	document, err := yaml.YAMLToJSON(fmt.Appendf(nil, syncDocument, ns, url, spec))
	must(t, err)
	must(t, sync.Client.Post().Namespace(ns).Resource(v1alpha1.SyncResource).Body(document).
		SetHeader("Content-Type", "application/json").Do(ctx).Error())
	run := kilter(t, append([]string{
		"run", "--watch-namespaces", ns, "--log-format", "text", "--kubeconfig", c.kubeconfig, "--allow-insecure-git", "--data-dir", t.TempDir(),
	}, args...)...)
	return run, sync
}

// installCRDs makes the cluster serve Syncs. They stay: other tests use them too.
func (c *cluster) installCRDs(ctx context.Context, t testing.TB) {
	t.Helper()
	printed, err := exec.CommandContext(ctx, filepath.Join("..", "bin", "kilter"), "crds").Output()
	must(t, err)
	crds := c.dynamic.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	decoder := yamldecoder.NewYAMLOrJSONDecoder(bytes.NewReader(printed), 4096)
	for {
		var crd unstructured.Unstructured
		if err := decoder.Decode(&crd.Object); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		if crd.Object == nil {
			continue
		}
		_, err := crds.Apply(ctx, crd.GetName(), &crd, metav1.ApplyOptions{FieldManager: "helm", Force: true})
		must(t, err)
		c.established(ctx, t, crd.GetName())
	}
}

// annotate sets an annotation of the Sync object.
func annotate(ctx context.Context, t testing.TB, sync await.Object, key, value string) {
	t.Helper()
	body := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, key, value)
	must(t, sync.Client.Patch(types.MergePatchType).Namespace(sync.Namespace).Resource(sync.Resource).Name(sync.Name).Body(body).Do(ctx).Error())
}

// atRest waits until nothing of a commit will change before somebody acts: every Sync ends up Ready or Stalled.
func atRest(ctx context.Context, t *testing.T, sync await.Object, commit string) *v1alpha1.Sync {
	t.Helper()
	found, err := await.Until(ctx, sync, func(s *v1alpha1.Sync) bool {
		return strings.HasSuffix(s.Status.LastAttemptedRevision, commit) && s.Status.ObservedGeneration == s.Generation &&
			meta.IsStatusConditionFalse(s.Status.Conditions, v1alpha1.ConditionReconciling) &&
			(meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ConditionReady) ||
				meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ConditionStalled))
	})
	must(t, err)
	return found
}

var (
	commits  = regexp.MustCompile(`\b([0-9a-f]{40}|[0-9a-f]{12})\b`)
	instants = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)
)

// checkStatus compares a Sync's status with a golden file. names are pairs of a name that differs from run to run and what stands for it.
func checkStatus(t *testing.T, file string, sync *v1alpha1.Sync, names ...string) {
	t.Helper()
	status, err := json.Marshal(sync.Status)
	must(t, err)
	text, err := yaml.JSONToYAML([]byte(timeless(string(status), names))) // replaced before its lines are broken
	must(t, err)
	golden.Check(t, filepath.Join("testdata", file), string(text))
}

// timeless replaces what differs from run to run; commits and times are called so.
func timeless(text string, names []string) string {
	text = strings.NewReplacer(names...).Replace(text)
	return instants.ReplaceAllString(commits.ReplaceAllString(text, "COMMIT"), "TIME")
}

// plan returns what kilter plan prints.
func plan(ctx context.Context, t *testing.T, want int, args ...string) string {
	t.Helper()
	p := kilter(t, append([]string{"plan", "--allow-insecure-git"}, args...)...)
	code, err := p.Wait(ctx)
	must(t, err)
	if code != want {
		t.Errorf("kilter plan: exit code %d, want %d; it printed:\n%s", code, want, p.Output())
	}
	return p.Output() + "\n"
}

// untilReason waits until Ready has a reason.
func untilReason(ctx context.Context, t testing.TB, sync await.Object, reason string) *v1alpha1.Sync {
	t.Helper()
	found, err := await.Until(ctx, sync, func(s *v1alpha1.Sync) bool {
		ready := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady)
		return ready != nil && ready.Reason == reason
	})
	must(t, err)
	return found
}
