package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"kilter.dev/kilter/internal/await"
	"kilter.dev/kilter/reconcile/inventory"
)

// TestParentRebuilt deletes the inventory under a running loop: it comes back whole, and what Git drops afterwards is pruned.
func TestParentRebuilt(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	ns := c.namespace(t, "parent")
	repo, url := repository(t, fstest.MapFS{
		"prod/a.yaml": configMap("a"), "prod/b.yaml": configMap("b"),
		"prod/s.yaml": file("apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80}]}\n"),
	})
	run := kilter(t, "run", "-f", syncFile(t, ns, url, ""), "--kubeconfig", c.kubeconfig, "--allow-insecure-git")
	line(ctx, t, run, "3 objects: 3 current")
	parent := inventory.Parent{GroupVersion: schema.GroupVersion{Version: "v1"}, Kind: "ConfigMap", Namespace: ns, Name: "kilter-e2e"}
	stored := await.Object{Client: c.CoreV1().RESTClient(), Resource: "configmaps", Namespace: ns, Name: parent.Name}
	lists := func(cm *corev1.ConfigMap) bool {
		contents, ok := parent.Read(cm.Annotations)
		return ok && len(contents.GroupKinds) == 2 && cm.Labels[inventory.IDLabel] == parent.ID()
	}
	before, err := await.Until(ctx, stored, lists)
	must(t, err)
	must(t, c.CoreV1().ConfigMaps(ns).Delete(ctx, parent.Name, metav1.DeleteOptions{}))
	must(t, second(await.Until(ctx, stored, func(cm *corev1.ConfigMap) bool { return cm.UID != before.UID && lists(cm) })))

	must(t, repo.Remove("prod/s.yaml"))
	push(t, repo)
	line(ctx, t, run, "deleted", "Service "+ns+"/a")
}

// TestPrunedInReverse drops a CRD's object, the Secret that its finalizer needs, and a workload: the Secret stays until the others are gone.
func TestPrunedInReverse(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	ns := c.namespace(t, "reverse")
	repo, url := repository(t, fstest.MapFS{
		"prod/kept.yaml":   configMap("kept"),
		"prod/secret.yaml": file("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n"),
		"prod/service.yaml": file("apiVersion: v1\nkind: Service\nmetadata: {name: a, finalizers: [example.com/cleans-up]}\n" +
			"spec: {ports: [{port: 80}]}\n"),
	})
	run := kilter(t, "run", "-f", syncFile(t, ns, url, "  maxPrune: \"100%\"\n"), "--kubeconfig", c.kubeconfig, "--allow-insecure-git")
	line(ctx, t, run, "3 objects: 3 current")
	must(t, repo.Remove("prod/secret.yaml"))
	must(t, repo.Remove("prod/service.yaml"))
	push(t, repo)
	line(ctx, t, run, "deleted", "Service "+ns+"/a")
	line(ctx, t, run, "1 object: 1 current, 2 leaving")
	if _, err := c.CoreV1().Secrets(ns).Get(ctx, "s", metav1.GetOptions{}); err != nil {
		t.Errorf("the Secret went before the Service was gone: %v", err)
	}
	_, err := c.CoreV1().Services(ns).Patch(ctx, "a", "application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	must(t, err)
	line(ctx, t, run, "deleted", "Secret "+ns+"/s")
	line(ctx, t, run, "1 object: 1 current")
}

// TestKubectlReadsTheInventory asks kubectl itself to prune by our parent. It refuses, since another tool keeps the set; told that it is its
// own, it finds every member.
func TestKubectlReadsTheInventory(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	ns := c.namespace(t, "kubectl")
	_, url := repository(t, fstest.MapFS{"prod/a.yaml": configMap("a"), "prod/b.yaml": configMap("b")})
	once(ctx, t, 0, "run", "-f", syncFile(t, ns, url, ""), "--once", "--kubeconfig", c.kubeconfig, "--allow-insecure-git")
	file := filepath.Join(t.TempDir(), "a.yaml")
	must(t, os.WriteFile(file, configMap("a").Data, 0o600))
	prune := func() string {
		kubectl := exec.CommandContext(ctx, filepath.Join("..", "bin", "kubectl"), "apply", "--kubeconfig", c.kubeconfig, "-n", ns, "-f", file,
			"--prune", "--applyset", "configmap/kilter-e2e", "--server-side", "--force-conflicts", "--dry-run=server")
		kubectl.Env = append(os.Environ(), "KUBECTL_APPLYSET=true")
		out, _ := kubectl.CombinedOutput()
		return string(out)
	}
	if out := prune(); !strings.Contains(out, `already exists and is managed by tooling "kilter" instead of "kubectl"`) {
		t.Errorf("kubectl says %s", out)
	}
	_, err := c.CoreV1().ConfigMaps(ns).Patch(ctx, "kilter-e2e", types.MergePatchType,
		[]byte(`{"metadata":{"annotations":{"applyset.kubernetes.io/tooling":"kubectl/v1.37"}}}`), metav1.PatchOptions{})
	must(t, err)
	if out := prune(); !strings.Contains(out, "configmap/b pruned (server dry run)") || strings.Contains(out, "configmap/a pruned") {
		t.Errorf("kubectl says %s", out)
	}
}
