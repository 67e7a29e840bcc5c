package e2e

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/internal/await"
	"kilter.dev/kilter/internal/gitserver"
	"kilter.dev/kilter/internal/process"
	"kilter.dev/kilter/reconcile/leader"
)

// failover is what docs/high-availability.md promises: from the death of a leader to the work of the next.
const failover = 20 * time.Second

// pair are two processes that follow the same Sync, the first as the leader, and a repository with one ConfigMap.
type pair struct {
	*cluster
	ns            string
	repo          *gitserver.Repo
	app           await.Object
	first, second *process.Process
}

// newPair starts both. The first reaches the cluster by the given kubeconfig.
func newPair(ctx context.Context, t *testing.T, c *cluster, kubeconfig string) *pair {
	t.Helper()
	ns := c.namespace(t, "leader")
	repo, url := repository(t, fstest.MapFS{"prod/app.yaml": configMap("app")})
	elect := []string{"--leader-elect", "--leader-elect-resource-namespace", ns}
	p := &pair{cluster: c, ns: ns, repo: repo, app: await.Object{
		Client: c.CoreV1().RESTClient(), Resource: "configmaps", Namespace: ns, Name: "app",
	}}
	p.first, _ = c.follow(ctx, t, ns, url, "", append(elect, "--kubeconfig", kubeconfig)...)
	line(ctx, t, p.first, "elected", "self=true")
	line(ctx, t, p.first, "1 object: 1 current")
	p.second = kilter(t, append([]string{
		"run", "--watch-namespaces", ns, "--log-format", "text", "--kubeconfig", c.kubeconfig, "--allow-insecure-git", "--data-dir", t.TempDir(),
	}, elect...)...)
	line(ctx, t, p.second, "elected", "self=false")
	return p
}

// push pushes another value of the ConfigMap and waits until the cluster has it. It returns how long that took.
func (p *pair) push(ctx context.Context, t *testing.T, from, to string) time.Duration {
	t.Helper()
	began := time.Now()
	must(t, p.repo.Replace("prod/app.yaml", "key: "+from, "key: "+to))
	push(t, p.repo)
	must(t, second(await.Until(ctx, p.app, func(cm *corev1.ConfigMap) bool { return cm.Data["key"] == to })))
	return time.Since(began)
}

func TestKilledLeader(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	p := newPair(ctx, t, c, c.kubeconfig)
	p.first.Kill()
	took := p.push(ctx, t, "value", "next")
	t.Logf("applied %s after the leader was killed", took)
	if took > failover {
		t.Errorf("a push was applied %s after the leader was killed, promised are %s", took, failover)
	}
}

// A leader that is asked to stop hands over at once: the other need not wait for the Lease to run out.
func TestStoppedLeader(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	p := newPair(ctx, t, c, c.kubeconfig)
	must(t, p.first.Stop(patience))
	took := p.push(ctx, t, "value", "next")
	t.Logf("applied %s after the leader was stopped", took)
	if took > failover/4 {
		t.Errorf("a push was applied %s after the leader was stopped", took)
	}
}

// A leader that was paused until another one led wakes with an older commit and with loops that take the newer one for drift. It writes nothing.
func TestPausedLeaderWakes(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	var mu sync.Mutex
	var writes []string
	kubeconfig := c.proxied(t, func(r *http.Request) {
		if r.Method != http.MethodGet && !strings.Contains(r.URL.Path, "/leases") {
			mu.Lock()
			defer mu.Unlock()
			writes = append(writes, r.Method+" "+r.URL.Path)
		}
	})
	p := newPair(ctx, t, c, kubeconfig)
	must(t, syscall.Kill(p.first.PID(), syscall.SIGSTOP))
	t.Cleanup(func() { _ = syscall.Kill(p.first.PID(), syscall.SIGCONT) })
	t.Logf("applied %s after the leader was paused", p.push(ctx, t, "value", "next"))
	before, err := c.CoreV1().ConfigMaps(p.ns).Get(ctx, "app", metav1.GetOptions{})
	must(t, err)
	mu.Lock()
	writes = nil
	mu.Unlock()

	must(t, syscall.Kill(p.first.PID(), syscall.SIGCONT))
	line(ctx, t, p.first, "lost the Lease")
	line(ctx, t, p.first, "elected", "self=false")
	after, err := c.CoreV1().ConfigMaps(p.ns).Get(ctx, "app", metav1.GetOptions{})
	must(t, err)
	mu.Lock()
	defer mu.Unlock()
	if len(writes) > 0 || after.ResourceVersion != before.ResourceVersion {
		t.Errorf("the leader that woke up sent %q; the object is now %v", writes, after.Data)
	}

	// It is as good a stand-by as any: it takes over, and knows the newer commit.
	must(t, p.second.Stop(patience))
	mu.Unlock()
	p.push(ctx, t, "next", "last")
	mu.Lock()
}

// Releasing a Lease that somebody else has taken meanwhile would let a third one in.
func TestReleaseOfSomebodyElsesLease(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	ns := c.namespace(t, "leader")
	candidate, err := leader.New(c.config, leader.Options{
		Namespace: ns, Name: "kilter", Identity: "it", Duration: leader.MinDuration, Known: func() {}, Log: slog.New(slog.DiscardHandler),
	})
	must(t, err)
	running, stop := context.WithCancel(ctx)
	leading, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		candidate.Run(running, func(ctx context.Context) {
			close(leading)
			<-ctx.Done()
			taken := fmt.Appendf(nil, `{"spec":{"holderIdentity":"somebody","renewTime":%q}}`, time.Now().Format(metav1.RFC3339Micro))
			_, err := c.CoordinationV1().Leases(ns).Patch(context.WithoutCancel(ctx), "kilter", types.MergePatchType, taken, metav1.PatchOptions{})
			if err != nil {
				t.Error(err)
			}
		})
	}()
	<-leading
	stop()
	<-ended
	lease, err := c.CoordinationV1().Leases(ns).Get(ctx, "kilter", metav1.GetOptions{})
	must(t, err)
	if holder := ptr.Deref(lease.Spec.HolderIdentity, ""); holder != "somebody" {
		t.Errorf("the Lease is held by %q", holder)
	}
}

// Ten candidates come, go and are robbed of the Lease, and never do two of them lead, nor does the Lease stay with one that has gone.
func TestOneLeaderAtATime(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	ns := c.namespace(t, "leader")
	working := make(chan struct{}, 1) // full while somebody leads
	var group sync.WaitGroup
	for range 10 {
		candidate, err := leader.New(c.config, leader.Options{
			Namespace: ns, Name: "kilter", Identity: "it", Duration: leader.MinDuration, Known: func() {}, Log: slog.New(slog.DiscardHandler),
		})
		must(t, err)
		group.Go(func() {
			running, stop := context.WithCancel(ctx)
			candidate.Run(running, func(context.Context) {
				select {
				case working <- struct{}{}:
				default:
					t.Error("two lead at once")
				}
				stop()
				<-working
			})
		})
	}
	began := time.Now()
	group.Wait()
	if took := time.Since(began); took > 10*leader.MinDuration/2 || ctx.Err() != nil {
		t.Errorf("ten leaders, each of which stopped at once, took %s: the Lease is not handed over", took)
	}
	lease, err := c.CoordinationV1().Leases(ns).Get(ctx, "kilter", metav1.GetOptions{})
	must(t, err)
	if ptr.Deref(lease.Spec.HolderIdentity, "") != "" || ptr.Deref(lease.Spec.LeaseTransitions, 0) < 9 {
		t.Errorf("the Lease is left as %+v", lease.Spec)
	}
}

// A forge knows one address, and the Service behind it every replica: one that stands by passes webhooks on.
func TestWebhookReachesTheLeader(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	c.installCRDs(ctx, t)
	h := newHooked(ctx, t, c)
	document, err := yaml.YAMLToJSON([]byte(h.document))
	must(t, err)
	must(t, c.syncs(t).Post().Namespace(h.namespace).Resource(v1alpha1.SyncResource).Body(document).
		SetHeader("Content-Type", "application/json").Do(ctx).Error())
	start := func(address string) *process.Process {
		return kilter(t, "run", "--watch-namespaces", h.namespace, "--log-format", "text", "--kubeconfig", c.kubeconfig, "--allow-insecure-git",
			"--leader-elect", "--leader-elect-resource-namespace", h.namespace, "--webhook-listen", address, "--leader-elect-webhook-address", strings.Replace(address, "127.0.0.1", "[127.0.0.1]", 1)) // as in the chart
	}
	leading := start(freeAddress(t))
	line(ctx, t, leading, "1 object: 1 current")
	waiting := start(h.address) // which is where webhooks are sent
	line(ctx, t, waiting, "elected", "self=false")

	h.push(t, "1")
	if status, err := h.send(ctx, hookSecret); err != nil || status != http.StatusAccepted {
		t.Fatalf("answered %d, %v", status, err)
	}
	line(ctx, t, leading, "updated", "ConfigMap "+h.namespace+"/app")
	if status, err := h.send(ctx, "what somebody guesses it may be"); err != nil || status != http.StatusUnauthorized {
		t.Errorf("a forged webhook was answered %d, %v", status, err)
	}
}
