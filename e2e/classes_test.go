package e2e

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	admissionv1 "k8s.io/api/admission/v1"
	registrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// TestErrorClasses applies one commit whose objects the server refuses in every way that only a server can: the status of the Sync names
// each with its file, line and reason, the metrics count them by class, and what can be applied is applied. It is not parallel: its CRD
// would disturb those who watch all kinds.
func TestErrorClasses(t *testing.T) {
	ctx, c := newCluster(t)
	ns := c.namespace(t, "classes")
	full, going := c.namespace(t, "a-full"), c.namespace(t, "b-going")
	c.obstruct(ctx, t, ns, full, going)
	c.deny(ctx, t, ns, "nobody wants it")
	c.deployer(ctx, t, ns)
	group := ns + ".example.com"
	c.things(ctx, t, group)

	files := fstest.MapFS{"prod/fine.yaml": configMap("fine")}
	write := func(name, content string) { files["prod/"+name+".yaml"] = file(content) }
	cm := func(namespace, name, more string) string {
		return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s\n  namespace: %s\n%s", name, namespace, more)
	}
	thing := func(name, spec string) string {
		return fmt.Sprintf("apiVersion: %s/v1\nkind: Thing\nmetadata:\n  name: %s\n%s", group, name, spec)
	}
	write("quota", cm(full, "over-quota", ""))
	write("terminating", cm(going, "too-late", ""))
	write("policy", cm(ns, "denied", "data: {secret: c4n4ry}\n"))
	write("webhook-dead", cm(ns, "dead-webhook", "data: {secret: c4n4ry}\n"))
	write("webhook-denies", cm(ns, "unwanted", "data: {secret: c4n4ry}\n"))
	write("forbidden", "apiVersion: v1\nkind: Service\nmetadata: {name: forbidden}\nspec: {ports: [{port: 80}]}\n")
	write("type", thing("wrong-type", "spec:\n  size: c4n4ry\n"))
	write("conversion", thing("wrong-list", "spec:\n  parts:\n  - name: a\n  - name: a\n"))
	write("field", thing("unknown-field", "spec:\n  szie: 1\n"))
	write("rule", thing("over-limit", "spec:\n  size: 11\n"))
	var large strings.Builder
	for i := range 4000 { // each key is stored twice: in the object and in its managedFields
		fmt.Fprintf(&large, "    key%0230d: a\n", i)
	}
	write("large", thing("too-large", "spec:\n  more:\n"+large.String()))
	_, url := repository(t, files)

	address := freeAddress(t)
	run, sync := c.follow(ctx, t, ns, url, "  serviceAccountName: deployer\n", "--listen", address)
	line(ctx, t, run, "created", "ConfigMap "+ns+"/fine")
	found := untilReason(ctx, t, sync, "ApplyFailed")
	checkStatus(t, "classes.yaml", found, group, "GROUP", full, "A-FULL", going, "B-GOING", ns, "NS")
	for _, p := range found.Status.Problems {
		if !strings.Contains(run.Output(), fmt.Sprintf("failed     %s  %s:%d:", p.Object, p.File, p.Line)) {
			t.Errorf("no line tells of %s in %s:%d", p.Object, p.File, p.Line)
		}
	}
	if strings.Contains(run.Output(), "c4n4ry") {
		t.Error("a value is told")
	}
	samples := applies(t, address)
	for _, want := range []string{`op="create",result="Terminal",sync="e2e"}`, `op="create",result="Slow"`, `op="create",result="Transient"`} {
		if !strings.Contains(samples, want) {
			t.Errorf("no metric %s in\n%s", want, samples)
		}
	}
}

// applies returns the samples of kilter_apply_total.
func applies(t *testing.T, address string) string {
	t.Helper()
	var found strings.Builder
	for sample := range strings.Lines(scraped(t, address)) {
		if strings.HasPrefix(sample, "kilter_apply_total{") {
			found.WriteString(sample)
		}
	}
	return found.String()
}

// deny makes a webhook that answers, and denies the ConfigMap "unwanted" with a message.
func (c *cluster) deny(ctx context.Context, t *testing.T, ns, message string) {
	t.Helper()
	webhook := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review admissionv1.AdmissionReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		review.Response = &admissionv1.AdmissionResponse{
			UID: review.Request.UID, Result: &metav1.Status{Code: http.StatusForbidden, Message: message},
		}
		review.Request = nil
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(review)
	}))
	t.Cleanup(webhook.Close)
	none, fail := registrationv1.SideEffectClassNone, registrationv1.Fail
	configurations := c.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	_, err := configurations.Create(ctx, &registrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: ns + "-denies"},
		Webhooks: []registrationv1.ValidatingWebhook{{
			Name: "denies.example.com",
			ClientConfig: registrationv1.WebhookClientConfig{
				URL: &webhook.URL, CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: webhook.Certificate().Raw}),
			},
			Rules: []registrationv1.RuleWithOperations{{
				Operations: []registrationv1.OperationType{registrationv1.Create},
				Rule:       registrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}},
			}},
			FailurePolicy: &fail, SideEffects: &none, AdmissionReviewVersions: []string{"v1"},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: ns}},
			MatchConditions:   []registrationv1.MatchCondition{{Name: "one", Expression: "object.metadata.name == 'unwanted'"}},
		}},
	}, metav1.CreateOptions{})
	must(t, err)
	t.Cleanup(func() {
		must(t, configurations.Delete(context.WithoutCancel(t.Context()), ns+"-denies", metav1.DeleteOptions{}))
	})
	c.refuses(ctx, t, ns, "unwanted")
}

// deployer makes the ServiceAccount "deployer", which may do everything with ConfigMaps and Things, and only look at Services.
func (c *cluster) deployer(ctx context.Context, t *testing.T, ns string) {
	t.Helper()
	_, err := c.CoreV1().ServiceAccounts(ns).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "deployer"}}, metav1.CreateOptions{})
	must(t, err)
	role, err := c.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: ns},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"*"}},
			{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"get", "list", "watch"}},
			{APIGroups: []string{ns + ".example.com"}, Resources: []string{"things"}, Verbs: []string{"*"}},
		},
	}, metav1.CreateOptions{})
	must(t, err)
	binding, err := c.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: ns},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: ns, Name: "deployer"}},
	}, metav1.CreateOptions{})
	must(t, err)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		must(t, c.RbacV1().ClusterRoleBindings().Delete(ctx, binding.Name, metav1.DeleteOptions{}))
		must(t, c.RbacV1().ClusterRoles().Delete(ctx, role.Name, metav1.DeleteOptions{}))
	})
}

// things makes the kind Thing, whose schema only the server knows.
func (c *cluster) things(ctx context.Context, t *testing.T, group string) {
	t.Helper()
	crds := c.dynamic.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	_, err := crds.Create(ctx, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": map[string]any{"name": "things." + group},
		"spec": map[string]any{
			"group": group, "names": map[string]any{"kind": "Thing", "plural": "things"}, "scope": "Namespaced",
			"versions": []any{map[string]any{
				"name": "v1", "served": true, "storage": true,
				"schema": map[string]any{"openAPIV3Schema": map[string]any{
					"type": "object",
					"properties": map[string]any{"spec": map[string]any{
						"type": "object",
						"properties": map[string]any{
							"size": map[string]any{"type": "integer", "default": int64(1), "maximum": int64(10)},
							"more": map[string]any{"type": "object", "additionalProperties": map[string]any{"type": "string"}},
							"parts": map[string]any{
								"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": []any{"name"},
								"items": map[string]any{
									"type": "object", "required": []any{"name"},
									"properties": map[string]any{"name": map[string]any{"type": "string"}},
								},
							},
						},
					}},
				}},
			}},
		},
	}}, metav1.CreateOptions{})
	must(t, err)
	t.Cleanup(func() {
		must(t, crds.Delete(context.WithoutCancel(t.Context()), "things."+group, metav1.DeleteOptions{}))
	})
	c.established(ctx, t, "things."+group)
}
