//go:build linux

package main_test

import (
	"testing"
	"time"

	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"k8s.io/utils/ptr"
)

const (
	exitCode = "devcluster.kilter.dev/exit-code"
	duration = "devcluster.kilter.dev/duration"
)

// newNamespace creates a namespace of its own for a check, with its default ServiceAccount.
func newNamespace(t *testing.T, c *instance) string {
	t.Helper()
	wanted := &core.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	namespace, err := c.client.CoreV1().Namespaces().Create(t.Context(), wanted, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	await(t, c.client.CoreV1().RESTClient(), "serviceaccounts", namespace.Name, func(a *core.ServiceAccount) bool {
		return a.Name == "default"
	})
	return namespace.Name
}

// grant creates a ServiceAccount that may list one resource of the core group in its namespace.
func grant(t *testing.T, c *instance, namespace, name, resource string) {
	t.Helper()
	meta := metav1.ObjectMeta{Name: name, Namespace: namespace}
	rules := []rbac.PolicyRule{{APIGroups: []string{""}, Resources: []string{resource}, Verbs: []string{"list"}}}
	subject := rbac.Subject{Kind: rbac.ServiceAccountKind, Name: name, Namespace: namespace}
	create(t, c.client.CoreV1().RESTClient(), "serviceaccounts", namespace, &core.ServiceAccount{ObjectMeta: meta})
	create(t, c.client.RbacV1().RESTClient(), "roles", namespace, &rbac.Role{ObjectMeta: meta, Rules: rules})
	create(t, c.client.RbacV1().RESTClient(), "rolebindings", namespace, &rbac.RoleBinding{
		ObjectMeta: meta,
		Subjects:   []rbac.Subject{subject},
		RoleRef:    rbac.RoleRef{APIGroup: rbac.GroupName, Kind: "Role", Name: name},
	})
}

func create(t *testing.T, client rest.Interface, resource, namespace string, object runtime.Object) {
	t.Helper()
	if err := client.Post().Namespace(namespace).Resource(resource).Body(object).Do(t.Context()).Error(); err != nil {
		t.Fatalf("cannot create %s: %v", resource, err)
	}
}

// changeImage changes the pod template of the object named "test".
func changeImage(t *testing.T, client rest.Interface, resource, namespace string) {
	t.Helper()
	const change = `{"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "two"}]}}}}`
	request := client.Patch(types.StrategicMergePatchType).Namespace(namespace).Resource(resource).Name("test")
	if err := request.Body([]byte(change)).Do(t.Context()).Error(); err != nil {
		t.Fatalf("cannot patch %s: %v", resource, err)
	}
}

// object is a pointer to an API type.
type object[T any] interface {
	*T
	runtime.Object
}

// await watches a resource until an object in the namespace satisfies the condition, and returns that.
func await[T any, O object[T]](t *testing.T, client rest.Interface, resource, namespace string, condition func(O) bool) O {
	t.Helper()
	objects := cache.NewListWatchFromClient(client, resource, namespace, fields.Everything())
	event, err := watchtools.UntilWithSync(deadline(t), objects, O(new(T)), nil, func(event watch.Event) (bool, error) {
		return event.Type != watch.Deleted && condition(event.Object.(O)), nil
	})
	if err != nil {
		t.Fatalf("waiting for %s in %s: %v", resource, namespace, err)
	}
	return event.Object.(O)
}

// podTemplate returns a template with the given annotations.
func podTemplate(restart core.RestartPolicy, annotations map[string]string) core.PodTemplateSpec {
	return core.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "test"}, Annotations: annotations},
		Spec: core.PodSpec{
			RestartPolicy: restart,
			Containers:    []core.Container{{Name: "main", Image: "one"}},
		},
	}
}

var (
	meta     = metav1.ObjectMeta{Name: "test"}
	selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "test"}}
)

// runJob creates a Job and returns it with its condition of the given type.
func runJob(
	t *testing.T, c *instance, namespace string, spec batch.JobSpec, end batch.JobConditionType,
) (*batch.Job, batch.JobCondition) {
	t.Helper()
	create(t, c.client.BatchV1().RESTClient(), "jobs", namespace, &batch.Job{ObjectMeta: meta, Spec: spec})
	var found batch.JobCondition
	job := await(t, c.client.BatchV1().RESTClient(), "jobs", namespace, func(job *batch.Job) bool {
		for _, condition := range job.Status.Conditions {
			if condition.Type == end && condition.Status == core.ConditionTrue {
				found = condition
				return true
			}
		}
		return false
	})
	return job, found
}

func checkJob(t *testing.T, c *instance) {
	job, _ := runJob(t, c, newNamespace(t, c), batch.JobSpec{Template: podTemplate(core.RestartPolicyNever, nil)}, batch.JobComplete)
	if job.Status.Succeeded != 1 {
		t.Errorf("succeeded = %d, want 1", job.Status.Succeeded)
	}
}

func checkJobFails(t *testing.T, c *instance) {
	namespace := newNamespace(t, c)
	template := podTemplate(core.RestartPolicyNever, map[string]string{exitCode: "3"})
	_, condition := runJob(t, c, namespace, batch.JobSpec{BackoffLimit: ptr.To[int32](0), Template: template}, batch.JobFailed)
	if condition.Reason != batch.JobReasonBackoffLimitExceeded {
		t.Errorf("the Job failed for %s, want %s", condition.Reason, batch.JobReasonBackoffLimitExceeded)
	}
	pod := await(t, c.client.CoreV1().RESTClient(), "pods", namespace, func(pod *core.Pod) bool {
		return pod.Status.Phase == core.PodFailed
	})
	ended := pod.Status.ContainerStatuses[0].State.Terminated
	if ended == nil || ended.ExitCode != 3 || ended.Reason != "Error" {
		t.Errorf("the container ended with %+v, want exit code 3 and reason Error", ended)
	}
}

// checkJobOnFailure expects what a kubelet does: the pod stays, its containers start again, and each restart counts
// against the limit.
func checkJobOnFailure(t *testing.T, c *instance) {
	namespace := newNamespace(t, c)
	template := podTemplate(core.RestartPolicyOnFailure, map[string]string{exitCode: "3"})
	spec := batch.JobSpec{BackoffLimit: ptr.To[int32](1), Template: template}
	create(t, c.client.BatchV1().RESTClient(), "jobs", namespace, &batch.Job{ObjectMeta: meta, Spec: spec})
	pod := await(t, c.client.CoreV1().RESTClient(), "pods", namespace, func(pod *core.Pod) bool {
		return len(pod.Status.ContainerStatuses) > 0 && pod.Status.ContainerStatuses[0].RestartCount == 1
	})
	if last := pod.Status.ContainerStatuses[0].LastTerminationState.Terminated; last == nil || last.ExitCode != 3 {
		t.Errorf("the container ended last with %+v, want exit code 3", last)
	}
	await(t, c.client.BatchV1().RESTClient(), "jobs", namespace, func(job *batch.Job) bool { return job.Status.Failed == 1 })
}

func checkDuration(t *testing.T, c *instance) {
	namespace := newNamespace(t, c)
	template := podTemplate(core.RestartPolicyNever, map[string]string{duration: "2s"})
	job := &batch.Job{ObjectMeta: meta, Spec: batch.JobSpec{Template: template}}
	create(t, c.client.BatchV1().RESTClient(), "jobs", namespace, job)
	var running time.Time
	await(t, c.client.CoreV1().RESTClient(), "pods", namespace, func(pod *core.Pod) bool {
		if pod.Status.Phase == core.PodRunning && running.IsZero() {
			running = time.Now()
		}
		return pod.Status.Phase == core.PodSucceeded
	})
	// The watch may bring the first event late, hence the allowance.
	if took := time.Since(running); running.IsZero() || took < 1500*time.Millisecond {
		t.Errorf("the pod ran for %s, want 2s", took)
	}
}

func checkIndexedJob(t *testing.T, c *instance) {
	job, _ := runJob(t, c, newNamespace(t, c), batch.JobSpec{
		CompletionMode: ptr.To(batch.IndexedCompletion),
		Completions:    ptr.To[int32](8),
		Parallelism:    ptr.To[int32](3),
		Template:       podTemplate(core.RestartPolicyNever, nil),
	}, batch.JobComplete)
	if job.Status.CompletedIndexes != "0-7" {
		t.Errorf("completed indexes = %q, want 0-7", job.Status.CompletedIndexes)
	}
}

func checkDeployment(t *testing.T, c *instance) {
	namespace, client := newNamespace(t, c), c.client.AppsV1().RESTClient()
	template := podTemplate(core.RestartPolicyAlways, nil)
	spec := apps.DeploymentSpec{Replicas: ptr.To[int32](3), Selector: selector, Template: template}
	create(t, client, "deployments", namespace, &apps.Deployment{ObjectMeta: meta, Spec: spec})
	rolledOut := func(d *apps.Deployment) bool {
		status := d.Status
		return status.ObservedGeneration == d.Generation &&
			status.Replicas == 3 && status.UpdatedReplicas == 3 && status.AvailableReplicas == 3
	}
	first := await(t, client, "deployments", namespace, rolledOut)
	changeImage(t, client, "deployments", namespace)
	await(t, client, "deployments", namespace, func(d *apps.Deployment) bool {
		return d.Generation > first.Generation && rolledOut(d)
	})
}

// checkCrashLoop expects that no replica of a failing Deployment ever counts as available.
func checkCrashLoop(t *testing.T, c *instance) {
	namespace := newNamespace(t, c)
	template := podTemplate(core.RestartPolicyAlways, map[string]string{exitCode: "1"})
	template.Spec.InitContainers = []core.Container{{Name: "init", Image: "one"}}
	create(t, c.client.AppsV1().RESTClient(), "deployments", namespace,
		&apps.Deployment{ObjectMeta: meta, Spec: apps.DeploymentSpec{Selector: selector, Template: template}})
	await(t, c.client.CoreV1().RESTClient(), "pods", namespace, func(pod *core.Pod) bool {
		for _, condition := range pod.Status.Conditions {
			if condition.Type == core.PodReady && condition.Status == core.ConditionTrue {
				t.Fatal("the pod is Ready")
			}
		}
		statuses := pod.Status.ContainerStatuses
		return len(statuses) > 0 && statuses[0].RestartCount == 2 && statuses[0].State.Waiting != nil &&
			statuses[0].State.Waiting.Reason == "CrashLoopBackOff"
	})
}

func checkDaemonSet(t *testing.T, c *instance) {
	namespace, client := newNamespace(t, c), c.client.AppsV1().RESTClient()
	spec := apps.DaemonSetSpec{Selector: selector, Template: podTemplate(core.RestartPolicyAlways, nil)}
	create(t, client, "daemonsets", namespace, &apps.DaemonSet{ObjectMeta: meta, Spec: spec})
	rolledOut := func(d *apps.DaemonSet) bool {
		status := d.Status
		return status.ObservedGeneration == d.Generation && status.UpdatedNumberScheduled == 3 && status.NumberAvailable == 3
	}
	first := await(t, client, "daemonsets", namespace, rolledOut)
	changeImage(t, client, "daemonsets", namespace)
	await(t, client, "daemonsets", namespace, func(d *apps.DaemonSet) bool {
		return d.Generation > first.Generation && rolledOut(d)
	})
}

// checkStatefulSet also proves that claims are given volumes.
func checkStatefulSet(t *testing.T, c *instance) {
	namespace, client := newNamespace(t, c), c.client.AppsV1().RESTClient()
	claim := core.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "data"}, Spec: core.PersistentVolumeClaimSpec{
		AccessModes: []core.PersistentVolumeAccessMode{core.ReadWriteOnce},
		Resources:   core.VolumeResourceRequirements{Requests: core.ResourceList{core.ResourceStorage: resource.MustParse("1Gi")}},
	}}
	create(t, client, "statefulsets", namespace, &apps.StatefulSet{ObjectMeta: meta, Spec: apps.StatefulSetSpec{
		Replicas:             ptr.To[int32](2),
		Selector:             selector,
		Template:             podTemplate(core.RestartPolicyAlways, nil),
		VolumeClaimTemplates: []core.PersistentVolumeClaim{claim},
	}})
	await(t, client, "statefulsets", namespace, func(s *apps.StatefulSet) bool { return s.Status.AvailableReplicas == 2 })
}
