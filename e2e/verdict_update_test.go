package e2e

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"kilter.dev/kilter/internal/await"
	"kilter.dev/kilter/internal/mutate"
)

// How many updates of one and of two fields are tried on each live object.
const (
	updates     = 40
	updatePairs = 20
)

// TestVerdictOnUpdate changes fields of live workloads, which nothing disturbs, and sends them as a strict dry run of a PUT.
func TestVerdictOnUpdate(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	r, server := random(t), c.judge(ctx, t, "verdict-update")
	var questions []question
	table := workloadFields(t)
	for _, kind := range workloadKinds {
		for _, m := range resting(t, kind) {
			m = server.live(ctx, t, m)
			delete(m.object["metadata"].(object), "resourceVersion") // so that a late write of a controller is no conflict
			questions = append(questions, updateQuestions(t, r, m, table[kind])...)
		}
	}
	answers := server.compare(t, questions, updating)
	count(questions, answers).want(t, 1_000)
}

// resting returns the workloads of a kind so that none starts a pod, and Jobs both as suspended before they began and as begun:
// what of a Job may change depends on that.
func resting(t *testing.T, kind string) []manifest {
	t.Helper()
	var all []manifest
	for _, m := range workloads(t, kind) {
		metadata, spec := m.object["metadata"].(object), m.object["spec"].(object)
		delete(metadata, "finalizers") // nobody would remove them
		delete(metadata, "ownerReferences")
		switch kind {
		case "CronJob":
			spec["suspend"] = true
		case "DaemonSet":
			spec["template"].(object)["spec"].(object)["nodeSelector"] = object{"disk": "nowhere"}
		case "Deployment", "StatefulSet":
			spec["replicas"] = 0
		case "Job":
			begun := mutate.Copy(m.object).(object)
			begun["metadata"].(object)["name"] = m.name + "-begun"
			maps.Copy(begun["spec"].(object), object{"suspend": false, "parallelism": 0})
			all = append(all, manifestOf(begun))
			spec["suspend"] = true
		}
		all = append(all, m)
	}
	return all
}

// live creates the object and returns it, as the server has it, once its controller has nothing more to do with it.
func (j *judge) live(ctx context.Context, t *testing.T, m manifest) manifest {
	t.Helper()
	mapping, err := j.mapper.RESTMapping(m.gvk.GroupKind(), m.gvk.Version)
	must(t, err)
	client := dynamic.ResourceInterface(j.dynamic.Resource(mapping.Resource))
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		client = j.dynamic.Resource(mapping.Resource).Namespace(j.namespace)
	} else {
		t.Cleanup(func() {
			if err := client.Delete(context.WithoutCancel(t.Context()), m.name, metav1.DeleteOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	text, err := mutate.Encode(m.object)
	must(t, err)
	created := &unstructured.Unstructured{}
	must(t, created.UnmarshalJSON(text))
	must(t, second(client.Create(ctx, created, metav1.CreateOptions{})))
	j.rested(ctx, t, mapping.Resource.Resource, m)

	current, err := client.Get(ctx, m.name, metav1.GetOptions{})
	must(t, err)
	current.SetManagedFields(nil)
	m.live, err = current.MarshalJSON()
	must(t, err)
	m.object = current.Object
	return m
}

// rested waits until the object's controller has seen it.
func (j *judge) rested(ctx context.Context, t *testing.T, resource string, m manifest) {
	t.Helper()
	var err error
	o := await.Object{Client: j.AppsV1().RESTClient(), Resource: resource, Namespace: j.namespace, Name: m.name}
	switch m.gvk.Kind {
	case "DaemonSet":
		err = second(await.Until(ctx, o, func(d *appsv1.DaemonSet) bool { return d.Status.ObservedGeneration == d.Generation }))
	case "Deployment":
		err = second(await.Until(ctx, o, func(d *appsv1.Deployment) bool { return d.Status.ObservedGeneration == d.Generation }))
	case "StatefulSet":
		err = second(await.Until(ctx, o, func(s *appsv1.StatefulSet) bool { return s.Status.ObservedGeneration == s.Generation }))
	case "Job":
		o.Client = j.BatchV1().RESTClient()
		err = second(await.Until(ctx, o, func(j *batchv1.Job) bool { return j.Status.StartTime != nil || len(j.Status.Conditions) > 0 }))
	case "PodDisruptionBudget":
		o.Client = j.PolicyV1().RESTClient()
		err = second(await.Until(ctx, o, func(p *policyv1.PodDisruptionBudget) bool { return p.Status.ObservedGeneration == p.Generation }))
	}
	must(t, err)
}

// updateQuestions draws changes of a live object, half of them of its kind's own fields.
func updateQuestions(t *testing.T, r *rand.Rand, m manifest, table kindFields) []question {
	t.Helper()
	// A name and a UID say which object is meant.
	own := slices.DeleteFunc(table.own.changes(r), func(c mutate.Change) bool {
		return slices.Contains([]string{"metadata", "metadata.name", "metadata.uid", "metadata.resourceVersion"}, c.Path)
	})
	pod := table.pod.changes(r)
	draw := func() mutate.Change {
		from := [][]mutate.Change{own, pod}[r.IntN(2)]
		return from[r.IntN(len(from))]
	}
	unchanged, _ := m.with(t)
	questions := []question{unchanged}
	for len(questions) <= updates {
		if q, ok := m.with(t, draw()); ok {
			questions = append(questions, q)
		}
	}
	for len(questions) <= updates+updatePairs {
		if q, ok := m.with(t, draw(), draw()); ok {
			questions = append(questions, q)
		}
	}
	return questions
}
