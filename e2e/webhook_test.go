package e2e

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/internal/await"
	"kilter.dev/kilter/internal/gitserver"
)

// hookSecret is a canary as well: no line that Kilter prints may hold it.
const hookSecret = "c4n4ry-of-the-webhook-s3cr3t"

// hooked is a repository whose webhooks Kilter receives, and which it looks at once an hour otherwise.
type hooked struct {
	server    *gitserver.Server
	repo      *gitserver.Repo
	namespace string
	address   string
	document  string // the Sync's
}

func newHooked(ctx context.Context, t *testing.T, c *cluster) *hooked {
	t.Helper()
	h := &hooked{namespace: c.namespace(t, "webhook")}
	var err error
	h.server, err = gitserver.Start(gitserver.Options{Dir: t.TempDir()})
	must(t, err)
	t.Cleanup(func() { must(t, h.server.Close()) })
	h.repo, err = h.server.Create(ctx, "workloads", filepath.Join(t.TempDir(), "work"))
	must(t, err)
	h.push(t, "0")
	h.put(ctx, t, c, hookSecret)
	h.address = freeAddress(t)
	h.document = strings.Replace(fmt.Sprintf(syncDocument, h.namespace, h.server.URL("workloads"), ""), "path: prod}",
		"path: prod, webhook: {secretRef: {name: hook}}}", 1)
	h.document = strings.Replace(h.document, "interval: 100ms", "interval: 1h", 1)
	return h
}

// push pushes a ConfigMap that holds the value.
func (h *hooked) push(t *testing.T, value string) {
	t.Helper()
	must(t, h.repo.Write("prod/app.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app}\ndata: {value: \""+value+"\"}\n"))
	push(t, h.repo)
}

// put writes the Secret that webhooks are signed with.
func (h *hooked) put(ctx context.Context, t *testing.T, c *cluster, token string) {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "hook"}, StringData: map[string]string{"token": token}}
	secrets := c.CoreV1().Secrets(h.namespace)
	if _, err := secrets.Update(ctx, secret, metav1.UpdateOptions{}); err != nil {
		_, err = secrets.Create(ctx, secret, metav1.CreateOptions{})
		must(t, err)
	}
}

// send sends a webhook that is signed with the token, and returns the answer's status.
func (h *hooked) send(ctx context.Context, token string) (int, error) {
	const body = `{"ref": "refs/heads/main"}`
	mac := hmac.New(sha256.New, []byte(token))
	mac.Write([]byte(body))
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+h.address+"/hook/"+h.namespace+"/e2e", strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, err
}

// looks counts how often refs were listed, and how often objects were fetched.
func (h *hooked) looks() (listed, fetched int) {
	for _, request := range h.server.Requests() {
		if request.Fetch() {
			fetched++
		} else if request.Service == "git-upload-pack" {
			listed++
		}
	}
	return listed, fetched
}

func TestW1WebhookHurriesALoopFromAFile(t *testing.T) {
	ctx, c := newCluster(t)
	h := newHooked(ctx, t, c)
	file := filepath.Join(t.TempDir(), "sync.yaml")
	must(t, os.WriteFile(file, []byte(h.document), 0o600))
	p := kilter(t, "run", "-f", file, "--allow-insecure-git", "--kubeconfig", c.kubeconfig, "--webhook-listen", h.address)
	line(ctx, t, p, "1 object: 1 current")

	h.server.Forget()
	h.push(t, "1")
	var sending sync.WaitGroup
	for range 50 {
		sending.Go(func() {
			for range 20 {
				if status, err := h.send(ctx, hookSecret); err != nil || status != http.StatusAccepted {
					t.Errorf("answered %d, %v", status, err)
					return
				}
			}
		})
	}
	sending.Wait()
	line(ctx, t, p, "updated", "ConfigMap "+h.namespace+"/app")

	// What is pushed after the burst is seen by the webhook after it: so every fetch of the burst is over.
	h.push(t, "2")
	if status, err := h.send(ctx, hookSecret); err != nil || status != http.StatusAccepted {
		t.Fatalf("answered %d, %v", status, err)
	}
	line(ctx, t, p, "updated", "ConfigMap "+h.namespace+"/app")
	listed, fetched := h.looks()
	if listed > 3 || fetched != 2 {
		t.Errorf("1,000 webhooks, a pause and one more made %d looks that listed refs and %d that fetched; want at most 2 and 1, and 1 and 1", listed, fetched)
	}

	h.server.Forget()
	if status, err := h.send(ctx, "what somebody guesses it may be"); err != nil || status != http.StatusUnauthorized {
		t.Errorf("a forged webhook was answered %d, %v", status, err)
	}
	if listed, _ := h.looks(); listed != 0 {
		t.Error("a forged webhook had the repository looked at")
	}
	if strings.Contains(p.Output(), hookSecret) {
		t.Errorf("the output holds the webhook's secret:\n%s", p.Output())
	}
}

// A Sync object takes webhooks as a file does; its status answers no request for them, and a changed secret is in force without a restart.
func TestWebhookHurriesASyncObject(t *testing.T) {
	ctx, c := newCluster(t)
	c.installCRDs(ctx, t)
	h := newHooked(ctx, t, c)
	document, err := yaml.YAMLToJSON([]byte(h.document))
	must(t, err)
	sync := await.Object{Client: c.syncs(t), Resource: v1alpha1.SyncResource, Namespace: h.namespace, Name: "e2e"}
	must(t, sync.Client.Post().Namespace(h.namespace).Resource(v1alpha1.SyncResource).Body(document).
		SetHeader("Content-Type", "application/json").Do(ctx).Error())
	p := kilter(t, "run", "--watch-namespaces", h.namespace, "--log-format", "text", "--kubeconfig", c.kubeconfig, "--allow-insecure-git",
		"--webhook-listen", h.address)
	before := untilReady(ctx, t, sync, metav1.ConditionTrue).Status

	const next = "the secret that comes after, just as long"
	for i, token := range []string{hookSecret, next} {
		if i > 0 {
			h.put(ctx, t, c, next)
		}
		h.push(t, strconv.Itoa(i+1))
		h.until(ctx, t, token)
		line(ctx, t, p, "updated", "ConfigMap "+h.namespace+"/app")
	}
	if status, err := h.send(ctx, hookSecret); err != nil || status != http.StatusUnauthorized {
		t.Errorf("the old secret was answered %d, %v", status, err)
	}
	after, err := await.Until(ctx, sync, func(s *v1alpha1.Sync) bool { return s.Status.LastAppliedRevision != before.LastAppliedRevision })
	must(t, err)
	if got := after.Status.LastHandledReconcileAt; got != "" {
		t.Errorf("status.lastHandledReconcileAt is %q, though nobody asked", got)
	}
}

// until sends webhooks until one is accepted: Kilter reads a secret at most every five seconds.
func (h *hooked) until(ctx context.Context, t *testing.T, token string) {
	t.Helper()
	for tick := time.NewTicker(200 * time.Millisecond); ; {
		status, err := h.send(ctx, token)
		must(t, err)
		if status == http.StatusAccepted {
			tick.Stop()
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("answered %d, and never accepted", status)
		}
	}
}
