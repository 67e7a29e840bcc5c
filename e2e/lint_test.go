package e2e

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	fieldselector "k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"

	"kilter.dev/kilter/internal/await"
)

// TestLintTellsTheTruth puts the lint's own test data into a cluster and waits for what the rules say will happen. It runs alone: while other
// tests change the cluster's kinds, the disruption controller cannot look up scales, and tries again ever more rarely.
func TestLintTellsTheTruth(t *testing.T) {
	ctx, c := newCluster(t)
	t.Run("budget-without-scale", func(t *testing.T) { budgetWithoutScale(ctx, t, c) })
	t.Run("schedule-never-fires", func(t *testing.T) { scheduleNeverFires(ctx, t, c) })
	t.Run("host-port-surge", func(t *testing.T) { hostPortSurge(ctx, t, c) })
}

// budgetWithoutScale wants the disruption controller to give up on every budget that the rule names, and on no other.
func budgetWithoutScale(ctx context.Context, t *testing.T, c *cluster) {
	ns := c.namespace(t, "lint")
	for _, name := range c.createGolden(ctx, t, ns, "budget-without-scale", "PodDisruptionBudget") {
		budget := await.Object{Client: c.PolicyV1().RESTClient(), Resource: "poddisruptionbudgets", Namespace: ns, Name: name}
		want := !strings.HasPrefix(name, "quiet") // what is ignored happens all the same
		_, err := await.Until(ctx, budget, func(b *policyv1.PodDisruptionBudget) bool {
			condition := meta.FindStatusCondition(b.Status.Conditions, policyv1.DisruptionAllowedCondition)
			failed := condition != nil && condition.Reason == policyv1.SyncFailedReason
			return failed == want && (failed && b.Status.DisruptionsAllowed == 0 || !failed && b.Status.ExpectedPods > 0)
		})
		must(t, err)
	}
}

// scheduleNeverFires wants the CronJob controller's event.
func scheduleNeverFires(ctx context.Context, t *testing.T, c *cluster) {
	ns := c.namespace(t, "lint")
	for _, name := range c.createGolden(ctx, t, ns, "schedule-never-fires", "CronJob") {
		if strings.HasPrefix(name, "fires") {
			c.untilEvent(ctx, t, ns, name, "InvalidSchedule")
		}
	}
}

// hostPortSurge updates a DaemonSet and wants a new pod that finds no node.
func hostPortSurge(ctx context.Context, t *testing.T, c *cluster) {
	ns := c.namespace(t, "lint")
	c.createGolden(ctx, t, ns, "host-port-surge", "DaemonSet")
	const name = "fires-1"
	o := await.Object{Client: c.AppsV1().RESTClient(), Resource: "daemonsets", Namespace: ns, Name: name}
	_, err := await.Until(ctx, o, func(d *appsv1.DaemonSet) bool {
		return d.Status.DesiredNumberScheduled > 0 && d.Status.NumberAvailable == d.Status.DesiredNumberScheduled
	})
	must(t, err)
	const change = `{"spec":{"template":{"metadata":{"labels":{"version":"2"}}}}}`
	_, err = c.AppsV1().DaemonSets(ns).Patch(ctx, name, types.StrategicMergePatchType, []byte(change), metav1.PatchOptions{})
	must(t, err)
	pods := cache.NewFilteredListWatchFromClient(c.CoreV1().RESTClient(), "pods", ns,
		func(o *metav1.ListOptions) { o.LabelSelector = "app=" + name + ",version=2" })
	_, err = watchtools.UntilWithSync(ctx, pods, &corev1.Pod{}, nil, func(event watch.Event) (bool, error) {
		for _, condition := range event.Object.(*corev1.Pod).Status.Conditions {
			if condition.Type == corev1.PodScheduled && strings.Contains(condition.Message, "free ports") {
				return true, nil
			}
		}
		return false, nil
	})
	must(t, err)
}

// createGolden creates the objects of a rule's test data and returns the names of those of one kind.
func (c *cluster) createGolden(ctx context.Context, t *testing.T, namespace, rule, kind string) []string {
	t.Helper()
	archive, err := txtar.ParseFile(filepath.Join("../manifests/lint/testdata", rule+".txtar"))
	must(t, err)
	documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(archive.Files[0].Data), 4096)
	var names []string
	for {
		var object unstructured.Unstructured
		if err := documents.Decode(&object.Object); errors.Is(err, io.EOF) {
			return names
		} else if err != nil {
			t.Fatal(err)
		}
		gvr, _ := meta.UnsafeGuessKindToResource(object.GroupVersionKind())
		_, err := c.dynamic.Resource(gvr).Namespace(namespace).Create(ctx, &object, metav1.CreateOptions{})
		must(t, err)
		if object.GetKind() == kind {
			names = append(names, object.GetName())
		}
	}
}

// untilEvent waits for an event about an object.
func (c *cluster) untilEvent(ctx context.Context, t *testing.T, namespace, name, reason string) {
	t.Helper()
	selector := fieldselector.Set{"involvedObject.name": name, "reason": reason}.AsSelector()
	events := cache.NewListWatchFromClient(c.CoreV1().RESTClient(), "events", namespace, selector)
	_, err := watchtools.UntilWithSync(ctx, events, &corev1.Event{}, nil, func(watch.Event) (bool, error) { return true, nil })
	must(t, err)
}
