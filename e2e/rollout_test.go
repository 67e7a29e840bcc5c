package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"kilter.dev/kilter/internal/await"
)

// pool makes nodes that only pods which ask for them run on: they carry the label and the taint "pool" with the namespace's name.
func (c *cluster) pool(ctx context.Context, t *testing.T, namespace string, count int) []string {
	t.Helper()
	var names []string
	for i := range count {
		node := &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{
				Name: fmt.Sprintf("%s-%d", namespace, i), Labels: map[string]string{"pool": namespace},
				Annotations: map[string]string{"kwok.x-k8s.io/node": "fake"},
			},
			Spec: corev1.NodeSpec{Taints: []corev1.Taint{{Key: "pool", Value: namespace, Effect: corev1.TaintEffectNoSchedule}}},
		}
		_, err := c.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{})
		must(t, err)
		names = append(names, node.Name)
		t.Cleanup(func() {
			must(t, c.CoreV1().Nodes().Delete(context.WithoutCancel(t.Context()), node.Name, metav1.DeleteOptions{}))
		})
	}
	for _, name := range names {
		c.untilNode(ctx, t, name, func(n *corev1.Node) bool { return ready(n) && len(n.Spec.Taints) == 1 })
	}
	return names
}

func ready(n *corev1.Node) bool {
	for _, condition := range n.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

func (c *cluster) untilNode(ctx context.Context, t *testing.T, name string, is func(*corev1.Node) bool) {
	t.Helper()
	must(t, second(await.Until(ctx, await.Object{Client: c.CoreV1().RESTClient(), Resource: "nodes", Name: name}, is)))
}

// kill takes a node away from KWOK, as when its kubelet dies: it has not been ready for so long, and nobody runs or deletes its pods.
func (c *cluster) kill(ctx context.Context, t *testing.T, node string, since time.Duration) {
	t.Helper()
	_, err := c.CoreV1().Nodes().Patch(ctx, node, types.MergePatchType, []byte(`{"metadata":{"annotations":{"kwok.x-k8s.io/node":null}}}`), metav1.PatchOptions{})
	must(t, err)
	at := metav1.NewTime(time.Now().Add(-since))
	condition := fmt.Sprintf(`{"status":{"conditions":[{"type":"Ready","status":"False","reason":"KubeletNotReady","lastHeartbeatTime":%[1]q,"lastTransitionTime":%[1]q}]}}`,
		at.UTC().Format(time.RFC3339))
	_, err = c.CoreV1().Nodes().PatchStatus(ctx, node, []byte(condition))
	must(t, err)
	c.untilNode(ctx, t, node, func(n *corev1.Node) bool {
		return !ready(n) && strings.Contains(fmt.Sprint(n.Spec.Taints), corev1.TaintNodeNotReady)
	})
}

func daemonSetManifest(namespace, strategy, tolerations string) string {
	return fmt.Sprintf(`apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  updateStrategy: %s
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec:
      nodeSelector: {pool: %s}
      tolerations: [%s]
      terminationGracePeriodSeconds: 0
      containers: [{name: agent, image: registry.example/agent:1}]
`, strategy, namespace, tolerations)
}

// TestDaemonSetOnDelete pushes a new template to five nodes, one of which is dead.
func TestDaemonSetOnDelete(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	ns := c.namespace(t, "on-delete")
	nodes := c.pool(ctx, t, ns, 5)
	manifest := daemonSetManifest(ns, "{type: OnDelete}", "{key: pool, operator: Exists}")
	repo, url := repository(t, fstest.MapFS{"prod/agent.yaml": file(manifest)})
	run := kilter(t, "run", "-f", syncFile(t, ns, url, ""), "--kubeconfig", c.kubeconfig, "--allow-insecure-git")
	line(ctx, t, run, "1 object: 1 current")
	agent := await.Object{Client: c.AppsV1().RESTClient(), Resource: "daemonsets", Namespace: ns, Name: "agent"}
	must(t, second(await.Until(ctx, agent, func(d *appsv1.DaemonSet) bool { return d.Status.NumberAvailable == 5 })))

	c.kill(ctx, t, nodes[3], 12*time.Minute)
	must(t, repo.Replace("prod/agent.yaml", "agent:1", "agent:2"))
	push(t, repo)
	found := line(ctx, t, run, "rollout", "DaemonSet "+ns+"/agent", "outdated on")
	t.Log(found)
}
