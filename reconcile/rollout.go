package reconcile

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/pager"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/health"
)

// rolloutReader reads what the judgement on DaemonSets and StatefulSets by pods and nodes needs. It serves one pass, or one command: the
// nodes are listed once, when the first judgement asks for them. What may not be read is noted, not asked for again, and done without.
type rolloutReader struct {
	cluster *Cluster
	now     time.Time
	refused map[string]*Failure // "pods", "nodes" or "controllerrevisions", with the server's answer; nil where it is not known any more
	nodes   []health.Node
	listed  bool
	failed  bool // something could not be read that may be read next time
}

// read reads one DaemonSet or StatefulSet with all that it takes to judge it. Other kinds have no such judgement.
func (r *rolloutReader) read(ctx context.Context, id manifests.ID) (health.Rollout, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	apps := r.cluster.kubernetes.AppsV1()
	switch id.GroupKind() {
	case daemonSetKind:
		d, err := apps.DaemonSets(id.Namespace).Get(ctx, id.Name, metav1.GetOptions{})
		if err != nil {
			return health.Rollout{}, newFailure(err, r.cluster.host)
		}
		return r.daemonSet(ctx, d)
	case statefulSetKind:
		s, err := apps.StatefulSets(id.Namespace).Get(ctx, id.Name, metav1.GetOptions{})
		if err != nil {
			return health.Rollout{}, newFailure(err, r.cluster.host)
		}
		return r.statefulSet(ctx, s)
	}
	return health.Rollout{}, fmt.Errorf("%s is not judged by its pods", id)
}

// The kinds that are judged by their pods.
var (
	daemonSetKind   = schema.GroupKind{Group: "apps", Kind: "DaemonSet"}
	statefulSetKind = schema.GroupKind{Group: "apps", Kind: "StatefulSet"}
)

func (r *rolloutReader) daemonSet(ctx context.Context, d *appsv1.DaemonSet) (health.Rollout, error) {
	pods, err := r.pods(ctx, d, d.Spec.Selector)
	if err != nil {
		return health.Rollout{}, err
	}
	if pods == nil {
		return byStatusAlone(health.DaemonSetByStatus(d)), nil
	}
	in := health.DaemonPods{DaemonSet: d, Pods: pods, Now: r.now, Grace: nodeGrace(d)}
	if in.Revision, err = r.newestRevision(ctx, d); err != nil {
		return health.Rollout{}, err
	}
	if in.Nodes, err = r.allNodes(ctx); err != nil {
		return health.Rollout{}, err
	}
	judged := in.Judge()
	if in.Nodes == nil && judged.Health.Word == health.InProgress {
		judged.Health.Message += "; which of the nodes are ready is not known, since Kilter may not list nodes"
	}
	return judged, nil
}

func (r *rolloutReader) statefulSet(ctx context.Context, s *appsv1.StatefulSet) (health.Rollout, error) {
	pods, err := r.pods(ctx, s, s.Spec.Selector)
	if err != nil {
		return health.Rollout{}, err
	}
	if pods == nil {
		return byStatusAlone(health.StatefulSetByStatus(s)), nil
	}
	in := health.StatefulPods{StatefulSet: s, Pods: pods, Now: r.now}
	for _, pod := range pods {
		if pod.Trouble == "" && !pod.Terminating || pod.Node == "" {
			continue
		}
		if in.Nodes, err = r.allNodes(ctx); err != nil {
			return health.Rollout{}, err
		}
		break
	}
	return in.Judge(), nil
}

// byStatusAlone tells that a judgement had to do without pods.
func byStatusAlone(r health.Rollout) health.Rollout {
	if r.Health.Word == health.InProgress {
		r.Health.Message += "; which pods it waits for is not known, since Kilter may not list pods"
	}
	return r
}

// nodeGrace returns how long a DaemonSet's rollout waits for a node that is not ready. Whoever wrote something else than a duration was
// warned when it was read from Git.
func nodeGrace(d *appsv1.DaemonSet) time.Duration {
	if grace, err := time.ParseDuration(d.Annotations[v1alpha1.NodeGraceAnnotation]); err == nil {
		return grace
	}
	return health.NodeGrace
}

// pods returns the pods that owner controls; nil when pods may not be listed.
func (r *rolloutReader) pods(ctx context.Context, owner metav1.Object, selector *metav1.LabelSelector) ([]health.Pod, error) {
	match, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return nil, err
	}
	pods := []health.Pod{}
	list := func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
		return r.cluster.kubernetes.CoreV1().Pods(owner.GetNamespace()).List(ctx, o)
	}
	read, err := r.each(ctx, "pods", metav1.ListOptions{LabelSelector: match.String()}, list, func(object runtime.Object) {
		if pod, ok := object.(*corev1.Pod); ok && metav1.IsControlledBy(pod, owner) {
			pods = append(pods, health.PodOf(pod))
		}
	})
	if !read {
		return nil, err
	}
	return pods, nil
}

// allNodes returns every node; nil when nodes may not be listed.
func (r *rolloutReader) allNodes(ctx context.Context) ([]health.Node, error) {
	if r.listed {
		return r.nodes, nil
	}
	nodes := []health.Node{}
	list := func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
		return r.cluster.kubernetes.CoreV1().Nodes().List(ctx, o)
	}
	read, err := r.each(ctx, "nodes", metav1.ListOptions{}, list, func(object runtime.Object) {
		if node, ok := object.(*corev1.Node); ok {
			nodes = append(nodes, health.NodeOf(node))
		}
	})
	if !read {
		return nil, err
	}
	r.nodes, r.listed = nodes, true
	return nodes, nil
}

// newestRevision returns the hash that pods of the newest template carry; empty when revisions may not be listed, and the generation that
// pods carry has to do.
func (r *rolloutReader) newestRevision(ctx context.Context, d *appsv1.DaemonSet) (string, error) {
	match, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
	if err != nil {
		return "", err
	}
	list := func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
		return r.cluster.kubernetes.AppsV1().ControllerRevisions(d.Namespace).List(ctx, o)
	}
	hash, newest := "", int64(0)
	_, err = r.each(ctx, "controllerrevisions", metav1.ListOptions{LabelSelector: match.String()}, list, func(object runtime.Object) {
		revision, ok := object.(*appsv1.ControllerRevision)
		if ok && metav1.IsControlledBy(revision, d) && revision.Revision > newest {
			hash, newest = revision.Labels[appsv1.DefaultDaemonSetUniqueLabelKey], revision.Revision
		}
	})
	return hash, err
}

// each lists a resource, a few hundred objects at a time, so that never more of them are held than what is kept of each. It returns false
// when the list was not read, and an error only when that may be better next time.
func (r *rolloutReader) each(
	ctx context.Context, resource string, options metav1.ListOptions, list pager.ListPageFunc, keep func(runtime.Object),
) (read bool, err error) {
	if _, refused := r.refused[resource]; refused {
		return false, nil
	}
	err = pager.New(list).EachListItem(ctx, options, func(object runtime.Object) error {
		keep(object)
		return nil
	})
	if err == nil {
		return true, nil
	}
	failure := newFailure(err, r.cluster.host)
	if failure.Class != Slow {
		return false, fmt.Errorf("cannot list %s: %w", resource, failure)
	}
	r.refused[resource] = failure
	return false, nil
}
