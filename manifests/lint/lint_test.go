package lint

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
)

// known are the kinds that rules look at.
var known = []schema.GroupVersionKind{
	appsv1.SchemeGroupVersion.WithKind("DaemonSet"),
	appsv1.SchemeGroupVersion.WithKind("Deployment"),
	appsv1.SchemeGroupVersion.WithKind("ReplicaSet"),
	appsv1.SchemeGroupVersion.WithKind("StatefulSet"),
	autoscalingv1.SchemeGroupVersion.WithKind("HorizontalPodAutoscaler"),
	autoscalingv2.SchemeGroupVersion.WithKind("HorizontalPodAutoscaler"),
	batchv1.SchemeGroupVersion.WithKind("CronJob"),
	batchv1.SchemeGroupVersion.WithKind("Job"),
	corev1.SchemeGroupVersion.WithKind("PersistentVolumeClaim"),
	corev1.SchemeGroupVersion.WithKind("Pod"),
	corev1.SchemeGroupVersion.WithKind("Service"),
	policyv1.SchemeGroupVersion.WithKind("PodDisruptionBudget"),
}

// TestRules holds what people and programs rely on: IDs that can stand in an annotation, and a check behind each.
func TestRules(t *testing.T) {
	id := regexp.MustCompile(`^[a-z]+(-[a-z]+)+$`)
	kinds := map[string]bool{}
	for _, gvk := range known {
		kinds[gvk.Kind] = true
	}
	seen := map[string]bool{}
	for _, rule := range Rules() {
		if !id.MatchString(rule.ID) || seen[rule.ID] || rule.Summary == "" {
			t.Errorf("rule %+v", rule)
		}
		seen[rule.ID] = true
		if rule.object == nil && rule.tree == nil && rule.ID != unknownIgnore {
			t.Errorf("%s checks nothing", rule.ID)
		}
		for _, kind := range rule.Kinds {
			if !kinds[kind] {
				t.Errorf("%s is for %s, which is never looked at", rule.ID, kind)
			}
		}
	}
	if !slices.IsSortedFunc(rules, func(a, b Rule) int { return strings.Compare(a.ID, b.ID) }) {
		t.Error("the table is not sorted")
	}
}

// TestEmptyObjects gives each rule objects without anything in them: the lint sees objects as written, so every pointer may be
// nil.
func TestEmptyObjects(t *testing.T) {
	var members []Member
	for _, gvk := range known {
		object, err := clientgoscheme.Scheme.New(gvk)
		if err != nil {
			t.Fatal(err)
		}
		Check(object, Options{Now: time.Unix(0, 0)})
		if newSubject(object, Options{}) == nil {
			t.Errorf("%s is known and not taken apart", gvk)
		}
		members = append(members, Member{Name: Name{Kind: gvk.Kind}, Facts: Gather(object)})
	}
	slices.SortFunc(members, func(a, b Member) int { return a.compare(b.Name) })
	Tree(members)
	if got := Check(&corev1.ConfigMap{}, Options{}); got != nil || Gather(&corev1.ConfigMap{}) != nil {
		t.Errorf("a ConfigMap draws %v", got)
	}
	if got := Check(runtime.Object(nil), Options{}); got != nil {
		t.Errorf("nothing draws %v", got)
	}
}

// TestChooseIsBounded makes every selector select every workload: the worst that a tree can do.
func TestChooseIsBounded(t *testing.T) {
	const n = 2000
	members := make([]Member, n)
	for i := range members {
		pods := labels.Set{"app": "same"}
		members[i] = Member{Name: Name{"a", "Deployment", fmt.Sprintf("%05d", i)}, Facts: &Facts{
			pods: pods, pairs: []string{"app=same"}, selects: &selection{labels: pods, pairs: []string{"app=same"}}, scalable: true,
		}}
	}
	f := &forest{members: members}
	f.choose()
	matches := 0
	for _, chosen := range f.chosen {
		matches += len(chosen)
	}
	if matches == 0 || matches > n*maxCompared {
		t.Errorf("%d matches", matches)
	}
	if remarks := Tree(members); len(remarks) == 0 || remarks[0].Rule != "overlapping-selectors" {
		t.Errorf("%d remarks", len(remarks))
	}
}
