package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// TestRefused applies a commit of which the server refuses one object after another, each for another reason. Every refusal is told with its
// file and line, and the rest of the commit is applied.
func TestRefused(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	ns := c.namespace(t, "refused")
	full, going := c.namespace(t, "a-full"), c.namespace(t, "b-going")
	c.obstruct(ctx, t, ns, full, going)

	files := fstest.MapFS{"prod/fine.yaml": configMap("fine")}
	write := func(name, content string) { files["prod/"+name+".yaml"] = file(content) }
	cm := func(namespace, name, more string) string {
		return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s\n  namespace: %s\n%s", name, namespace, more)
	}
	write("quota", cm(full, "over-quota", ""))
	write("terminating", cm(going, "too-late", ""))
	write("policy", cm(ns, "denied", "data: {secret: c4n4ry}\n"))
	write("webhook", cm(ns, "dead-webhook", "data: {secret: c4n4ry}\n"))
	write("missing", cm("nowhere-to-be-found", "homeless", ""))
	write("rbac", "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: more-than-mine}\nrules:\n"+
		"- {apiGroups: [\"\"], resources: [nodes], verbs: [get]}\n")
	write("large", cm(ns, "large", "data:\n  big: "+strings.Repeat("x", 1<<20)+"\n"))
	_, url := repository(t, files)

	run := kilter(t, "run", "-f", syncFile(t, ns, url, "  invalid: SkipObject\n"), "--allow-insecure-git",
		"--kubeconfig", c.limited(ctx, t, ns))
	for _, want := range [][]string{ // in the order of namespaces, which are called so
		{"rejected", "prod/large.yaml", "larger than 1048576 bytes: split it, or raise the limit"},
		{"failed", "ConfigMap " + full + "/over-quota  prod/quota.yaml:1:1  cannot create it: ", "exceeded quota: few, requested: count/configmaps=1"},
		{"failed", "ConfigMap " + going + "/too-late  prod/terminating.yaml:1:1  cannot create it: ", "because it is being terminated"},
		{"failed", "ConfigMap nowhere-to-be-found/homeless  prod/missing.yaml:1:1  cannot create it: ", "does not exist: create it, or add its manifest"},
		{"failed", "ConfigMap " + ns + "/dead-webhook  prod/webhook.yaml:1:1  cannot create it: ", `failed calling webhook "dead.example.com"`},
		{"failed", "ConfigMap " + ns + "/denied  prod/policy.yaml:1:1  cannot create it: ", "denied request: no ConfigMap may be called so"},
		{"created", "ConfigMap " + ns + "/fine"},
		{"failed", "Role " + ns + "/more-than-mine  prod/rbac.yaml:1:1  cannot create it: ", "attempting to grant RBAC permissions not currently held"},
	} {
		line(ctx, t, run, want...)
	}
	if strings.Contains(run.Output(), "c4n4ry") {
		t.Error("a value is told")
	}
}

// obstruct sets up what refuses the objects: a quota, a namespace that is going, a policy and a webhook that nobody answers.
func (c *cluster) obstruct(ctx context.Context, t *testing.T, ns, full, going string) {
	t.Helper()
	_, err := c.CoreV1().ResourceQuotas(full).Create(ctx, &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "few"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"count/configmaps": resource.MustParse("1")}},
	}, metav1.CreateOptions{})
	must(t, err)
	// Its controller comes to the same, with kube-root-ca.crt, as soon as no test changes the cluster's kinds any more.
	_, err = c.CoreV1().ResourceQuotas(full).Patch(ctx, "few", types.MergePatchType,
		[]byte(`{"status":{"hard":{"count/configmaps":"1"},"used":{"count/configmaps":"1"}}}`), metav1.PatchOptions{}, "status")
	must(t, err)

	_, err = c.CoreV1().ConfigMaps(going).Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "holds", Finalizers: []string{"example.com/holds"}},
	}, metav1.CreateOptions{})
	must(t, err)
	must(t, c.CoreV1().Namespaces().Delete(ctx, going, metav1.DeleteOptions{}))
	t.Cleanup(func() {
		_, err := c.CoreV1().ConfigMaps(going).Patch(context.WithoutCancel(t.Context()), "holds", "application/merge-patch+json",
			[]byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
		if err != nil {
			t.Error(err)
		}
	})

	here := &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: ns}}
	rule := admissionv1.RuleWithOperations{
		Operations: []admissionv1.OperationType{admissionv1.Create, admissionv1.Update},
		Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}},
	}
	policy, err := c.AdmissionregistrationV1().ValidatingAdmissionPolicies().Create(ctx, &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: ns},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{
				NamespaceSelector: here, ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: rule}},
			},
			Validations: []admissionv1.Validation{{Expression: "object.metadata.name != 'denied'", Message: "no ConfigMap may be called so"}},
		},
	}, metav1.CreateOptions{})
	must(t, err)
	binding, err := c.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings().Create(ctx, &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: ns},
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: ns, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
		},
	}, metav1.CreateOptions{})
	must(t, err)
	none, fail, nowhere := admissionv1.SideEffectClassNone, admissionv1.Fail, "https://127.0.0.1:1/"
	webhook, err := c.AdmissionregistrationV1().ValidatingWebhookConfigurations().Create(ctx, &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: ns},
		Webhooks: []admissionv1.ValidatingWebhook{{
			Name: "dead.example.com", ClientConfig: admissionv1.WebhookClientConfig{URL: &nowhere}, Rules: []admissionv1.RuleWithOperations{rule},
			FailurePolicy: &fail, SideEffects: &none, AdmissionReviewVersions: []string{"v1"}, NamespaceSelector: here,
			MatchConditions: []admissionv1.MatchCondition{{Name: "one", Expression: "object.metadata.name == 'dead-webhook'"}},
		}},
	}, metav1.CreateOptions{})
	must(t, err)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		for _, err := range []error{
			c.AdmissionregistrationV1().ValidatingWebhookConfigurations().Delete(ctx, webhook.Name, metav1.DeleteOptions{}),
			c.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings().Delete(ctx, binding.Name, metav1.DeleteOptions{}),
			c.AdmissionregistrationV1().ValidatingAdmissionPolicies().Delete(ctx, policy.Name, metav1.DeleteOptions{}),
		} {
			if err != nil {
				t.Error(err)
			}
		}
	})
	c.refuses(ctx, t, ns, "denied")
	c.refuses(ctx, t, ns, "dead-webhook")
}

// refuses returns once a policy or a webhook has taken effect, a moment after it was stored: the server does not create that ConfigMap any more.
func (c *cluster) refuses(ctx context.Context, t *testing.T, ns, name string) {
	t.Helper()
	for ctx.Err() == nil {
		_, err := c.CoreV1().ConfigMaps(ns).Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}},
			metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err != nil {
			return
		}
	}
	t.Fatalf("ConfigMap %s is not refused", name)
}

// limited returns the kubeconfig of a ServiceAccount that may handle ConfigMaps and Roles everywhere, and hand out no more rights than that.
func (c *cluster) limited(ctx context.Context, t *testing.T, ns string) string {
	t.Helper()
	account, err := c.CoreV1().ServiceAccounts(ns).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "deployer"}}, metav1.CreateOptions{})
	must(t, err)
	role, err := c.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: ns},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"*"}},
			{APIGroups: []string{"rbac.authorization.k8s.io"}, Resources: []string{"roles"}, Verbs: []string{"get", "list", "watch", "create", "patch"}},
		},
	}, metav1.CreateOptions{})
	must(t, err)
	binding, err := c.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: ns},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: ns, Name: account.Name}},
	}, metav1.CreateOptions{})
	must(t, err)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		must(t, c.RbacV1().ClusterRoleBindings().Delete(ctx, binding.Name, metav1.DeleteOptions{}))
		must(t, c.RbacV1().ClusterRoles().Delete(ctx, role.Name, metav1.DeleteOptions{}))
	})
	token, err := c.CoreV1().ServiceAccounts(ns).CreateToken(ctx, account.Name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	must(t, err)
	return c.kubeconfigOf(t, token.Status.Token, ns)
}

// TestCustomResources applies a CRD and its object in one commit. Then the CRD leaves Git, where it stays in the cluster, and an object comes
// that only the server can tell is wrong.
func TestCustomResources(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	ns := c.namespace(t, "custom")
	group := ns + ".example.com"
	repo, url := repository(t, fstest.MapFS{
		"prod/crd.yaml": file(fmt.Sprintf(`apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.%[1]s}
spec:
  group: %[1]s
  names: {kind: Thing, plural: things}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              size: {type: integer}
`, group)),
		"prod/a.yaml": file("apiVersion: " + group + "/v1\nkind: Thing\nmetadata: {name: a}\nspec: {size: 1}\n"),
	})
	run := kilter(t, "run", "-f", syncFile(t, ns, url, ""), "--allow-insecure-git", "--kubeconfig", c.kubeconfig)
	line(ctx, t, run, "created", "Thing "+ns+"/a")
	must(t, repo.Remove("prod/crd.yaml"))
	must(t, repo.Write("prod/b.yaml", "apiVersion: "+group+"/v1\nkind: Thing\nmetadata: {name: b}\nspec:\n  size: c4n4ry\n"))
	push(t, repo)
	line(ctx, t, run, "failed", "Thing "+ns+"/b  prod/b.yaml:")
	t.Cleanup(func() {
		crds := c.dynamic.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
		must(t, crds.Delete(context.WithoutCancel(t.Context()), "things."+group, metav1.DeleteOptions{}))
	})
	if strings.Contains(run.Output(), "c4n4ry") {
		t.Error("a value is told")
	}
}
