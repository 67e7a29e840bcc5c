package health

import (
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
)

// NodeGrace is how long a rollout waits for a node that is not ready, unless its DaemonSet says otherwise: longer than a kubelet that
// restarts, shorter than a node that is repaired. Kubernetes itself takes some 40 s to notice that a node is gone.
const NodeGrace = time.Minute

// Node is what a rollout has to know of one node.
type Node struct {
	Name     string
	Labels   map[string]string
	Taints   []corev1.Taint
	Cordoned bool
	NotReady time.Time // since when; zero when it is ready
}

// NodeOf reduces a node to the facts that decide. A node that never said whether it is ready has not been so since it exists.
func NodeOf(n *corev1.Node) Node {
	node := Node{
		Name: n.Name, Labels: n.Labels, Taints: n.Spec.Taints, Cordoned: n.Spec.Unschedulable, NotReady: n.CreationTimestamp.Time,
	}
	for _, c := range n.Status.Conditions {
		if c.Type != corev1.NodeReady {
			continue
		}
		node.NotReady = c.LastTransitionTime.Time
		if c.Status == corev1.ConditionTrue {
			node.NotReady = time.Time{}
		}
	}
	return node
}

// notReady says for how long the node has not been ready; empty when it is.
func (n Node) notReady(now time.Time) string {
	if n.NotReady.IsZero() {
		return ""
	}
	since := now.Sub(n.NotReady)
	if since >= 2*time.Minute {
		since = since.Truncate(time.Minute)
	}
	return "NotReady for " + duration.HumanDuration(since)
}

// nodeFit judges which nodes a DaemonSet wants pods on, as its controller does (nodeShouldRunDaemonPod in
// k8s.io/kubernetes/pkg/controller/daemon/daemon_controller.go).
type nodeFit struct {
	name        string
	affinity    nodeaffinity.RequiredNodeAffinity
	tolerations []corev1.Toleration
}

func newNodeFit(d *appsv1.DaemonSet) nodeFit {
	spec := d.Spec.Template.Spec
	fit := nodeFit{
		name: spec.NodeName, affinity: nodeaffinity.NewRequiredNodeAffinity(spec.NodeSelector, spec.Affinity),
		tolerations: append(spec.Tolerations[:len(spec.Tolerations):len(spec.Tolerations)], daemonTolerations...),
	}
	if spec.HostNetwork {
		fit.tolerations = append(fit.tolerations, corev1.Toleration{
			Key: corev1.TaintNodeNetworkUnavailable, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule,
		})
	}
	return fit
}

// daemonTolerations are those that every DaemonSet's pods are given (AddOrUpdateDaemonPodTolerations in
// k8s.io/kubernetes/pkg/controller/daemon/util), and two that they are not: a node that is not ready is judged by its condition.
var daemonTolerations = []corev1.Toleration{
	{Key: corev1.TaintNodeNotReady, Operator: corev1.TolerationOpExists},
	{Key: corev1.TaintNodeUnreachable, Operator: corev1.TolerationOpExists},
	{Key: corev1.TaintNodeDiskPressure, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule},
	{Key: corev1.TaintNodeMemoryPressure, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule},
	{Key: corev1.TaintNodePIDPressure, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule},
	{Key: corev1.TaintNodeUnschedulable, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule},
}

// wants reports whether the DaemonSet's selector and affinity choose the node.
func (f nodeFit) wants(n Node) bool {
	if f.name != "" && f.name != n.Name {
		return false
	}
	// An affinity that cannot be parsed matches nothing, to the controller as well.
	fits, _ := f.affinity.Match(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n.Name, Labels: n.Labels}})
	return fits
}

// taint returns the first taint that keeps the DaemonSet's pods off the node, as "key:Effect"; or nothing.
func (f nodeFit) taint(n Node) string {
	for i := range n.Taints {
		t := &n.Taints[i]
		if t.Effect == corev1.TaintEffectPreferNoSchedule {
			continue
		}
		tolerated := false
		for j := range f.tolerations {
			tolerated = tolerated || f.tolerations[j].ToleratesTaint(logr.Discard(), t, true)
		}
		if !tolerated {
			return oneLine(t.Key + ":" + string(t.Effect))
		}
	}
	return ""
}
