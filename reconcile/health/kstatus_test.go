package health

import (
	"maps"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
)

// otherwise gives, for each fixture of a kind that is no workload, what kstatus says where Compute says something else, and why that is
// better. An empty word: kstatus cannot read the object.
var otherwise = map[string]struct {
	kstatus status.Status
	why     string
}{
	"claim-lost":                                         {"InProgress", "what is gone does not come back"},
	"claim-waits-for-first-consumer":                     {"InProgress", "the pod that it waits for is applied after it"},
	"generic-condition-of-older-generation":              {"Current", "the condition speaks of the spec before this one"},
	"generic-conditions-of-another-shape":                {"", "nobody promised conditions"},
	"generic-not-ready-with-conditions-of-another-shape": {"", "one odd entry does not hide the others"},
	"namespace-terminating":                              {"Current", "nothing can be created in it any more"},
	"pod-failed":                                         {"Current", "to have ended in failure is not what anybody asked for"},
	"pod-unschedulable":                                  {"Failed", "a node may come, and spec.timeout ends the wait"},
	"apiservice-not-available":                           {"Current", "kstatus has no rule for it; its kinds cannot be used"},
}

// Whatever stands beside the workloads is judged as kstatus does, save for what the table gives a reason for.
func TestComputeAgainstKstatus(t *testing.T) {
	workloads := map[string]bool{"Job": true, "CronJob": true, "DaemonSet": true, "Deployment": true, "StatefulSet": true}
	unused := maps.Clone(otherwise)
	for _, file := range fixtures(t) {
		u := read(t, file)
		if workloads[u.GetKind()] {
			continue
		}
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		var theirs status.Status
		if result, err := status.Compute(u); err == nil {
			theirs = result.Status
		}
		ours := Compute(u).Word
		difference, judged := otherwise[name]
		switch {
		case string(ours) == string(theirs) && judged:
			t.Errorf("%s: kstatus agrees: %s", name, ours)
		case string(ours) != string(theirs) && difference.kstatus != theirs:
			t.Errorf("%s: %s, but kstatus says %q", name, ours, theirs)
		}
		delete(unused, name)
	}
	for name := range unused {
		t.Errorf("there is no fixture %s", name)
	}
}

// An object is judged alike in whatever form a client decoded it.
func TestOfEveryForm(t *testing.T) {
	types := map[string]func() metav1.Object{
		"Job":                   func() metav1.Object { return new(batchv1.Job) },
		"CronJob":               func() metav1.Object { return new(batchv1.CronJob) },
		"DaemonSet":             func() metav1.Object { return new(appsv1.DaemonSet) },
		"Deployment":            func() metav1.Object { return new(appsv1.Deployment) },
		"StatefulSet":           func() metav1.Object { return new(appsv1.StatefulSet) },
		"ReplicaSet":            func() metav1.Object { return new(appsv1.ReplicaSet) },
		"Pod":                   func() metav1.Object { return new(corev1.Pod) },
		"PersistentVolumeClaim": func() metav1.Object { return new(corev1.PersistentVolumeClaim) },
		"Namespace":             func() metav1.Object { return new(corev1.Namespace) },
		"PodDisruptionBudget":   func() metav1.Object { return new(policyv1.PodDisruptionBudget) },
	}
	reached := map[string]bool{}
	for _, file := range fixtures(t) {
		u := read(t, file)
		kind := u.GetKind()
		if types[kind] == nil || Compute(u).Reason == ReasonUnreadable {
			continue
		}
		reached[kind] = true
		typed := types[kind]()
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, typed); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, form := range []metav1.Object{u, typed} {
			if got, want := Of(form), Compute(u); got != want {
				t.Errorf("%s as %T: %+v, want %+v", file, form, got, want)
			}
		}
		if InMetadata(u.GroupVersionKind().GroupKind()) {
			t.Errorf("%s: %s has a judgement of its own", file, kind)
		}
	}
	for kind := range types {
		if !reached[kind] {
			t.Errorf("no fixture of a %s", kind)
		}
	}
}
