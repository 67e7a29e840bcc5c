package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"kilter.dev/kilter/internal/process"
)

// cluster is what is measured on, as its administrator sees it.
type cluster struct {
	config     *rest.Config
	kubernetes kubernetes.Interface
	dynamic    dynamic.Interface
	home       string              // a namespace for the accounts; its name, which is unique, begins the names of all else
	rules      []rbacv1.PolicyRule // of the chart's ClusterRole
	dir        string              // for kubeconfigs
	teardown   []func()            // last in, first out
}

// openCluster starts a dev cluster, with everything below dir, or takes the one that kubeconfig names; and installs the kinds of Kilter's chart.
func openCluster(ctx context.Context, kubeconfig, dir string) (c *cluster, err error) {
	c = &cluster{dir: dir}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	if kubeconfig == "" {
		dev, err := process.StartDevCluster(ctx, filepath.Join("bin", "devcluster"), filepath.Join(dir, "cluster"))
		if err != nil {
			return c, err
		}
		c.teardown = append(c.teardown, func() { _ = dev.Stop() })
		kubeconfig = dev.Kubeconfig
	}
	if c.config, err = clientcmd.BuildConfigFromFlags("", kubeconfig); err != nil {
		return c, fmt.Errorf("cannot read the kubeconfig: %w", err)
	}
	c.config.QPS = -1
	if c.kubernetes, err = kubernetes.NewForConfig(c.config); err != nil {
		return c, err
	}
	if c.dynamic, err = dynamic.NewForConfig(c.config); err != nil {
		return c, err
	}
	if c.home, err = c.namespace(ctx, "bench-"); err != nil {
		return c, err
	}
	c.teardown = append(c.teardown, func() {
		_ = c.kubernetes.CoreV1().Namespaces().Delete(context.WithoutCancel(ctx), c.home, metav1.DeleteOptions{})
	})
	return c, c.install(ctx)
}

func (c *cluster) close() {
	for i := len(c.teardown) - 1; i >= 0; i-- {
		c.teardown[i]()
	}
}

// namespace makes a namespace whose name begins with prefix.
func (c *cluster) namespace(ctx context.Context, prefix string) (string, error) {
	ns, err := c.kubernetes.CoreV1().Namespaces().Create(ctx,
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: prefix}}, metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	return ns.Name, nil
}

// install takes from the rendered chart what a cluster needs: its kinds, and the rules that every account here gets.
func (c *cluster) install(ctx context.Context) error {
	chart := exec.CommandContext(ctx, "go", "tool", "-modfile=tools/helm/go.mod", "helm", "template", "kilter", "charts/kilter",
		"--set", "rbac.scope=cluster")
	chart.Stderr = os.Stderr
	rendered, err := chart.Output()
	if err != nil {
		return fmt.Errorf("cannot render charts/kilter: %w", err)
	}
	crds := c.dynamic.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(rendered), 4096)
	for {
		var o unstructured.Unstructured
		err := decoder.Decode(&o.Object)
		switch {
		case errors.Is(err, io.EOF):
			return c.grant(ctx)
		case err != nil:
			return fmt.Errorf("cannot read the rendered chart: %w", err)
		case o.Object == nil:
		case o.GetKind() == "CustomResourceDefinition":
			_, err = crds.Apply(ctx, o.GetName(), &o, metav1.ApplyOptions{FieldManager: "helm", Force: true})
		case o.GetKind() == "ClusterRole":
			var role rbacv1.ClusterRole
			err = runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &role)
			c.rules = role.Rules
		}
		if err != nil {
			return err
		}
	}
}

// grant lets every account of the home namespace do what the chart lets Kilter do.
func (c *cluster) grant(ctx context.Context) error {
	meta := metav1.ObjectMeta{Name: c.home}
	roles, bindings := c.kubernetes.RbacV1().ClusterRoles(), c.kubernetes.RbacV1().ClusterRoleBindings()
	if _, err := roles.Create(ctx, &rbacv1.ClusterRole{ObjectMeta: meta, Rules: c.rules}, metav1.CreateOptions{}); err != nil {
		return err
	}
	if _, err := bindings.Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: meta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: c.home},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "system:serviceaccounts:" + c.home}},
	}, metav1.CreateOptions{}); err != nil {
		return err
	}
	c.teardown = append(c.teardown, func() {
		_ = bindings.Delete(context.WithoutCancel(ctx), c.home, metav1.DeleteOptions{})
		_ = roles.Delete(context.WithoutCancel(ctx), c.home, metav1.DeleteOptions{})
	})
	return nil
}

// account is an ordinary ServiceAccount, and how to act as it. Its requests are queued by a FlowSchema of its own, at the level where those of
// all ServiceAccounts are and in the same way: so the server's metrics tell its requests from those of everybody else.
type account struct {
	flowSchema string
	kubeconfig string
	config     *rest.Config
}

// account makes a ServiceAccount.
func (c *cluster) account(ctx context.Context, name string) (*account, error) {
	accounts := c.kubernetes.CoreV1().ServiceAccounts(c.home)
	if _, err := accounts.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		return nil, err
	}
	lifetime := int64(24 * 60 * 60)
	token, err := accounts.CreateToken(ctx, name, &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &lifetime},
	}, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	a := &account{
		flowSchema: c.home + "-" + name,
		kubeconfig: filepath.Join(c.dir, name+".kubeconfig"),
		config:     rest.AnonymousClientConfig(c.config),
	}
	a.config.BearerToken, a.config.QPS = token.Status.Token, -1
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{
		Server: c.config.Host, CertificateAuthorityData: c.config.CAData, CertificateAuthority: c.config.CAFile,
	}
	config.AuthInfos["u"] = &clientcmdapi.AuthInfo{Token: token.Status.Token}
	config.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	config.CurrentContext = "x"
	if err := clientcmd.WriteToFile(*config, a.kubeconfig); err != nil {
		return nil, err
	}
	return a, c.queue(ctx, a, name)
}

// queue makes the account's FlowSchema, and returns when the server heeds it.
func (c *cluster) queue(ctx context.Context, a *account, name string) error {
	schemas := c.kubernetes.FlowcontrolV1().FlowSchemas()
	all := []string{"*"}
	made, err := schemas.Create(ctx, &flowcontrolv1.FlowSchema{
		ObjectMeta: metav1.ObjectMeta{Name: a.flowSchema},
		Spec: flowcontrolv1.FlowSchemaSpec{
			PriorityLevelConfiguration: flowcontrolv1.PriorityLevelConfigurationReference{Name: "workload-low"},
			MatchingPrecedence:         8000, // before service-accounts, which has 9000
			DistinguisherMethod:        &flowcontrolv1.FlowDistinguisherMethod{Type: flowcontrolv1.FlowDistinguisherMethodByUserType},
			Rules: []flowcontrolv1.PolicyRulesWithSubjects{{
				Subjects: []flowcontrolv1.Subject{{
					Kind:           flowcontrolv1.SubjectKindServiceAccount,
					ServiceAccount: &flowcontrolv1.ServiceAccountSubject{Namespace: c.home, Name: name},
				}},
				ResourceRules: []flowcontrolv1.ResourcePolicyRule{
					{Verbs: all, APIGroups: all, Resources: all, Namespaces: all, ClusterScope: true},
				},
				NonResourceRules: []flowcontrolv1.NonResourcePolicyRule{{Verbs: all, NonResourceURLs: all}},
			}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	c.teardown = append(c.teardown, func() {
		_ = schemas.Delete(context.WithoutCancel(ctx), a.flowSchema, metav1.DeleteOptions{})
	})
	return a.queuedBy(ctx, string(made.UID))
}
