package lint

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Facts is what the rules of Tree need to know of one object: far less than the object, since a tree's Facts stay in memory.
type Facts struct {
	ignores []string
	fields  []string // at which Tree may find something

	selects *selection // whose pods a workload, a Service or a budget means; nil for none
	pods    labels.Set // the labels of the pods that a workload makes
	pairs   []string   // the same as pairs

	replicas *int32 // as written
	scalable bool   // has a scale, by which a budget reckons
	ttl      *int32 // of a Job

	target      *Name    // of an autoscaler, in its own namespace
	serviceName string   // of a StatefulSet
	headless    bool     // for a Service
	claims      []string // that a workload's old and new pods use at the same time
	oneNode     bool     // for a claim: only pods of one node can use it at a time

	minAvailable   *intstr.IntOrString
	maxUnavailable *intstr.IntOrString
}

// Fields lists the fields at which Tree may find something in the object, so that their places can be kept.
func (f *Facts) Fields() []string { return f.fields }

// Selects reports whether the object selects pods that are not its own, as a Service and a budget do.
func (f *Facts) Selects() bool { return f.selects != nil && f.pods == nil }

// Passive reports whether the object matters to Tree only where another one Selects.
func (f *Facts) Passive() bool { return f.pods != nil && f.selects == nil && f.ttl == nil }

func (f *Facts) ignored(rule string) bool { return slices.Contains(f.ignores, rule) }

// Gather returns the facts of an object, or nil when it tells the rules of Tree nothing.
func Gather(object runtime.Object) *Facts {
	f := &Facts{}
	var meta *metav1.ObjectMeta
	switch x := object.(type) {
	case *appsv1.Deployment:
		meta, f.replicas, f.scalable = &x.ObjectMeta, x.Spec.Replicas, true
		f.workload(x.Spec.Selector, x.Spec.Template.Labels, "spec.selector", "spec.replicas")
		rolling := x.Spec.Strategy.RollingUpdate
		if x.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType && (rolling == nil || !zero(rolling.MaxSurge)) {
			f.claims = claims(&x.Spec.Template.Spec)
			f.fields = append(f.fields, strategyField)
		}
	case *appsv1.StatefulSet:
		meta, f.replicas, f.scalable, f.serviceName = &x.ObjectMeta, x.Spec.Replicas, true, x.Spec.ServiceName
		f.workload(x.Spec.Selector, x.Spec.Template.Labels, "spec.selector", "spec.replicas", "spec.serviceName")
	case *appsv1.ReplicaSet:
		meta, f.replicas, f.scalable = &x.ObjectMeta, x.Spec.Replicas, true
		f.workload(x.Spec.Selector, x.Spec.Template.Labels, "spec.selector", "spec.replicas")
	case *appsv1.DaemonSet:
		meta = &x.ObjectMeta
		f.workload(x.Spec.Selector, x.Spec.Template.Labels, "spec.selector")
	case *batchv1.Job:
		meta, f.ttl = &x.ObjectMeta, x.Spec.TTLSecondsAfterFinished
		f.workload(nil, x.Spec.Template.Labels, "spec.ttlSecondsAfterFinished")
		if f.pods == nil && f.ttl == nil {
			return nil
		}
	case *batchv1.CronJob:
		meta = &x.ObjectMeta
		f.workload(nil, x.Spec.JobTemplate.Spec.Template.Labels)
		if f.pods == nil {
			return nil
		}
	case *corev1.Service:
		meta, f.headless, f.fields = &x.ObjectMeta, x.Spec.ClusterIP == corev1.ClusterIPNone, []string{"spec.selector"}
		if len(x.Spec.Selector) > 0 {
			f.selects = selectionOf(&metav1.LabelSelector{MatchLabels: x.Spec.Selector})
		}
	case *corev1.PersistentVolumeClaim:
		meta, f.oneNode = &x.ObjectMeta, oneNode(x.Spec.AccessModes)
	case *policyv1.PodDisruptionBudget:
		meta, f.minAvailable, f.maxUnavailable = &x.ObjectMeta, x.Spec.MinAvailable, x.Spec.MaxUnavailable
		f.selects, f.fields = selectionOf(x.Spec.Selector), []string{"spec.selector", "spec.minAvailable", "spec.maxUnavailable"}
	case *autoscalingv1.HorizontalPodAutoscaler:
		meta, f.target = &x.ObjectMeta, &Name{Kind: x.Spec.ScaleTargetRef.Kind, Name: x.Spec.ScaleTargetRef.Name}
	case *autoscalingv2.HorizontalPodAutoscaler:
		meta, f.target = &x.ObjectMeta, &Name{Kind: x.Spec.ScaleTargetRef.Kind, Name: x.Spec.ScaleTargetRef.Name}
	default:
		return nil
	}
	f.ignores = ignores(meta)
	return f
}

func (f *Facts) workload(selector *metav1.LabelSelector, pods map[string]string, fields ...string) {
	f.selects, f.fields = selectionOf(selector), fields
	if len(pods) > 0 {
		f.pods, f.pairs = pods, pairs(pods)
	}
}

// pairs returns labels as "key=value", sorted.
func pairs(labels map[string]string) []string {
	all := make([]string, 0, len(labels))
	for key, value := range labels {
		all = append(all, key+"="+value)
	}
	slices.Sort(all)
	return all
}

// claims lists the volumes of a pod that other pods of the same workload share.
func claims(pod *corev1.PodSpec) []string {
	var names []string
	for _, volume := range pod.Volumes {
		if volume.PersistentVolumeClaim != nil && !volume.PersistentVolumeClaim.ReadOnly {
			names = append(names, volume.PersistentVolumeClaim.ClaimName)
		}
	}
	return names
}

// oneNode reports whether a claim's access modes keep its volume on one node.
func oneNode(modes []corev1.PersistentVolumeAccessMode) bool {
	return len(modes) > 0 && !slices.ContainsFunc(modes, func(mode corev1.PersistentVolumeAccessMode) bool {
		return mode == corev1.ReadWriteMany || mode == corev1.ReadOnlyMany
	})
}

// selection is a label selector. Most have only labels, which are compared directly.
type selection struct {
	labels map[string]string
	pairs  []string        // the same as pairs
	rest   labels.Selector // the expressions; nil for none
}

// selectionOf returns nil for a selector that selects nothing.
func selectionOf(selector *metav1.LabelSelector) *selection {
	if selector == nil {
		return nil
	}
	s := &selection{labels: selector.MatchLabels, pairs: pairs(selector.MatchLabels)}
	if len(selector.MatchExpressions) > 0 {
		rest, err := metav1.LabelSelectorAsSelector(&metav1.LabelSelector{MatchExpressions: selector.MatchExpressions})
		if err != nil {
			return nil // the verdict says why
		}
		s.rest = rest
	}
	return s
}

func (s *selection) matches(pods labels.Set) bool {
	for key, value := range s.labels {
		if have, ok := pods[key]; !ok || have != value {
			return false
		}
	}
	return s.rest == nil || s.rest.Matches(pods)
}
