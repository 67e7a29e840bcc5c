package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/reconcile/inventory"
)

// What a commit changes in several steps each: it switches two strategies (claim the default, apply without it), replaces a Service (delete,
// create), adopts what kubectl made (take over the fields, apply), and prunes.
var (
	before = fstest.MapFS{
		"prod/web.yaml":     file("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 0" + podOf),
		"prod/store.yaml":   file("apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: store}\nspec:\n  replicas: 0\n  serviceName: s" + podOf),
		"prod/service.yaml": file(service("None")),
		"prod/dropped.yaml": configMap("dropped"),
		"prod/kept.yaml":    configMap("kept"),
	}
	after = map[string]string{
		"prod/web.yaml":     strings.Replace(string(before["prod/web.yaml"].Data), "spec:\n", "spec:\n  strategy: {type: Recreate}\n", 1),
		"prod/store.yaml":   strings.Replace(string(before["prod/store.yaml"].Data), "spec:\n", "spec:\n  updateStrategy: {type: OnDelete}\n", 1),
		"prod/service.yaml": service("GIVEN"),
		"prod/new.yaml":     string(configMap("new").Data),
		"prod/adopted.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: adopted}\ndata: {kept: new}\n",
		"prod/site.yaml":    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: site}\nspec:\n  replicas: 0" + podOf,
	}
	adopted = map[string]string{
		"configmaps": `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"adopted"},"data":{"kept":"old","dropped":"x"}}`,
		"deployments": `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"site","labels":{"dropped":"x"}},"spec":{"replicas":0,
			"selector":{"matchLabels":{"app":"a"}},"template":{"metadata":{"labels":{"app":"a"}},
			"spec":{"containers":[{"name":"a","image":"registry.example/a:1"}]}}}}`,
	}
	stepKinds = map[string]schema.GroupVersionResource{
		"ConfigMap":   {Version: "v1", Resource: "configmaps"},
		"Service":     {Version: "v1", Resource: "services"},
		"Deployment":  {Group: "apps", Version: "v1", Resource: "deployments"},
		"StatefulSet": {Group: "apps", Version: "v1", Resource: "statefulsets"},
	}
)

// service is a Service whose clusterIP changes, which it must not.
func service(ip string) string {
	return "apiVersion: v1\nkind: Service\nmetadata: {name: s, annotations: {kilter.dev/recreate: allowed}}\nspec:\n  selector: {app: a}\n" +
		"  ports: [{port: 80}]\n  clusterIP: " + ip + "\n"
}

// TestKilledBetweenSteps kills the program after each of its writes in turn: the next run ends where an undisturbed one does, field by
// field and owner by owner, the set's label is on what Git names and on nothing else, and nothing was made anew that had not to be.
func TestKilledBetweenSteps(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	undisturbed := c.newBetween(t, 0)
	want, _ := c.stepped(ctx, t, undisturbed)
	t.Logf("an undisturbed run writes %d times: %q", len(undisturbed.writes), undisturbed.writes)
	if len(undisturbed.writes) < 15 {
		t.Errorf("an undisturbed run writes %d times: not all steps are taken", len(undisturbed.writes))
	}
	for k := range len(undisturbed.writes) - 1 {
		t.Run(fmt.Sprintf("after write %d", k+1), func(t *testing.T) {
			t.Parallel()
			ctx, c := newCluster(t)
			b := c.newBetween(t, k+1)
			got, killed := c.stepped(ctx, t, b)
			if !killed {
				t.Error("it was not killed")
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("after %q, the end is another (-undisturbed +killed):\n%s", b.writes, diff)
			}
		})
	}
}

// stepped brings a namespace of its own from one commit to the next, by a run through b, which may be killed, and then by another.
func (c *cluster) stepped(ctx context.Context, t *testing.T, b *between) (state map[string]string, killed bool) {
	t.Helper()
	ns := c.namespace(t, "steps")
	repo, url := repository(t, before)
	sync := syncFile(t, ns, url, "")
	once(ctx, t, 0, "run", "-f", sync, "--once", "--kubeconfig", c.kubeconfig, "--allow-insecure-git")
	for resource, text := range adopted {
		c.applied(ctx, t, ns, resource, text)
	}
	uids := c.uids(ctx, t, ns)
	must(t, repo.Remove("prod/dropped.yaml"))
	for name, text := range after {
		must(t, repo.Write(name, strings.Replace(text, "GIVEN", fmt.Sprintf("10.96.%d.7", 100+b.last), 1)))
	}
	push(t, repo)

	killed = b.run(ctx, t, "run", "-f", sync, "--once", "--allow-insecure-git") == -1
	once(ctx, t, 0, "run", "-f", sync, "--once", "--kubeconfig", c.kubeconfig, "--allow-insecure-git")

	parent := inventory.Parent{GroupVersion: schema.GroupVersion{Version: "v1"}, Kind: "ConfigMap", Namespace: ns, Name: "kilter-e2e"}
	members := slices.Sorted(maps.Keys(c.members(ctx, t, parent, stepKinds)))
	inGit := []string{
		"ConfigMap adopted", "ConfigMap kept", "ConfigMap new", "Deployment site", "Deployment web", "Service s", "StatefulSet store",
	}
	if !slices.Equal(members, inGit) {
		t.Errorf("members are %q, Git has %q", members, inGit)
	}
	for id, uid := range c.uids(ctx, t, ns) {
		if old, known := uids[id]; known && (old == uid) == (id == "Service s") {
			t.Errorf("%s: its UID was %s and is %s", id, old, uid)
		}
	}
	return c.state(ctx, t, stepKinds, ns, parent.ID()), killed
}

// made are the objects that no test makes: those of every namespace, and the inventory.
var made = map[string]bool{"kube-root-ca.crt": true, "default": true, "kilter-e2e": true}

// applied creates an object as `kubectl apply` does.
func (c *cluster) applied(ctx context.Context, t *testing.T, ns, resource, text string) {
	t.Helper()
	var object unstructured.Unstructured
	must(t, json.Unmarshal([]byte(text), &object.Object))
	object.SetAnnotations(map[string]string{inventory.LastAppliedAnnotation: text})
	gvr := object.GroupVersionKind().GroupVersion().WithResource(resource)
	_, err := c.dynamic.Resource(gvr).Namespace(ns).Create(ctx, &object, metav1.CreateOptions{FieldManager: "kubectl-client-side-apply"})
	must(t, err)
}

// uids returns the UID of each object of stepKinds.
func (c *cluster) uids(ctx context.Context, t *testing.T, ns string) map[string]types.UID {
	t.Helper()
	found := map[string]types.UID{}
	for kind, resource := range stepKinds {
		list, err := c.metadata.Resource(resource).Namespace(ns).List(ctx, metav1.ListOptions{})
		must(t, err)
		for i := range list.Items {
			found[kind+" "+list.Items[i].Name] = list.Items[i].UID
		}
	}
	return found
}

// state renders every object of some kinds without what differs from run to run, and without what controllers write.
func (c *cluster) state(
	ctx context.Context, t *testing.T, kinds map[string]schema.GroupVersionResource, ns, set string,
) map[string]string {
	t.Helper()
	found := map[string]string{}
	for kind, resource := range kinds {
		list, err := c.dynamic.Resource(resource).Namespace(ns).List(ctx, metav1.ListOptions{})
		must(t, err)
		for _, object := range list.Items {
			if made[object.GetName()] {
				continue
			}
			entries := slices.DeleteFunc(object.GetManagedFields(), func(e metav1.ManagedFieldsEntry) bool {
				return e.Manager == "kube-controller-manager" || e.Subresource != ""
			})
			for i := range entries {
				entries[i].Time = nil
			}
			slices.SortFunc(entries, func(a, b metav1.ManagedFieldsEntry) int {
				return strings.Compare(a.Manager+string(a.Operation), b.Manager+string(b.Operation))
			})
			object.SetManagedFields(entries)
			for _, field := range []string{"uid", "resourceVersion", "creationTimestamp", "generation"} {
				unstructured.RemoveNestedField(object.Object, "metadata", field)
			}
			unstructured.RemoveNestedField(object.Object, "status")
			unstructured.RemoveNestedField(object.Object, "spec", "clusterIP")
			unstructured.RemoveNestedField(object.Object, "spec", "clusterIPs")
			unstructured.RemoveNestedField(object.Object, "metadata", "annotations", "deployment.kubernetes.io/revision")
			unstructured.RemoveNestedField(object.Object, "metadata", "annotations", "deprecated.daemonset.template.generation")
			if kind == "DaemonSet" { // beside OnDelete the server keeps, and ignores, what it filled in for RollingUpdate
				if strategy, _, _ := unstructured.NestedString(object.Object, "spec", "updateStrategy", "type"); strategy == "OnDelete" {
					unstructured.RemoveNestedField(object.Object, "spec", "updateStrategy", "rollingUpdate")
				}
			}
			unstructured.RemoveNestedField(object.Object, "metadata", "annotations", "kilter.dev/applied") // it hashes names that differ
			if kind == "Job" {                                                                             // which of its runs it is, and what the server makes of its UID
				for _, path := range [][]string{
					{"metadata", "annotations", v1alpha1.JobRunAnnotation},
					{"metadata", "annotations", v1alpha1.IdentityAnnotation},
					{"spec", "selector"},
					{"spec", "template", "metadata", "labels"},
					{"metadata", "labels", "batch.kubernetes.io/controller-uid"},
				} {
					unstructured.RemoveNestedField(object.Object, path...)
				}
			}
			text, err := json.MarshalIndent(object.Object, "", " ")
			must(t, err)
			found[kind+" "+object.GetName()] = strings.NewReplacer(ns, "NS", set, "SET").Replace(string(text))
		}
	}
	return found
}
