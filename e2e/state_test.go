package e2e

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/reconcile/inventory"
)

// made are the objects that no test makes: those of every namespace, and the inventory.
var made = map[string]bool{"kube-root-ca.crt": true, "default": true, "kilter-e2e": true}

// applied creates an object as `kubectl apply` does.
func (c *cluster) applied(ctx context.Context, t testing.TB, ns, resource, text string) {
	t.Helper()
	var object unstructured.Unstructured
	must(t, json.Unmarshal([]byte(text), &object.Object))
	object.SetAnnotations(map[string]string{inventory.LastAppliedAnnotation: text})
	gvr := object.GroupVersionKind().GroupVersion().WithResource(resource)
	_, err := c.dynamic.Resource(gvr).Namespace(ns).Create(ctx, &object, metav1.CreateOptions{FieldManager: "kubectl-client-side-apply"})
	must(t, err)
}

// uids returns the UID of each object of sweepKinds.
func (c *cluster) uids(ctx context.Context, t testing.TB, ns string) map[string]types.UID {
	t.Helper()
	found := map[string]types.UID{}
	for kind, resource := range sweepKinds {
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
