package e2e

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	fieldselector "k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"

	"kilter.dev/kilter/internal/await"
	"kilter.dev/kilter/internal/gitserver"
	"kilter.dev/kilter/internal/golden"
	"kilter.dev/kilter/internal/process"
)

// pool makes nodes that only pods which ask for them run on: they carry the label and the taint "pool" with the namespace's name. KWOK plays
// the kubelet of all but the last, on which nothing happens but what the test does.
func (c *cluster) pool(ctx context.Context, t *testing.T, namespace string, count int) []string {
	t.Helper()
	var names []string
	for i := range count {
		room := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("32"), corev1.ResourceMemory: resource.MustParse("256Gi"), corev1.ResourcePods: resource.MustParse("500")}
		node := &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%d", namespace, i), Labels: map[string]string{"pool": namespace}},
			Spec:       corev1.NodeSpec{Taints: []corev1.Taint{{Key: "pool", Value: namespace, Effect: corev1.TaintEffectNoSchedule}}},
			Status:     corev1.NodeStatus{Capacity: room, Allocatable: room},
		}
		if i < count-1 {
			node.Annotations = map[string]string{"kwok.x-k8s.io/node": "fake"}
		} else {
			node.Status.Conditions = []corev1.NodeCondition{{
				Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", LastHeartbeatTime: metav1.Now(), LastTransitionTime: metav1.Now(),
			}}
		}
		_, err := c.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{})
		must(t, err)
		names = append(names, node.Name)
		t.Cleanup(func() {
			must(t, c.CoreV1().Nodes().Delete(context.WithoutCancel(t.Context()), node.Name, metav1.DeleteOptions{}))
		})
	}
	for _, name := range names {
		c.untilNode(ctx, t, name, func(n *corev1.Node) bool { return ready(n) && len(n.Spec.Taints) == 1 })
	}
	return names
}

// pod waits for a pod of the namespace on a node.
func (c *cluster) pod(ctx context.Context, t *testing.T, namespace, node string, is func(*corev1.Pod) bool) *corev1.Pod {
	t.Helper()
	lw := cache.NewListWatchFromClient(c.CoreV1().RESTClient(), "pods", namespace, fieldselector.OneTermEqualSelector("spec.nodeName", node))
	event, err := watchtools.UntilWithSync(ctx, lw, &corev1.Pod{}, nil, func(event watch.Event) (bool, error) {
		pod, ok := event.Object.(*corev1.Pod)
		return ok && event.Type != watch.Deleted && is(pod), nil
	})
	must(t, err)
	return event.Object.(*corev1.Pod)
}

// report writes whether a pod is ready, as its kubelet or the node controller does.
func (c *cluster) report(ctx context.Context, t *testing.T, pod *corev1.Pod, ready corev1.ConditionStatus) {
	t.Helper()
	_, err := c.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, fmt.Appendf(nil,
		`{"status":{"phase":"Running","conditions":[{"type":"Ready","status":%q,"lastTransitionTime":%q}]}}`, ready, time.Now().UTC().Format(time.RFC3339)),
		metav1.PatchOptions{}, "status")
	must(t, err)
}

func ready(n *corev1.Node) bool {
	for _, condition := range n.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

func (c *cluster) untilNode(ctx context.Context, t *testing.T, name string, is func(*corev1.Node) bool) {
	t.Helper()
	must(t, second(await.Until(ctx, await.Object{Client: c.CoreV1().RESTClient(), Resource: "nodes", Name: name}, is)))
}

// kill lets the last node's kubelet die so long ago, with the one pod there.
func (f *fleet) kill(ctx context.Context, t *testing.T, since time.Duration) {
	t.Helper()
	notReady := fmt.Sprintf(`{"status":{"conditions":[{"type":"Ready","status":"False","reason":"KubeletNotReady","lastHeartbeatTime":%[1]q,"lastTransitionTime":%[1]q}]}}`,
		time.Now().Add(-since).UTC().Format(time.RFC3339))
	_, err := f.CoreV1().Nodes().PatchStatus(ctx, f.last, []byte(notReady))
	must(t, err)
	f.untilNode(ctx, t, f.last, func(n *corev1.Node) bool {
		return !ready(n) && strings.Contains(fmt.Sprint(n.Spec.Taints), corev1.TaintNodeNotReady)
	})
	f.report(ctx, t, f.pod(ctx, t, f.namespace, f.last, func(*corev1.Pod) bool { return true }), corev1.ConditionFalse)
}

// agent is a DaemonSet for the nodes of a pool, with an update strategy and a toleration.
func agent(namespace, strategy, tolerates string) *fstest.MapFile {
	return file(fmt.Sprintf(`apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  updateStrategy: %s
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec:
      nodeSelector: {pool: %s}
      tolerations: [%s]
      containers: [{name: agent, image: registry.example/agent:1}]
`, strategy, namespace, tolerates))
}

// The tolerations of an agent: of its pool's taint, and of everything, as those have that gather logs or set up the network. The controller
// counts a node that is not ready for the second kind only.
const (
	ofItsPool    = "{key: pool, operator: Exists}"
	ofEverything = "{operator: Exists}"
)

// afterAgent is what waits for the DaemonSet.
func afterAgent(namespace string) *fstest.MapFile {
	return file("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: after\n  annotations: {config.kubernetes.io/depends-on: apps/namespaces/" +
		namespace + "/DaemonSet/agent}\n")
}

// fleet is a DaemonSet that has been rolled out to a pool of nodes by a running Kilter.
type fleet struct {
	*cluster
	namespace string
	nodes     []string
	last      string // of the nodes: the one that nobody but the test plays
	repo      *gitserver.Repo
	run       *process.Process
}

func newFleet(ctx context.Context, t *testing.T, c *cluster, namespace, strategy, tolerates string) *fleet {
	t.Helper()
	f := &fleet{cluster: c, namespace: namespace, nodes: c.pool(ctx, t, namespace, 5)}
	f.last = f.nodes[4]
	var url string
	f.repo, url = repository(t, fstest.MapFS{"prod/agent.yaml": agent(namespace, strategy, tolerates)})
	f.run = kilter(t, "run", "-f", syncFile(t, namespace, url, ""), "--kubeconfig", c.kubeconfig, "--allow-insecure-git")
	f.report(ctx, t, f.pod(ctx, t, namespace, f.last, func(*corev1.Pod) bool { return true }), corev1.ConditionTrue)
	line(ctx, t, f.run, "1 object: 1 current")
	return f
}

// status waits for a status of the newest generation.
func (f *fleet) status(ctx context.Context, t *testing.T, is func(appsv1.DaemonSetStatus) bool) {
	t.Helper()
	d := await.Object{Client: f.AppsV1().RESTClient(), Resource: "daemonsets", Namespace: f.namespace, Name: "agent"}
	must(t, second(await.Until(ctx, d, func(d *appsv1.DaemonSet) bool {
		return d.Status.ObservedGeneration == d.Generation && is(d.Status)
	})))
}

// release pushes a new template, and a ConfigMap that waits until it is rolled out.
func (f *fleet) release(t *testing.T) {
	t.Helper()
	must(t, f.repo.Replace("prod/agent.yaml", "agent:1", "agent:2"))
	must(t, f.repo.Write("prod/after.yaml", string(afterAgent(f.namespace).Data)))
	push(t, f.repo)
}

// released waits until the rollout is done, as the loop sees it, and returns what it says of it.
func (f *fleet) released(ctx context.Context, t *testing.T) string {
	t.Helper()
	line(ctx, t, f.run, "created", "ConfigMap "+f.namespace+"/after")
	_, said, _ := strings.Cut(line(ctx, t, f.run, "DaemonSet "+f.namespace+"/agent"), " ")
	return f.plain(said) + "\n"
}

// get returns what kilter get shows.
func (c *cluster) get(ctx context.Context, t *testing.T, namespace string, args ...string) string {
	t.Helper()
	p := kilter(t, append([]string{"get", "--kubeconfig", c.kubeconfig, "-n", namespace}, args...)...)
	if code, err := p.Wait(ctx); err != nil || code != 0 {
		t.Fatalf("kilter get %v: exit code %d, %v: %s", args, code, err, p.Output())
	}
	return p.Output() + "\n"
}

// podName matches the names of a DaemonSet's pods.
var podName = regexp.MustCompile(`agent-[a-z0-9]{5}\b`)

// plain replaces the names that each run has anew.
func (f *fleet) plain(text string) string {
	text = strings.ReplaceAll(strings.ReplaceAll(text, f.namespace+"-", "node-"), f.namespace, "NAMESPACE")
	return podName.ReplaceAllString(text, "agent-xxxxx")
}

// TestDaemonSetOnDelete pushes a new template to five nodes, one of which is dead: applied is done, and the outdated pods are counted until
// somebody has deleted them.
func TestDaemonSetOnDelete(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	f := newFleet(ctx, t, c, c.namespace(t, "on-delete"), "{type: OnDelete}", ofItsPool)
	f.kill(ctx, t, 12*time.Minute)
	f.status(ctx, t, func(s appsv1.DaemonSetStatus) bool { return s.DesiredNumberScheduled == 4 })
	f.release(t)
	said := f.released(ctx, t)

	must(t, c.CoreV1().Pods(f.namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{FieldSelector: "spec.nodeName=" + f.nodes[0]}))
	f.status(ctx, t, func(s appsv1.DaemonSetStatus) bool { return s.UpdatedNumberScheduled == 1 && s.NumberAvailable == 4 })
	golden.Check(t, "testdata/rollout-on-delete.txt", said+f.plain(c.get(ctx, t, f.namespace, "daemonsets")+c.get(ctx, t, f.namespace, "ds", "agent", "-o", "json")))
}

// TestDaemonSetDeadNode rolls out while one node is dead. The controller waits for it for ever; what depends on the rollout does not.
func TestDaemonSetDeadNode(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	f := newFleet(ctx, t, c, c.namespace(t, "dead"), "{rollingUpdate: {maxUnavailable: 2}}", ofEverything)
	f.kill(ctx, t, 12*time.Minute)
	f.status(ctx, t, func(s appsv1.DaemonSetStatus) bool { return s.NumberAvailable == 4 })
	f.release(t)
	golden.Check(t, "testdata/rollout-dead-node.txt", f.released(ctx, t)+f.plain(c.get(ctx, t, f.namespace, "daemonsets")))

	// The node comes back: its kubelet ends the old pod and starts the new one, and there is nothing left to say.
	_, err := c.CoreV1().Nodes().PatchStatus(ctx, f.last, []byte(`{"status":{"conditions":[{"type":"Ready","status":"True"}]}}`))
	must(t, err)
	old := f.pod(ctx, t, f.namespace, f.last, func(p *corev1.Pod) bool { return p.DeletionTimestamp != nil })
	must(t, c.CoreV1().Pods(f.namespace).Delete(ctx, old.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64)}))
	f.report(ctx, t, f.pod(ctx, t, f.namespace, f.last, func(p *corev1.Pod) bool { return p.UID != old.UID }), corev1.ConditionTrue)
	f.status(ctx, t, func(s appsv1.DaemonSetStatus) bool { return s.UpdatedNumberScheduled == 5 && s.NumberAvailable == 5 })
	if said := c.get(ctx, t, f.namespace, "daemonsets"); !strings.HasSuffix(said, "  Current  5 of 5 pods updated and available\n") {
		t.Errorf("after the node came back: %s", said)
	}
}

// TestDaemonSetHeld has a dead node use up all that may be unavailable: no other node is updated, and the message says the way out. Raising
// the limit is one.
func TestDaemonSetHeld(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	f := newFleet(ctx, t, c, c.namespace(t, "held"), "{rollingUpdate: {maxUnavailable: 1}}", ofItsPool)
	f.kill(ctx, t, 5*time.Minute)
	f.status(ctx, t, func(s appsv1.DaemonSetStatus) bool { return s.DesiredNumberScheduled == 4 })
	f.release(t)
	f.status(ctx, t, func(s appsv1.DaemonSetStatus) bool { return s.UpdatedNumberScheduled == 0 })
	f.pod(ctx, t, f.namespace, f.last, func(p *corev1.Pod) bool { return p.DeletionTimestamp != nil })
	held := f.plain(c.get(ctx, t, f.namespace, "daemonsets"))
	must(t, f.repo.Replace("prod/agent.yaml", "maxUnavailable: 1", "maxUnavailable: 2"))
	push(t, f.repo)
	golden.Check(t, "testdata/rollout-held.txt", held+f.released(ctx, t))
}

// TestDaemonSetGrace has a node that is not ready since now. It is waited for until its grace ends, of which no event tells.
func TestDaemonSetGrace(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	f := newFleet(ctx, t, c, c.namespace(t, "grace"), "{rollingUpdate: {maxUnavailable: 2}}", ofEverything)
	must(t, f.repo.Replace("prod/agent.yaml", "{name: agent}", "{name: agent, annotations: {kilter.dev/node-grace: 8s}}"))
	start := time.Now()
	f.kill(ctx, t, 0)
	f.release(t)
	f.status(ctx, t, func(s appsv1.DaemonSetStatus) bool { return s.UpdatedNumberScheduled == 4 && s.NumberAvailable == 4 })
	if said := f.plain(c.get(ctx, t, f.namespace, "daemonsets")); time.Since(start) < 7*time.Second && !strings.Contains(said, "InProgress  4 of 5 pods updated and available; waits for node-4 (NotReady for") {
		t.Errorf("within the grace: %s", said)
	}
	if said := f.released(ctx, t); !strings.Contains(said, "4 of 5 pods updated and available; not waited for: node-4 (NotReady for") {
		t.Errorf("after the grace: %s", said)
	}
	if took := time.Since(start); took < 7*time.Second {
		t.Errorf("done after %s, want the grace of 8s", took)
	}
}

// TestDaemonSetCordoned surges onto a node whose kubelet does not start pods. It is waited for until somebody cordons it, which changes
// nothing that the DaemonSet's status knows.
func TestDaemonSetCordoned(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	f := newFleet(ctx, t, c, c.namespace(t, "cordoned"), "{rollingUpdate: {maxSurge: 2, maxUnavailable: 0}}", ofItsPool)
	f.release(t)
	// The status speaks of the older of two pods on a node; of two that were made in the same second, of either.
	f.status(ctx, t, func(s appsv1.DaemonSetStatus) bool { return s.UpdatedNumberScheduled+s.NumberAvailable == 9 })
	_, waiting, _ := strings.Cut(f.plain(c.get(ctx, t, f.namespace, "daemonsets")), "RollingUpdate  ")
	_, err := c.CoreV1().Nodes().Patch(ctx, f.last, types.MergePatchType, []byte(`{"spec":{"unschedulable":true}}`), metav1.PatchOptions{})
	must(t, err)
	golden.Check(t, "testdata/rollout-cordoned.txt", waiting+f.released(ctx, t))
}
