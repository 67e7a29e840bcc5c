package e2e

import (
	"context"
	"crypto/ed25519"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/internal/await"
	"kilter.dev/kilter/internal/forge"
	"kilter.dev/kilter/internal/gitserver"
	"kilter.dev/kilter/internal/needs"
)

// forged is a private repository on a Gitea, followed by two Sync objects of one process: one reads it over http with a token, the other over SSH
// with a deploy key. Both look once an hour, unless Gitea tells them to.
type forged struct {
	*testing.T
	*forge.Forge
	ctx       context.Context
	cluster   *cluster
	ns        string
	repo      *gitserver.Repo
	secrets   []string // what nobody may be told
	contained int      // the value that was pushed last
}

// TestForge is a team's way with a forge, from a private repository to a rotated token: real credentials of each kind, webhooks that the forge
// itself signs and sends, and no restart.
func TestForge(t *testing.T) {
	t.Parallel()
	c := clusterOf(t, needs.Cluster(t))
	program := filepath.Join("..", "bin", "gitea")
	if _, err := os.Stat(program); err != nil {
		needs.Missing(t, "needs bin/gitea: run make test")
	}
	gitea, err := forge.Start(t.Context(), forge.Options{Program: program, Module: filepath.Join("..", "tools", "gitea"), Dir: t.TempDir()})
	must(t, err)
	t.Cleanup(func() { must(t, gitea.Close()) })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	f := &forged{T: t, Forge: gitea, ctx: ctx, cluster: c, ns: c.namespace(t, "forge"), secrets: []string{forge.Password, hookSecret}}
	must(t, f.API(ctx, http.MethodPost, "/user/repos", map[string]any{"name": "workloads", "private": true}, nil))
	f.repo, err = gitserver.NewRepo(ctx, t.TempDir(), f.PushURL("workloads"))
	must(t, err)
	f.push()

	first := f.token("first")
	f.put("token", map[string]string{"username": forge.User, "password": first})
	f.put("key", f.deployKey())
	f.put("hook", map[string]string{"token": hookSecret})
	address := freeAddress(t)
	for _, name := range []string{"token", "key"} {
		must(t, f.API(ctx, http.MethodPost, "/repos/"+forge.User+"/workloads/hooks", map[string]any{
			"type": "gitea", "active": true, "events": []string{"push"}, "config": map[string]string{
				"url": "http://" + address + "/hook/" + f.ns + "/" + name, "content_type": "json", "secret": hookSecret,
			},
		}, nil))
	}
	c.installCRDs(ctx, t)
	overHTTP, overSSH := f.create("token", f.URL("workloads")), f.create("key", f.SSH("workloads"))
	metrics := freeAddress(t)
	p := kilter(t, "run", "--watch-namespaces", f.ns, "--log-format", "text", "--kubeconfig", c.kubeconfig, "--allow-insecure-git",
		"--webhook-listen", address, "--listen", metrics)
	untilReady(ctx, t, overHTTP, metav1.ConditionTrue)
	untilReady(ctx, t, overSSH, metav1.ConditionTrue)

	f.push() // and Gitea tells
	f.applied("token")
	f.applied("key")

	// The token is taken back: the next look says so. A new one, of which nobody tells Kilter, does from the next look on.
	must(t, f.API(ctx, http.MethodDelete, "/users/"+forge.User+"/tokens/first", nil, nil))
	f.push()
	f.applied("key")
	must(t, second(await.Until(ctx, overHTTP, func(s *v1alpha1.Sync) bool {
		ready := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady)
		return ready.Reason == "FetchFailed" && strings.Contains(ready.Message, "does not accept the user name and password (401)")
	})))
	f.put("token", map[string]string{"username": forge.User, "password": f.token("next")})
	f.push()
	f.applied("token")
	f.applied("key")
	untilReady(ctx, t, overHTTP, metav1.ConditionTrue)

	// Another server with the same address: nothing is told to it.
	known := f.deployKey()
	host, _, _ := strings.Cut(known["known_hosts"], " ")
	known["known_hosts"] = host + " " + publicKey(t)
	f.put("key", known)
	f.push()
	f.applied("token")
	must(t, second(await.Until(ctx, overSSH, func(s *v1alpha1.Sync) bool {
		ready := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady)
		return ready.Reason == "FetchFailed" && strings.Contains(ready.Message, "is not the one in known_hosts (line 1)")
	})))

	page := fmt.Sprint(scrape(t, metrics))
	for _, secret := range f.secrets {
		if strings.Contains(p.Output(), secret) || strings.Contains(page, secret) {
			t.Error("a secret is printed, or in the metrics")
		}
	}
	must(t, p.Stop(patience))
}

// push pushes a ConfigMap with the next value, for each of the Syncs.
func (f *forged) push() {
	f.contained++
	for _, name := range []string{"token", "key"} {
		must(f.T, f.repo.Write(name+"/app.yaml", fmt.Sprintf(
			"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: over-%s}\ndata: {value: \"%d\"}\n", name, f.contained)))
	}
	push(f.T, f.repo)
}

// applied waits until the cluster has what was pushed last.
func (f *forged) applied(name string) {
	f.Helper()
	object := await.Object{Client: f.cluster.CoreV1().RESTClient(), Resource: "configmaps", Namespace: f.ns, Name: "over-" + name}
	must(f.T, second(await.Until(f.ctx, object, func(c *corev1.ConfigMap) bool { return c.Data["value"] == strconv.Itoa(f.contained) })))
}

// token makes one that may read repositories.
func (f *forged) token(name string) string {
	f.Helper()
	var token struct{ SHA1 string }
	must(f.T, f.API(f.ctx, http.MethodPost, "/users/"+forge.User+"/tokens",
		map[string]any{"name": name, "scopes": []string{"read:repository"}}, &token))
	f.secrets = append(f.secrets, token.SHA1)
	return token.SHA1
}

// deployKey makes a key that may read the repository, as a Secret holds it.
func (f *forged) deployKey() map[string]string {
	f.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	must(f.T, err)
	block, err := ssh.MarshalPrivateKey(private, "")
	must(f.T, err)
	line, err := ssh.NewPublicKey(public)
	must(f.T, err)
	must(f.T, f.API(f.ctx, http.MethodPost, "/repos/"+forge.User+"/workloads/keys", map[string]any{
		"title": ssh.FingerprintSHA256(line), "key": string(ssh.MarshalAuthorizedKey(line)), "read_only": true,
	}, nil))
	identity := string(pem.EncodeToMemory(block))
	f.secrets = append(f.secrets, strings.Split(identity, "\n")[2])
	return map[string]string{"identity": identity, "known_hosts": string(f.KnownHosts())}
}

// publicKey makes a key of somebody else.
func publicKey(t *testing.T) string {
	t.Helper()
	public, _, err := ed25519.GenerateKey(nil)
	must(t, err)
	line, err := ssh.NewPublicKey(public)
	must(t, err)
	return string(ssh.MarshalAuthorizedKey(line))
}

// put writes a Secret, whole.
func (f *forged) put(name string, data map[string]string) {
	f.Helper()
	content := map[string][]byte{}
	for key, value := range data {
		content[key] = []byte(value)
	}
	secrets := f.cluster.CoreV1().Secrets(f.ns)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: content}
	if _, err := secrets.Get(f.ctx, name, metav1.GetOptions{}); err == nil {
		must(f.T, second(secrets.Update(f.ctx, secret, metav1.UpdateOptions{})))
		return
	}
	must(f.T, second(secrets.Create(f.ctx, secret, metav1.CreateOptions{})))
}

// create makes a Sync of the path of its name, with the Secret of its name.
func (f *forged) create(name, url string) await.Object {
	f.Helper()
	document, err := yaml.YAMLToJSON(fmt.Appendf(nil, `apiVersion: kilter.dev/v1alpha1
kind: Sync
metadata: {name: %[1]s, namespace: %[2]s}
spec:
  git: {url: %[3]q, ref: {branch: main}, path: %[1]s, secretRef: {name: %[1]s}, webhook: {secretRef: {name: hook}}}
  interval: 1h
`, name, f.ns, url))
	must(f.T, err)
	sync := await.Object{Client: f.cluster.syncs(f.T), Resource: v1alpha1.SyncResource, Namespace: f.ns, Name: name}
	must(f.T, sync.Client.Post().Namespace(f.ns).Resource(v1alpha1.SyncResource).Body(document).
		SetHeader("Content-Type", "application/json").Do(f.ctx).Error())
	return sync
}
