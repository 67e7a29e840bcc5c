package health

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"kilter.dev/kilter/internal/golden"
)

// Each file of testdata/rollouts holds cases. A case describes a workload, its nodes and its pods, a line each, and ends with what is judged:
//
//	# what the case is about
//	daemonset maxUnavailable=1 desired=4 current=4 updated=4 available=4 misscheduled=1
//	node a notready=12m
//	pod agent-1 on=a rev=old why=CrashLoopBackOff
//	= Current NodesNotWaitedFor: …
//
// -update writes the lines that begin with "=" anew.
func TestRollouts(t *testing.T) {
	files, err := filepath.Glob("testdata/rollouts/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var cases []string
			for _, c := range strings.Split(strings.TrimSpace(string(text)), "\n\n") {
				lines := strings.Split(c, "\n")
				for i, line := range lines {
					if strings.HasPrefix(line, "=") {
						lines = lines[:i]
						break
					}
				}
				cases = append(cases, strings.Join(lines, "\n")+"\n"+answer(judge(t, lines)))
			}
			golden.Check(t, file, strings.Join(cases, "\n\n")+"\n")
		})
	}
}

func answer(r Rollout) string {
	text := fmt.Sprintf("= %s %s: %s\n= %d of %d done, %d outdated", r.Health.Word, r.Health.Reason, r.Health.Message, r.Done, r.Pods, r.OutdatedPods)
	if !r.Until.IsZero() {
		text += ", until " + r.Until.Sub(now).String()
	}
	return text
}

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// fields are the key=value words of a line.
type fields map[string]string

func (f fields) number(key string) int32 {
	n, err := strconv.Atoi(f[key])
	if err != nil && f[key] != "" {
		panic(key + "=" + f[key])
	}
	return int32(n)
}

// ago returns the time that is the named duration before now.
func (f fields) ago(key string) metav1.Time {
	if f[key] == "" {
		return metav1.NewTime(now.Add(-time.Hour))
	}
	d, err := time.ParseDuration(f[key])
	if err != nil {
		panic(err)
	}
	return metav1.NewTime(now.Add(-d))
}

// judge reads a case.
func judge(t *testing.T, lines []string) Rollout {
	t.Helper()
	var daemonSet *appsv1.DaemonSet
	var statefulSet *appsv1.StatefulSet
	var pods []Pod
	nodes, blind := []Node{}, false
	for _, line := range lines {
		words := strings.Fields(line)
		f := fields{}
		for _, w := range words[1:] {
			key, value, _ := strings.Cut(w, "=")
			f[key] = value
		}
		switch words[0] {
		case "#":
		case "daemonset":
			daemonSet = f.daemonSet()
		case "statefulset":
			statefulSet = f.statefulSet()
		case "node":
			nodes = append(nodes, NodeOf(f.node(words[1])))
		case "pod":
			pods = append(pods, PodOf(f.pod(words[1])))
		case "blind":
			blind = true
		default:
			t.Fatalf("%q is no line of a case", line)
		}
	}
	if blind {
		nodes = nil
	}
	if statefulSet != nil {
		return StatefulPods{StatefulSet: statefulSet, Pods: pods, Nodes: nodes, Now: now}.Judge()
	}
	return DaemonPods{DaemonSet: daemonSet, Revision: "new", Pods: pods, Nodes: nodes, Now: now, Grace: time.Minute}.Judge()
}

func (f fields) daemonSet() *appsv1.DaemonSet {
	d := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: "agent", Namespace: "shop", Generation: 2}}
	d.Annotations = map[string]string{appsv1.DeprecatedTemplateGeneration: "2"}
	d.Spec.MinReadySeconds = f.number("minReadySeconds")
	d.Spec.UpdateStrategy.Type = appsv1.RollingUpdateDaemonSetStrategyType
	rolling := &appsv1.RollingUpdateDaemonSet{}
	for key, limit := range map[string]**intstr.IntOrString{"maxUnavailable": &rolling.MaxUnavailable, "maxSurge": &rolling.MaxSurge} {
		if value, ok := f[key]; ok {
			parsed := intstr.Parse(value)
			*limit = &parsed
		}
	}
	d.Spec.UpdateStrategy.RollingUpdate = rolling
	if _, ok := f["OnDelete"]; ok {
		d.Spec.UpdateStrategy = appsv1.DaemonSetUpdateStrategy{Type: appsv1.OnDeleteDaemonSetStrategyType}
	}
	if value, ok := f["selects"]; ok {
		d.Spec.Template.Spec.NodeSelector = map[string]string{"pool": value}
	}
	if value, ok := f["tolerates"]; ok {
		d.Spec.Template.Spec.Tolerations = []corev1.Toleration{{Key: value, Operator: corev1.TolerationOpExists}}
	}
	d.Status = appsv1.DaemonSetStatus{
		ObservedGeneration: 2, DesiredNumberScheduled: f.number("desired"), CurrentNumberScheduled: f.number("current"),
		UpdatedNumberScheduled: f.number("updated"), NumberAvailable: f.number("available"), NumberMisscheduled: f.number("misscheduled"),
	}
	if _, ok := f["unobserved"]; ok {
		d.Status.ObservedGeneration = 1
	}
	return d
}

func (f fields) statefulSet() *appsv1.StatefulSet {
	s := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop", Generation: 2}}
	replicas, partition := f.number("replicas"), f.number("partition")
	s.Spec.Replicas = &replicas
	s.Spec.MinReadySeconds = f.number("minReadySeconds")
	s.Spec.UpdateStrategy = appsv1.StatefulSetUpdateStrategy{
		Type: appsv1.RollingUpdateStatefulSetStrategyType, RollingUpdate: &appsv1.RollingUpdateStatefulSetStrategy{Partition: &partition},
	}
	if _, ok := f["OnDelete"]; ok {
		s.Spec.UpdateStrategy = appsv1.StatefulSetUpdateStrategy{Type: appsv1.OnDeleteStatefulSetStrategyType}
	}
	s.Spec.PodManagementPolicy = appsv1.OrderedReadyPodManagement
	if _, ok := f["Parallel"]; ok {
		s.Spec.PodManagementPolicy = appsv1.ParallelPodManagement
	}
	if f["start"] != "" {
		s.Spec.Ordinals = &appsv1.StatefulSetOrdinals{Start: f.number("start")}
	}
	s.Status = appsv1.StatefulSetStatus{
		ObservedGeneration: 2, UpdateRevision: "new", Replicas: f.number("current"), UpdatedReplicas: f.number("updated"),
		ReadyReplicas: f.number("ready"), AvailableReplicas: f.number("available"),
	}
	return s
}

func (f fields) node(name string) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(now.Add(-time.Hour))}}
	ready := corev1.NodeCondition{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastTransitionTime: f.ago("notready")}
	if f["notready"] != "" {
		ready.Status = corev1.ConditionUnknown
		n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: corev1.TaintNodeUnreachable, Effect: corev1.TaintEffectNoSchedule})
	}
	n.Status.Conditions = []corev1.NodeCondition{ready}
	if _, ok := f["silent"]; ok {
		n.Status.Conditions = nil
	}
	if _, ok := f["cordoned"]; ok {
		n.Spec.Unschedulable = true
		n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule})
	}
	if taint, ok := f["taint"]; ok {
		key, effect, _ := strings.Cut(taint, ":")
		n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: key, Value: "value", Effect: corev1.TaintEffect(effect)})
	}
	if pool, ok := f["pool"]; ok {
		n.Labels = map[string]string{"pool": pool}
	}
	return n
}

// pod is ready since an hour, unless something is wrong with it.
func (f fields) pod(name string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{appsv1.ControllerRevisionHashLabelKey: "new"}}}
	if rev := f["rev"]; rev != "" {
		p.Labels[appsv1.ControllerRevisionHashLabelKey] = rev
	}
	if generation := f["generation"]; generation != "" {
		p.Labels["pod-template-generation"] = generation
	}
	p.Spec.NodeName = f["on"]
	p.Status.Phase = corev1.PodRunning
	if node := f["for"]; node != "" { // not scheduled yet
		p.Status.Phase = corev1.PodPending
		p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchFields: []corev1.NodeSelectorRequirement{{Key: "metadata.name", Operator: corev1.NodeSelectorOpIn, Values: []string{node}}},
			}}},
		}}
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable"}}
	}
	ready := corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: f.ago("ready")}
	container := corev1.ContainerStatus{Ready: true}
	if why, ok := f["why"]; ok {
		ready.Status, container.Ready = corev1.ConditionFalse, false
		if why != "notready" {
			container.State.Waiting = &corev1.ContainerStateWaiting{Reason: why}
		}
	}
	container.RestartCount = f.number("restarts")
	p.Status.ContainerStatuses = []corev1.ContainerStatus{container}
	if phase := f["phase"]; phase != "" {
		ready.Status, p.Status.Phase, p.Status.Reason = corev1.ConditionFalse, corev1.PodPhase(phase), f["reason"]
	}
	if f["for"] == "" {
		p.Status.Conditions = append(p.Status.Conditions, ready)
	}
	if _, ok := f["terminating"]; ok {
		p.DeletionTimestamp = &metav1.Time{Time: now}
	}
	return p
}
