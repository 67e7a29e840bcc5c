//go:build linux

package main_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/utils/ptr"
)

// needRealNode skips a test on a machine that cannot run a real node, unless that is CI's.
func needRealNode(t *testing.T) {
	t.Helper()
	if reason, err := exec.Command(binary, "check-real-node").CombinedOutput(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("needs a real node: %s", reason)
		}
		t.Skipf("needs a real node: %s", reason)
	}
}

func TestRealNode(t *testing.T) {
	t.Parallel()
	needRealNode(t)
	c := startCluster(t, t.TempDir(), "--real-node")
	t.Run("is", func(t *testing.T) {
		for name, check := range map[string]func(*testing.T, *instance){
			"nothing left behind":   checkNoProbes,
			"job fails":             checkRealExit,
			"job fails by an index": checkRealIndex,
			"out of memory":         checkRealMemory,
			"daemonset":             checkRealDaemonSet,
			"others stay away":      checkDaemonSet,
			"others fail as before": checkJobFails,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				check(t, c)
			})
		}
	})
	m := c.machine(t)
	if err := c.signalAndWait(t, c.cmd.Process.Pid, syscall.SIGTERM); err != nil {
		t.Errorf("devcluster ended with %v after SIGTERM, want exit code 0; stderr:\n%s", err, c.stderr)
	}
	m.checkGone(t)
	if c.stderr.Len() > 0 {
		t.Errorf("stderr without --verbose = %q, want nothing", c.stderr)
	}
}

// TestRealNodeKill kills devcluster, then devcluster and the real node at once, then the kubelet, each time in the same directory.
func TestRealNodeKill(t *testing.T) {
	t.Parallel()
	needRealNode(t)
	dir := t.TempDir()
	c := startCluster(t, dir, "--real-node")
	spec := apps.DaemonSetSpec{Selector: selector, Template: realTemplate(core.RestartPolicyAlways, "wait")}
	create(t, c.client.AppsV1().RESTClient(), "daemonsets", "default", &apps.DaemonSet{ObjectMeta: meta, Spec: spec})
	m := c.machineThatRuns(t, time.Time{})
	if err := c.signalAndWait(t, c.cmd.Process.Pid, syscall.SIGKILL); err == nil {
		t.Error("devcluster ended with exit code 0 after SIGKILL")
	}
	m.checkGone(t)

	begin := time.Now()
	c = startCluster(t, dir, "--real-node")
	m = c.machineThatRuns(t, begin)
	realNode := c.pid(t, "real-node")
	for _, kill := range []struct {
		pid    int
		signal syscall.Signal
	}{{realNode, syscall.SIGSTOP}, {c.cmd.Process.Pid, syscall.SIGKILL}, {realNode, syscall.SIGKILL}} { // stopped, it cannot tidy up
		if err := syscall.Kill(kill.pid, kill.signal); err != nil {
			t.Fatal(err)
		}
	}
	_ = c.cmd.Wait()

	begin = time.Now()
	c = startCluster(t, dir, "--real-node")
	m.checkNoGroups(t)
	m = c.machineThatRuns(t, begin)
	if err := c.signalAndWait(t, m.kubelet(t), syscall.SIGKILL); err == nil {
		t.Error("devcluster ended with exit code 0 although the kubelet died")
	}
	m.checkGone(t)
	for _, want := range []string{"real-node died: exit status 1", "kubelet died: signal: killed", "log/kubelet.log"} {
		if !strings.Contains(c.stderr.String(), want) {
			t.Errorf("stderr has no %q:\n%s", want, c.stderr)
		}
	}
}

// TestRealNodeWithoutPrograms wants to be told what to install.
func TestRealNodeWithoutPrograms(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root: others are told that first")
	}
	up := exec.Command(binary, "up", "--dir", t.TempDir(), "--kubeconfig", filepath.Join(t.TempDir(), "k"), "--real-node")
	up.Env = []string{"PATH=" + t.TempDir()}
	out, err := up.CombinedOutput()
	const want = "without containerd, containerd-shim-runc-v2, ctr, runc: install what is missing with `apt-get install -y containerd runc`"
	if err == nil || !strings.Contains(string(out), want) {
		t.Errorf("%v, want an error with %q:\n%s", err, want, out)
	}
}

// machine is what the host sees of a real node.
type machine struct {
	dir        string   // the cluster's
	namespace  string   // of its processes; another machine may be given its number afterwards
	containers []string // by ID, while it ran
}

// machineThatRuns returns the machine once a container has started on it after begin.
func (c *instance) machineThatRuns(t *testing.T, begin time.Time) machine {
	t.Helper()
	await(t, c.client.CoreV1().RESTClient(), "pods", "default", func(pod *core.Pod) bool {
		statuses := pod.Status.ContainerStatuses
		return len(statuses) == 1 && statuses[0].State.Running != nil && statuses[0].State.Running.StartedAt.After(begin)
	})
	return c.machine(t)
}

func (c *instance) machine(t *testing.T) machine {
	t.Helper()
	namespace, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", c.pid(t, "real-node")))
	if err != nil {
		t.Fatal(err)
	}
	containers, err := os.ReadDir(filepath.Join(c.dir, "node/run/containerd/io.containerd.runtime.v2.task/k8s.io"))
	if err != nil || len(containers) == 0 {
		t.Fatalf("%d containers (%v), want some", len(containers), err)
	}
	m := machine{dir: c.dir, namespace: namespace}
	for _, container := range containers {
		m.containers = append(m.containers, container.Name())
	}
	if len(m.cgroups(t)) == 0 {
		t.Fatal("containers have no control groups")
	}
	return m
}

func (m machine) cgroups(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, container := range m.containers {
		for _, pattern := range []string{"/sys/fs/cgroup/*/k8s.io/", "/sys/fs/cgroup/k8s.io/"} {
			groups, err := filepath.Glob(pattern + container)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, groups...)
		}
	}
	return found
}

// processes returns the command lines of the machine's processes by their IDs.
func (m machine) processes(t *testing.T) map[int]string {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	found := map[int]string{}
	for _, process := range all {
		if namespace, err := os.Readlink(filepath.Join(process, "ns/pid")); err != nil || namespace != m.namespace {
			continue // another's, or it has ended
		}
		pid, err := strconv.Atoi(filepath.Base(process))
		if err != nil {
			t.Fatal(err)
		}
		line, err := os.ReadFile(filepath.Join(process, "cmdline"))
		if err != nil || len(line) == 0 {
			continue // it has ended, and its parent does not know yet
		}
		found[pid] = string(bytes.ReplaceAll(line, []byte{0}, []byte{' '}))
	}
	return found
}

// kubelet returns the kubelet's process ID.
func (m machine) kubelet(t *testing.T) int {
	t.Helper()
	for pid, line := range m.processes(t) {
		if strings.Contains(line, " component kubelet ") {
			return pid
		}
	}
	t.Fatal("there is no kubelet")
	return 0
}

// checkGone wants nothing left of the machine: no process, no control group, no mount.
func (m machine) checkGone(t *testing.T) {
	t.Helper()
	if left := m.processes(t); len(left) > 0 {
		t.Errorf("processes are left: %v", left)
	}
	m.checkNoGroups(t)
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(mounts, []byte(m.dir)) {
		t.Errorf("mounts are left:\n%s", mounts)
	}
}

func (m machine) checkNoGroups(t *testing.T) {
	t.Helper()
	if left := m.cgroups(t); len(left) > 0 {
		t.Errorf("control groups are left: %q", left)
	}
}

// realTemplate returns a template whose pods take the steps on the real node.
func realTemplate(restart core.RestartPolicy, steps ...string) core.PodTemplateSpec {
	template := podTemplate(restart, nil)
	template.Spec.NodeSelector = map[string]string{"kilter.dev/real-node": "true"}
	template.Spec.Tolerations = []core.Toleration{{Key: "kilter.dev/real-node", Operator: core.TolerationOpExists}}
	template.Spec.Containers = []core.Container{{Name: "main", Image: "devcluster.kilter.dev/workload:1", Args: steps}}
	return template
}

// failed returns how the container of a pod of a Job that failed has ended.
func failed(t *testing.T, c *instance, namespace string) (*core.Pod, *core.ContainerStateTerminated) {
	t.Helper()
	pod := await(t, c.client.CoreV1().RESTClient(), "pods", namespace, func(pod *core.Pod) bool { return pod.Status.Phase == core.PodFailed })
	return pod, pod.Status.ContainerStatuses[0].State.Terminated
}

// checkRealExit takes a Job through what a pod is given, what it says and how it ends.
func checkRealExit(t *testing.T, c *instance) {
	namespace := newNamespace(t, c)
	create(t, c.client.CoreV1().RESTClient(), "secrets", namespace, &core.Secret{ObjectMeta: meta, StringData: map[string]string{"key": "value"}})
	template := realTemplate(core.RestartPolicyNever, "env=GIVEN", "api=/readyz", "api=/api/v1/nodes", "message=told", "exit=3")
	template.Spec.Containers[0].Env = []core.EnvVar{{Name: "GIVEN", ValueFrom: &core.EnvVarSource{SecretKeyRef: &core.SecretKeySelector{
		LocalObjectReference: core.LocalObjectReference{Name: "test"}, Key: "key",
	}}}}
	runJob(t, c, namespace, batch.JobSpec{BackoffLimit: ptr.To[int32](0), Template: template}, batch.JobFailed)
	pod, end := failed(t, c, namespace)
	if end.ExitCode != 3 || end.Reason != "Error" || end.Message != "told" {
		t.Errorf("the container ended with %+v, want exit code 3, reason Error and its message", end)
	}
	log, err := c.client.CoreV1().Pods(namespace).GetLogs(pod.Name, &core.PodLogOptions{}).DoRaw(t.Context())
	const want = "GIVEN=value\napi /readyz: 200 OK\napi /api/v1/nodes: 403 Forbidden\n"
	if err != nil || string(log) != want {
		t.Errorf("the log is %q (%v), want %q", log, err, want)
	}
}

func checkRealIndex(t *testing.T, c *instance) {
	job, _ := runJob(t, c, newNamespace(t, c), batch.JobSpec{
		CompletionMode:       ptr.To(batch.IndexedCompletion),
		Completions:          ptr.To[int32](3),
		Parallelism:          ptr.To[int32](3),
		BackoffLimitPerIndex: ptr.To[int32](0),
		Template:             realTemplate(core.RestartPolicyNever, "fail-index=1:7"),
	}, batch.JobFailed)
	if job.Status.CompletedIndexes != "0,2" || ptr.Deref(job.Status.FailedIndexes, "") != "1" {
		t.Errorf("indexes = %q completed and %q failed, want 0,2 and 1", job.Status.CompletedIndexes, ptr.Deref(job.Status.FailedIndexes, ""))
	}
}

func checkRealMemory(t *testing.T, c *instance) {
	namespace := newNamespace(t, c)
	template := realTemplate(core.RestartPolicyNever, "memory=256Mi")
	template.Spec.Containers[0].Resources.Limits = core.ResourceList{core.ResourceMemory: resource.MustParse("64Mi")}
	runJob(t, c, namespace, batch.JobSpec{BackoffLimit: ptr.To[int32](0), Template: template}, batch.JobFailed)
	if _, end := failed(t, c, namespace); end.ExitCode != 137 || end.Reason != "OOMKilled" {
		t.Errorf("the container ended with %+v, want exit code 137 and reason OOMKilled", end)
	}
}

// checkRealDaemonSet also proves that a restricted pod runs, with volumes and a probe, and that one can execute programs in it.
func checkRealDaemonSet(t *testing.T, c *instance) {
	namespace := newNamespace(t, c)
	template := realTemplate(core.RestartPolicyAlways, "on-term=0", "wait")
	main := &template.Spec.Containers[0]
	main.ReadinessProbe = &core.Probe{ProbeHandler: core.ProbeHandler{Exec: &core.ExecAction{Command: []string{"/workload", "print=fine"}}}}
	main.VolumeMounts = []core.VolumeMount{{Name: "ca", MountPath: "/ca"}}
	main.SecurityContext = &core.SecurityContext{
		AllowPrivilegeEscalation: ptr.To(false),
		ReadOnlyRootFilesystem:   ptr.To(true),
		RunAsNonRoot:             ptr.To(true),
		Capabilities:             &core.Capabilities{Drop: []core.Capability{"ALL"}},
		SeccompProfile:           &core.SeccompProfile{Type: core.SeccompProfileTypeRuntimeDefault},
	}
	template.Spec.Volumes = []core.Volume{{Name: "ca", VolumeSource: core.VolumeSource{
		ConfigMap: &core.ConfigMapVolumeSource{LocalObjectReference: core.LocalObjectReference{Name: "kube-root-ca.crt"}},
	}}}
	spec := apps.DaemonSetSpec{Selector: selector, Template: template}
	create(t, c.client.AppsV1().RESTClient(), "daemonsets", namespace, &apps.DaemonSet{ObjectMeta: meta, Spec: spec})
	await(t, c.client.AppsV1().RESTClient(), "daemonsets", namespace, func(d *apps.DaemonSet) bool { return d.Status.NumberReady == 1 })
	pods, err := c.client.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil || len(pods.Items) != 1 {
		t.Fatalf("%d pods (%v), want 1", len(pods.Items), err)
	}
	request := c.client.CoreV1().RESTClient().Post().Namespace(namespace).Resource("pods").Name(pods.Items[0].Name).SubResource("exec").
		VersionedParams(&core.PodExecOptions{Command: []string{"/workload", "print=executed"}, Stdout: true}, scheme.ParameterCodec)
	executor, err := remotecommand.NewSPDYExecutor(c.config, http.MethodPost, request.URL())
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := executor.StreamWithContext(t.Context(), remotecommand.StreamOptions{Stdout: &out}); err != nil || out.String() != "executed\n" {
		t.Errorf("executing a program printed %q (%v), want executed", &out, err)
	}
}
