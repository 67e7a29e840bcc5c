package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kilter.dev/kilter/internal/gitserver"
)

// TestProxy reaches a repository through a proxy that wants a password, by spec.git.proxySecretRef. Over SSH there is no way through it: that is said.
func TestProxy(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	front := newFront(t, gitPassword)
	must(t, front.repo.Write("prod/app.yaml", string(configMap("app").Data)))
	push(t, front.repo)
	proxy := gitserver.StartProxy("p", canary+"-of-the-proxy")
	t.Cleanup(proxy.Close)
	ns := c.namespace(t, "proxy")
	for name, data := range map[string]map[string]string{
		"git":   {"username": "ann", "password": gitPassword, "ca.crt": string(front.bundle())},
		"proxy": {"address": proxy.URL, "username": "p", "password": canary + "-of-the-proxy"},
		"wrong": {"address": proxy.URL, "username": "p", "password": canary + "-of-another"},
		"empty": {"username": "p"},
	} {
		_, err := c.CoreV1().Secrets(ns).Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, StringData: data}, metav1.CreateOptions{})
		must(t, err)
	}
	for _, at := range []struct {
		url, secret string
		code        int
		says        string
	}{
		{front.url(), "proxy", 0, "1 object: 1 current"},
		{front.url(), "wrong", 2, "the proxy does not know us (407); give the proxy's user name and password beside its address"},
		{front.url(), "empty", 2, "lacks the key address, such as http://proxy.example.com:3128"},
		{front.url(), "none", 2, "spec.git.proxySecretRef names it"},
		{"ssh://git@" + front.address + "/team.git", "proxy", 2, "an ssh URL does not go through a proxy; use an https URL, or remove git.proxySecretRef"},
	} {
		before := proxy.Tunnels.Load()
		file := syncFile(t, ns, at.url, "")
		document, err := os.ReadFile(file)
		must(t, err)
		file = filepath.Join(t.TempDir(), "sync.yaml")
		must(t, os.WriteFile(file, []byte(strings.Replace(string(document), "path: prod}",
			"path: prod, secretRef: {name: git}, proxySecretRef: {name: "+at.secret+"}}", 1)), 0o600))
		p := kilter(t, "run", "--once", "-f", file, "--kubeconfig", c.kubeconfig)
		code, err := p.Wait(ctx)
		must(t, err)
		if code != at.code || !strings.Contains(p.Output(), at.says) {
			t.Errorf("%s through %s: exit code %d, want %d and %q:\n%s", at.url, at.secret, code, at.code, at.says, p.Output())
		}
		if used := proxy.Tunnels.Load() > before; used != (at.code == 0) {
			t.Errorf("%s through %s: the proxy is used: %v", at.url, at.secret, used)
		}
	}
}
