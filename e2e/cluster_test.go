package e2e

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"kilter.dev/kilter/internal/gitserver"
	"kilter.dev/kilter/internal/needs"
	"kilter.dev/kilter/internal/process"
	"kilter.dev/kilter/reconcile/inventory"
)

// patience bounds every wait for an event.
const patience = 90 * time.Second

// cluster is the administrator's view of the cluster that the tests run on.
type cluster struct {
	kubeconfig string
	config     *rest.Config
	kubernetes.Interface
	dynamic  dynamic.Interface
	metadata metadata.Interface
}

// newCluster returns the cluster that TEST_KUBECONFIG names, and a context that ends the test's waits.
func newCluster(t testing.TB) (context.Context, *cluster) {
	t.Helper()
	kubeconfig := needs.Cluster(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx, clusterOf(t, kubeconfig)
}

// clusterOf returns the cluster of a kubeconfig.
func clusterOf(t testing.TB, kubeconfig string) *cluster {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	must(t, err)
	config.QPS = -1
	c := &cluster{kubeconfig: kubeconfig, config: config}
	c.Interface, err = kubernetes.NewForConfig(config)
	must(t, err)
	c.dynamic, err = dynamic.NewForConfig(config)
	must(t, err)
	c.metadata, err = metadata.NewForConfig(config)
	must(t, err)
	return c
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// namespace makes a namespace for the test and deletes it afterwards.
func (c *cluster) namespace(t testing.TB, prefix string) string {
	t.Helper()
	ns, err := c.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: prefix + "-"}}, metav1.CreateOptions{})
	must(t, err)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		c.holdsNoCredential(ctx, t, ns.Name)
		if err := c.CoreV1().Namespaces().Delete(ctx, ns.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	return ns.Name
}

// members returns what carries the label of a set in one namespace: "Kind name" of each, for the given resources.
func (c *cluster) members(ctx context.Context, t *testing.T, parent inventory.Parent, resources map[string]schema.GroupVersionResource) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for kind, resource := range resources {
		list, err := c.metadata.Resource(resource).Namespace(parent.Namespace).List(ctx,
			metav1.ListOptions{LabelSelector: inventory.PartOfLabel + "=" + parent.ID()})
		must(t, err)
		for i := range list.Items {
			if inventory.Member(parent.ID(), &list.Items[i]) {
				found[kind+" "+list.Items[i].Name] = true
			}
		}
	}
	return found
}

// kubeconfigOf writes a kubeconfig for a ServiceAccount and returns its name.
func (c *cluster) kubeconfigOf(t *testing.T, token, namespace string) string {
	t.Helper()
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: c.config.Host, CertificateAuthorityData: c.config.CAData, CertificateAuthority: c.config.CAFile}
	config.AuthInfos["u"] = &clientcmdapi.AuthInfo{Token: token}
	config.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u", Namespace: namespace}
	config.CurrentContext = "x"
	file := filepath.Join(t.TempDir(), "kubeconfig")
	must(t, clientcmd.WriteToFile(*config, file))
	return file
}

// repository serves a repository with the given files, committed and pushed, and returns its URL.
func repository(t *testing.T, files fs.FS) (*gitserver.Repo, string) {
	t.Helper()
	repo, server := served(t, files)
	return repo, server.URL("workloads")
}

// served does the same and returns the server, which counts what it is asked.
func served(t *testing.T, files fs.FS) (*gitserver.Repo, *gitserver.Server) {
	t.Helper()
	return servedTo(t, gitserver.Options{}, files)
}

// servedTo does the same for those who have the credentials that the options ask for.
func servedTo(t *testing.T, o gitserver.Options, files fs.FS) (*gitserver.Repo, *gitserver.Server) {
	t.Helper()
	o.Dir = t.TempDir()
	server, err := gitserver.Start(o)
	must(t, err)
	t.Cleanup(func() { must(t, server.Close()) })
	work := filepath.Join(t.TempDir(), "work")
	must(t, os.CopyFS(work, files))
	repo, err := server.Create(t.Context(), "workloads", work)
	must(t, err)
	push(t, repo)
	return repo, server
}

// push commits the work tree, pushes it and returns the commit.
func push(t testing.TB, repo *gitserver.Repo) string {
	t.Helper()
	commit, err := repo.Commit(t.Context(), "Change what the test changes")
	must(t, err)
	must(t, repo.Push(t.Context()))
	return commit
}

// syncFile writes a Sync document named "e2e" and returns its file name. spec is added to the spec, indented as its fields.
func syncFile(t *testing.T, namespace, url, spec string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sync.yaml")
	must(t, os.WriteFile(file, fmt.Appendf(nil, syncDocument, namespace, url, spec), 0o600))
	return file
}

// syncDocument is the Sync "e2e" of a namespace, a URL, and more of its spec.
const syncDocument = `apiVersion: kilter.dev/v1alpha1
kind: Sync
metadata: {name: e2e, namespace: %s}
spec:
  git: {url: %q, ref: {branch: main}, path: prod}
  interval: 100ms
  timeout: 1m
%s`

// kilter starts bin/kilter and kills it at the end of the test.
func kilter(t testing.TB, args ...string) *process.Process {
	t.Helper()
	return kilterIn(t, nil, args...)
}

// kilterIn does the same with more in its environment.
func kilterIn(t testing.TB, env []string, args ...string) *process.Process {
	t.Helper()
	p, err := process.Start(process.Options{Path: filepath.Join("..", "bin", "kilter"), Args: args, Env: env})
	must(t, err)
	t.Cleanup(func() {
		p.Kill()
		if strings.Contains(p.Output(), canary) {
			t.Error("kilter printed a credential")
		}
		if t.Failed() {
			t.Logf("kilter %v printed:\n%s", args, p.Output())
		}
	})
	return p
}

// once runs kilter to its end and wants the exit code.
func once(ctx context.Context, t testing.TB, want int, args ...string) {
	t.Helper()
	p := kilter(t, args...)
	code, err := p.Wait(ctx)
	must(t, err)
	if code != want {
		t.Fatalf("exit code %d, want %d; it printed:\n%s", code, want, p.Output())
	}
}

// line waits for a line of a process that contains all of the texts.
func line(ctx context.Context, t testing.TB, p *process.Process, texts ...string) string {
	t.Helper()
	found, err := p.Line(ctx, texts...)
	must(t, err)
	return found
}
