package e2e

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kilter.dev/kilter/internal/await"
	"kilter.dev/kilter/internal/golden"
)

// ofPods is a StatefulSet of three pods.
func ofPods(strategy, annotations string) *fstest.MapFile {
	return file(fmt.Sprintf(`apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  replicas: 3
  serviceName: web
  updateStrategy: %s
  selector: {matchLabels: {app: web}}
  template:
    metadata:
      labels: {app: web}
      annotations: {%s}
    spec:
      containers: [{name: web, image: "registry.example/web:1"}]
`, strategy, annotations))
}

// TestStatefulSet rolls out as far as the partition, by hand, and into a template that does not start: the fix for it is not given to the
// broken pod before somebody deletes that.
func TestStatefulSet(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	ns := c.namespace(t, "stateful")
	repo, url := repository(t, fstest.MapFS{"prod/web.yaml": ofPods("{rollingUpdate: {partition: 2}}", "")})
	kilter(t, "run", "-f", syncFile(t, ns, url, ""), "--kubeconfig", c.kubeconfig, "--allow-insecure-git")
	web := await.Object{Client: c.AppsV1().RESTClient(), Resource: "statefulsets", Namespace: ns, Name: "web"}
	status := func(updated, ready int32) {
		t.Helper()
		must(t, second(await.Until(ctx, web, func(s *appsv1.StatefulSet) bool {
			return s.Status.ObservedGeneration == s.Generation && s.Status.UpdatedReplicas == updated && s.Status.ReadyReplicas == ready
		})))
	}
	var said strings.Builder
	say := func(what string) {
		t.Helper()
		fmt.Fprintf(&said, "# %s\n%s\n", what, strings.ReplaceAll(c.get(ctx, t, ns, "statefulsets"), ns, "NAMESPACE"))
	}
	change := func(from, to string) {
		t.Helper()
		must(t, repo.Replace("prod/web.yaml", from, to))
		push(t, repo)
	}
	status(3, 3)

	change("web:1", "web:2")
	status(1, 3)
	say("the partition is 2")

	change("{rollingUpdate: {partition: 2}}", "{type: OnDelete}")
	must(t, second(await.Until(ctx, web, func(s *appsv1.StatefulSet) bool {
		return s.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType && s.Status.ObservedGeneration == s.Generation
	})))
	must(t, c.CoreV1().Pods(ns).Delete(ctx, "web-1", metav1.DeleteOptions{}))
	status(2, 3)
	say("OnDelete, and web-1 was deleted")

	change("{type: OnDelete}", "{type: RollingUpdate}")
	status(3, 3)
	change("annotations: {}", `annotations: {devcluster.kilter.dev/exit-code: "1"}`)
	crashed := await.Object{Client: c.CoreV1().RESTClient(), Resource: "pods", Namespace: ns, Name: "web-2"}
	must(t, second(await.Until(ctx, crashed, func(p *corev1.Pod) bool {
		return len(p.Status.ContainerStatuses) > 0 && p.Status.ContainerStatuses[0].RestartCount > 0
	})))
	change(`{devcluster.kilter.dev/exit-code: "1"}`, "{}")
	status(2, 2) // the mended template is the one before
	held := c.get(ctx, t, ns, "sts")
	if want := "under OrderedReady a pod of an older template that does not get ready is not replaced: kubectl delete pod web-2 -n " + ns; !strings.Contains(held, want) {
		t.Errorf("held by a broken pod: %s\nwant: %s", held, want)
	}
	must(t, c.CoreV1().Pods(ns).Delete(ctx, "web-2", metav1.DeleteOptions{}))
	status(3, 3)
	say("mended, and web-2 was deleted")
	golden.Check(t, "testdata/rollout-stateful.txt", said.String())
}
