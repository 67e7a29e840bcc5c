package e2e

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/fstest"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"kilter.dev/kilter/internal/await"
	"kilter.dev/kilter/internal/needs"
)

// onRealNode is the pod of a template whose only container does the steps, on the real node. It is indented for a Job or a DaemonSet.
func onRealNode(steps ...string) string {
	return fmt.Sprintf(`      nodeSelector: {kilter.dev/real-node: "true"}
      tolerations: [{key: kilter.dev/real-node, operator: Exists}]
      containers: [{name: main, image: "devcluster.kilter.dev/workload:1", args: [%s]}]
`, strings.Join(steps, ", "))
}

func jobOnRealNode(name string, steps ...string) *fstest.MapFile {
	return &fstest.MapFile{Data: fmt.Appendf(nil, `apiVersion: batch/v1
kind: Job
metadata: {name: %s}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
%s`, name, onRealNode(steps...))}
}

// TestRealNode has kilter run real containers: a Job that fails, one that asks the API server from its pod, and a DaemonSet. What they
// printed and how they ended is read through the API server.
func TestRealNode(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	node := needs.RealNode(t)
	ns := c.namespace(t, "real")
	_, url := repository(t, fstest.MapFS{
		"prod/migrate.yaml": jobOnRealNode("migrate", "print=about to fail", "exit=3"),
		"prod/report.yaml":  jobOnRealNode("report", "api=/readyz", "message=done"),
		"prod/agent.yaml": &fstest.MapFile{Data: []byte(`apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec:
` + onRealNode("print=started", "wait"))},
	})
	kilter(t, "run", "-f", syncFile(t, ns, url, ""), "--kubeconfig", c.kubeconfig, "--allow-insecure-git")

	job := await.Object{Client: c.BatchV1().RESTClient(), Resource: "jobs", Namespace: ns, Name: "migrate"}
	must(t, second(await.Until(ctx, job, func(j *batchv1.Job) bool { return j.Status.Failed == 1 })))
	c.checkPod(ctx, t, ns, "job-name=migrate", "about to fail\n", corev1.ContainerStateTerminated{ExitCode: 3, Reason: "Error"})
	job.Name = "report"
	must(t, second(await.Until(ctx, job, func(j *batchv1.Job) bool { return j.Status.Succeeded == 1 })))
	c.checkPod(ctx, t, ns, "job-name=report", "api /readyz: 200 OK\n", corev1.ContainerStateTerminated{Reason: "Completed", Message: "done"})

	agent := await.Object{Client: c.AppsV1().RESTClient(), Resource: "daemonsets", Namespace: ns, Name: "agent"}
	must(t, second(await.Until(ctx, agent, func(d *appsv1.DaemonSet) bool { return d.Status.NumberReady == 1 })))
	if pod := c.checkPod(ctx, t, ns, "app=agent", "started\n", corev1.ContainerStateTerminated{}); pod.Spec.NodeName != node {
		t.Errorf("the agent runs on %s, want %s", pod.Spec.NodeName, node)
	}
}

// checkPod wants one pod with these labels whose container printed the text and, unless the end is empty, ended so.
func (c *cluster) checkPod(ctx context.Context, t *testing.T, namespace, labels, text string, end corev1.ContainerStateTerminated) corev1.Pod {
	t.Helper()
	pods, err := c.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: labels})
	must(t, err)
	if len(pods.Items) != 1 {
		t.Fatalf("%d pods with %s, want 1", len(pods.Items), labels)
	}
	pod := pods.Items[0]
	options := &corev1.PodLogOptions{}
	if end == (corev1.ContainerStateTerminated{}) { // what runs may not have come to print it yet
		options = &corev1.PodLogOptions{Follow: true, LimitBytes: ptr.To(int64(len(text)))}
	}
	stream, err := c.CoreV1().Pods(namespace).GetLogs(pod.Name, options).Stream(ctx)
	must(t, err)
	log, err := io.ReadAll(stream)
	must(t, cmp.Or(err, stream.Close()))
	if string(log) != text {
		t.Errorf("the log of %s is %q, want %q", pod.Name, log, text)
	}
	var ended corev1.ContainerStateTerminated
	if state := pod.Status.ContainerStatuses[0].State.Terminated; state != nil {
		ended = corev1.ContainerStateTerminated{ExitCode: state.ExitCode, Reason: state.Reason, Message: state.Message}
	}
	if ended != end {
		t.Errorf("the container of %s ended with %+v, want %+v", pod.Name, ended, end)
	}
	return pod
}
