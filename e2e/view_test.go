package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"kilter.dev/kilter/reconcile"
	"kilter.dev/kilter/reconcile/inventory"
	"kilter.dev/kilter/reconcile/view"
)

// A look costs one list for each kind and namespace, however many objects there are; and a person who may not read a kind sees all else, and is
// told what is missing.
func TestLookIsListsAndNamesWhatItMayNotRead(t *testing.T) {
	ctx, c := newCluster(t)
	namespace := c.namespace(t, "view")
	parent := inventory.Parent{GroupVersion: schema.GroupVersion{Version: "v1"}, Kind: "ConfigMap", Namespace: namespace, Name: "kilter-app"}
	kinds := []schema.GroupKind{{Kind: "ConfigMap"}, {Kind: "Secret"}, {Group: "apps", Kind: "Deployment"}}
	_, err := c.CoreV1().ConfigMaps(namespace).Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Name: parent.Name, Labels: parent.Labels(), Annotations: parent.Annotations(inventory.ContentsOf(kinds, []string{namespace})),
	}}, metav1.CreateOptions{})
	must(t, err)
	var sent atomic.Int32
	config := rest.CopyConfig(c.config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return counter{next, &sent} })
	look := func(config *rest.Config) *view.Sight {
		t.Helper()
		connected, err := reconcile.Connect(config)
		must(t, err)
		reader := view.New(connected)
		set, err := reader.Set(ctx, namespace, "app")
		must(t, err)
		sight, err := reader.Look(ctx, set)
		must(t, err)
		return sight
	}

	c.deployed(ctx, t, parent, 0, 3)
	sent.Store(0)
	if few := look(config); len(few.Members) != 6 {
		t.Fatalf("%d members; want 6", len(few.Members))
	}
	requests := sent.Load()
	c.deployed(ctx, t, parent, 3, 30)
	sent.Store(0)
	if many := look(config); len(many.Members) != 60 {
		t.Errorf("%d members; want 60", len(many.Members))
	}
	if sent.Load() != requests {
		t.Errorf("60 objects cost %d requests, and 6 cost %d", sent.Load(), requests)
	}

	_, err = c.RbacV1().Roles(namespace).Create(ctx, &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: "reader"},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"apps"}, Resources: []string{"deployments", "replicasets"}, Verbs: []string{"get", "list"}},
			{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "list"}},
		},
	}, metav1.CreateOptions{})
	must(t, err)
	_, err = c.RbacV1().RoleBindings(namespace).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "reader"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "reader"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "on-call-" + namespace}},
	}, metav1.CreateOptions{})
	must(t, err)
	limited := rest.CopyConfig(c.config)
	limited.Impersonate = rest.ImpersonationConfig{UserName: "on-call-" + namespace, Groups: []string{"system:authenticated"}}
	text := look(limited).Tree().Text()
	for _, want := range []string{
		"Deployment " + namespace + "/app-00", "ConfigMap " + namespace + "/app-00",
		"not shown: Pod in " + namespace + ": ", "not shown: Secret in " + namespace + ": ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the tree lacks %q:\n%s", want, text)
		}
	}
}

// deployed applies ConfigMaps and Deployments of a set, numbered from first on, until there are so many of each.
func (c *cluster) deployed(ctx context.Context, t *testing.T, set inventory.Parent, first, until int) {
	t.Helper()
	for i := first; i < until; i++ {
		name := fmt.Sprintf("app-%02d", i)
		labels := map[string]any{inventory.PartOfLabel: set.ID()}
		configMap := map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name, "labels": labels},
			"data": map[string]any{"a": "b"},
		}
		deployment := map[string]any{
			"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": name, "labels": labels},
			"spec": map[string]any{
				"replicas": int64(0), "selector": map[string]any{"matchLabels": map[string]any{"app": name}},
				"template": map[string]any{
					"metadata": map[string]any{"labels": map[string]any{"app": name}},
					"spec":     map[string]any{"containers": []any{map[string]any{"name": "a", "image": "a"}}},
				},
			},
		}
		for resource, content := range map[schema.GroupVersionResource]map[string]any{
			{Version: "v1", Resource: "configmaps"}:                 configMap,
			{Group: "apps", Version: "v1", Resource: "deployments"}: deployment,
		} {
			_, err := c.dynamic.Resource(resource).Namespace(set.Namespace).Apply(ctx, name, &unstructured.Unstructured{Object: content},
				metav1.ApplyOptions{FieldManager: inventory.FieldManager, Force: true})
			must(t, err)
		}
	}
}

// counter counts requests.
type counter struct {
	next http.RoundTripper
	sent *atomic.Int32
}

func (c counter) RoundTrip(r *http.Request) (*http.Response, error) {
	c.sent.Add(1)
	return c.next.RoundTrip(r)
}
