package e2e

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"testing"
	"testing/fstest"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"

	"kilter.dev/kilter/reconcile/inventory"
)

var configMaps = map[string]schema.GroupVersionResource{"ConfigMap": {Version: "v1", Resource: "configmaps"}}

// TestKilledMidApply kills the loop with SIGKILL once the cluster shows the k-th of many objects, and runs it again on a commit that drops some of
// them: everything that is in the cluster is in Git, everything in Git is in the cluster, and the inventory covers it all. TestCrashSweep kills it
// at every write, and lets it go on with the same commit.
func TestKilledMidApply(t *testing.T) {
	t.Parallel()
	const objects = 120
	for _, k := range []int{1, 90} {
		t.Run(fmt.Sprintf("after %d objects", k), func(t *testing.T) {
			t.Parallel()
			ctx, c := newCluster(t)
			ns := c.namespace(t, "crash")
			files, want := fstest.MapFS{}, map[string]bool{}
			for i := range objects {
				name := fmt.Sprintf("object-%03d", i)
				files["prod/"+name+".yaml"] = configMap(name)
				want["ConfigMap "+name] = true
			}
			repo, url := repository(t, files)
			sync := syncFile(t, ns, url, "")
			parent := inventory.Parent{
				GroupVersion: schema.GroupVersion{Version: "v1"}, Kind: "ConfigMap", Namespace: ns, Name: "kilter-e2e",
			}

			run := kilter(t, "run", "-f", sync, "--kubeconfig", c.kubeconfig, "--allow-insecure-git")
			applied := cache.NewFilteredListWatchFromClient(c.CoreV1().RESTClient(), "configmaps", ns, func(o *metav1.ListOptions) {
				o.LabelSelector = inventory.PartOfLabel + "=" + parent.ID()
			})
			seen := map[string]bool{}
			_, err := watchtools.UntilWithSync(ctx, applied, &corev1.ConfigMap{}, nil, func(event watch.Event) (bool, error) {
				seen[event.Object.(*corev1.ConfigMap).Name] = true
				return len(seen) >= k, nil
			})
			if err != nil {
				t.Fatalf("saw %d of %d objects: %v", len(seen), k, err)
			}
			run.Kill()
			left := len(c.members(ctx, t, parent, configMaps))
			t.Logf("killed with %d of %d objects in the cluster", left, objects)

			// The next commit drops a third of the objects, among them some that only the killed process knew of.
			for i := 0; i < objects; i += 3 {
				name := fmt.Sprintf("object-%03d", i)
				must(t, repo.Remove("prod/"+name+".yaml"))
				delete(want, "ConfigMap "+name)
			}
			push(t, repo)
			once(ctx, t, 0, "run", "-f", sync, "--once", "--kubeconfig", c.kubeconfig, "--allow-insecure-git")
			if got := c.members(ctx, t, parent, configMaps); !maps.Equal(got, want) {
				t.Errorf("the cluster holds %d objects, Git %d", len(got), len(want))
			}
			stored, err := c.CoreV1().ConfigMaps(ns).Get(ctx, parent.Name, metav1.GetOptions{})
			must(t, err)
			if contents, ok := parent.Read(stored.Annotations); !ok || len(contents.GroupKinds) != 1 {
				t.Errorf("the inventory lists %v", stored.Annotations)
			}
		})
	}
}

func configMap(name string) *fstest.MapFile {
	return &fstest.MapFile{Data: fmt.Appendf(nil, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {key: value}\n", name), Mode: 0o644}
}

// TestForeignObjectsStay runs a Sync beside objects that are not its own, some of them with the set's label, and prunes: they stay.
func TestForeignObjectsStay(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	ns := c.namespace(t, "foreign")
	repo, url := repository(t, fstest.MapFS{
		"prod/kept.yaml": configMap("kept"), "prod/dropped.yaml": configMap("dropped"), "prod/taken.yaml": configMap("taken"),
	})
	sync := syncFile(t, ns, url, "  maxPrune: \"100%\"\n")
	parent := inventory.Parent{GroupVersion: schema.GroupVersion{Version: "v1"}, Kind: "ConfigMap", Namespace: ns, Name: "kilter-e2e"}
	run := kilter(t, "run", "-f", sync, "--kubeconfig", c.kubeconfig, "--allow-insecure-git")
	line(ctx, t, run, "3 objects: 3 current")

	// Somebody's own object with a copied label, as controllers make them, and one that was ours and was replaced.
	create := func(name string) {
		cm := fmt.Appendf(nil, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q,"labels":{%q:%q}}}`, name, inventory.PartOfLabel, parent.ID())
		_, err := c.CoreV1().ConfigMaps(ns).Patch(ctx, name, types.ApplyPatchType, cm, metav1.PatchOptions{FieldManager: "somebody"})
		must(t, err)
	}
	create("copied")
	must(t, repo.Remove("prod/taken.yaml"))
	must(t, c.CoreV1().ConfigMaps(ns).Delete(ctx, "taken", metav1.DeleteOptions{}))
	must(t, repo.Remove("prod/dropped.yaml"))
	push(t, repo)
	line(ctx, t, run, "deleted", "ConfigMap "+ns+"/dropped")
	line(ctx, t, run, "1 object: 1 current")
	create("taken")

	if _, err := c.CoreV1().ConfigMaps(ns).Get(ctx, "copied", metav1.GetOptions{}); err != nil {
		t.Errorf("an object of somebody else: %v", err)
	}
	once(ctx, t, 0, "run", "-f", sync, "--once", "--kubeconfig", c.kubeconfig, "--allow-insecure-git")
	for _, name := range []string{"copied", "taken"} {
		if _, err := c.CoreV1().ConfigMaps(ns).Get(ctx, name, metav1.GetOptions{}); err != nil {
			t.Errorf("an object of somebody else: %v", err)
		}
	}
}

// TestTwoSyncsOneObject lets two Syncs want the same object. It stays with the one that has it, whichever is restarted.
func TestTwoSyncsOneObject(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	ns := c.namespace(t, "fight")
	_, url := repository(t, fstest.MapFS{"prod/wanted.yaml": configMap("wanted")})
	first := syncFile(t, ns, url, "")
	second := syncFile(t, ns, url, "")
	content, err := os.ReadFile(second)
	must(t, err)
	must(t, os.WriteFile(second, bytes.Replace(content, []byte("name: e2e"), []byte("name: other"), 1), 0o600))

	one := kilter(t, "run", "-f", first, "--kubeconfig", c.kubeconfig, "--allow-insecure-git")
	line(ctx, t, one, "1 object: 1 current")
	before, err := c.CoreV1().ConfigMaps(ns).Get(ctx, "wanted", metav1.GetOptions{})
	must(t, err)
	two := kilter(t, "run", "-f", second, "--kubeconfig", c.kubeconfig, "--allow-insecure-git")
	line(ctx, t, two, "failed", "ConfigMap "+ns+"/wanted", "it belongs to ConfigMap "+ns+"/kilter-e2e")
	must(t, one.Stop(patience))
	once(ctx, t, 1, "run", "-f", second, "--once", "--kubeconfig", c.kubeconfig, "--allow-insecure-git")
	once(ctx, t, 0, "run", "-f", first, "--once", "--kubeconfig", c.kubeconfig, "--allow-insecure-git")
	after, err := c.CoreV1().ConfigMaps(ns).Get(ctx, "wanted", metav1.GetOptions{})
	must(t, err)
	if after.ResourceVersion != before.ResourceVersion {
		t.Errorf("it was written to: %v", after.ManagedFields)
	}
}

// TestFight changes an object whenever Kilter has put it right. Kilter says who does it, and slows down.
func TestFight(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	ns := c.namespace(t, "fight")
	_, url := repository(t, fstest.MapFS{"prod/wanted.yaml": configMap("wanted")})
	events, err := c.CoreV1().ConfigMaps(ns).Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=wanted"})
	must(t, err)
	defer events.Stop()
	go func() {
		for event := range events.ResultChan() {
			if cm, ok := event.Object.(*corev1.ConfigMap); ok && cm.Data["key"] == "value" {
				_, _ = c.CoreV1().ConfigMaps(ns).Patch(ctx, "wanted", types.MergePatchType, []byte(`{"data":{"key":"theirs"}}`),
					metav1.PatchOptions{FieldManager: "somebody"})
			}
		}
	}()
	run := kilter(t, "run", "-f", syncFile(t, ns, url, ""), "--kubeconfig", c.kubeconfig, "--allow-insecure-git")
	line(ctx, t, run, "updated", "changed by somebody at 20", "Z: .data.key")
	line(ctx, t, run, "failed", "somebody keeps changing it: it was applied 10 times in a row, and is applied more slowly now; last seen: changed by somebody at 20")
}
