//go:build linux

package main_test

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Bounds, generous because a machine may be busy; on two idle cores a start takes five seconds, an end one.
const (
	startBound = time.Minute
	endBound   = 15 * time.Second
)

// ldflags give the API server its version, as the Makefile does.
const ldflags = "-s -w -X k8s.io/component-base/version.gitVersion=v1.37.2" +
	" -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=37"

// binary is the program under test: the one that DEVCLUSTER_BIN names, or else built here.
var binary string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	if binary = os.Getenv("DEVCLUSTER_BIN"); binary != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "devcluster")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "devcluster")
	for _, args := range [][]string{
		{"-ldflags", ldflags, "-o", binary, "."},
		{"-ldflags", "-s -w", "-o", binary + "-workload", "./workload"},
	} {
		build := exec.Command("go", append([]string{"build"}, args...)...)
		build.Stdout, build.Stderr = os.Stderr, os.Stderr
		if err := build.Run(); err != nil {
			panic(err)
		}
	}
	return m.Run()
}

// instance is a running "devcluster up".
type instance struct {
	dir    string
	count  int // of components
	cmd    *exec.Cmd
	stderr *bytes.Buffer // valid once the process has ended
	config *rest.Config
	client kubernetes.Interface
}

// startCluster runs "devcluster up" in dir until it prints ready. It is killed at the end of the test if need be.
func startCluster(t *testing.T, dir string, flags ...string) *instance {
	t.Helper()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	c := &instance{dir: dir, count: 5, stderr: new(bytes.Buffer)}
	if slices.Contains(flags, "--real-node") {
		c.count++
	}
	c.cmd = exec.Command(binary, append([]string{"up", "--dir", dir, "--kubeconfig", kubeconfig}, flags...)...)
	c.cmd.Stderr = c.stderr
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.cmd.Process.Kill() })
	late := time.AfterFunc(startBound, func() { _ = c.cmd.Process.Kill() })
	defer late.Stop()

	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || line != "ready\n" {
		_ = c.cmd.Wait()
		t.Fatalf("stdout = %q (%v), want ready within %s; stderr:\n%s", line, err, startBound, c.stderr)
	}
	t.Logf("ready after %s", time.Since(begin).Round(time.Millisecond))
	if c.config, err = clientcmd.BuildConfigFromFlags("", kubeconfig); err != nil {
		t.Fatal(err)
	}
	c.config.QPS = -1
	if c.client, err = kubernetes.NewForConfig(c.config); err != nil {
		t.Fatal(err)
	}
	return c
}

// components returns a file descriptor for each component's process, by name, that becomes readable when it has ended.
func (c *instance) components(t *testing.T) map[string]int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(c.dir, "pid", "*"))
	if err != nil || len(files) != c.count {
		t.Fatalf("pid files = %v (%v), want %d", files, err, c.count)
	}
	fds := make(map[string]int)
	for _, file := range files {
		fd, err := unix.PidfdOpen(c.pid(t, filepath.Base(file)), 0)
		if err != nil {
			t.Fatalf("%s does not run: %v", file, err)
		}
		t.Cleanup(func() { _ = unix.Close(fd) })
		fds[filepath.Base(file)] = fd
	}
	return fds
}

func (c *instance) pid(t *testing.T, component string) int {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(c.dir, "pid", component))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// signalAndWait sends a signal to the process pid and returns when devcluster, all its components and its port are gone.
func (c *instance) signalAndWait(t *testing.T, pid int, signal syscall.Signal) error {
	t.Helper()
	components := c.components(t)
	begin := time.Now()
	if err := syscall.Kill(pid, signal); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(endBound, func() { _ = c.cmd.Process.Kill() })
	result := c.cmd.Wait()
	if !late.Stop() {
		t.Errorf("devcluster was still up %s after the signal", endBound)
	}
	for name, fd := range components {
		left := max(0, endBound-time.Since(begin))
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(left.Milliseconds()))
		if n != 1 {
			t.Errorf("%s still runs %s after the signal (%v)", name, endBound, err)
		}
	}
	t.Logf("all gone after %s", time.Since(begin).Round(time.Millisecond))
	server, err := url.Parse(c.config.Host)
	if err != nil {
		t.Fatal(err)
	}
	if conn, err := net.Dial("tcp", server.Host); err == nil {
		conn.Close()
		t.Errorf("port %s is still open", server.Host)
	}
	return result
}

func TestUp(t *testing.T) {
	t.Parallel()
	c := startCluster(t, t.TempDir())
	t.Run("is", func(t *testing.T) {
		for name, check := range map[string]func(*testing.T, *instance){
			"version":               checkVersion,
			"nothing left behind":   checkNoProbes,
			"directory is locked":   checkLocked,
			"job completes":         checkJob,
			"job fails":             checkJobFails,
			"job restarts in place": checkJobOnFailure,
			"job takes its time":    checkDuration,
			"indexed job":           checkIndexedJob,
			"deployment rolls":      checkDeployment,
			"deployment crashes":    checkCrashLoop,
			"daemonset rolls":       checkDaemonSet,
			"statefulset, volumes":  checkStatefulSet,
			"rbac":                  checkServiceAccount,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				check(t, c)
			})
		}
	})
	if err := c.signalAndWait(t, c.cmd.Process.Pid, syscall.SIGTERM); err != nil {
		t.Errorf("devcluster ended with %v after SIGTERM, want exit code 0; stderr:\n%s", err, c.stderr)
	}
	if c.stderr.Len() > 0 {
		t.Errorf("stderr without --verbose = %q, want nothing", c.stderr)
	}
}

// TestKill kills devcluster, starts it again in the same directory, and then kills one component.
func TestKill(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := t.TempDir()
	first := startCluster(t, dir)
	kept := &core.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "kept", Namespace: "default"}}
	if _, err := first.client.CoreV1().ConfigMaps("default").Create(ctx, kept, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := first.signalAndWait(t, first.cmd.Process.Pid, syscall.SIGKILL); err == nil {
		t.Error("devcluster ended with exit code 0 after SIGKILL")
	}

	second := startCluster(t, dir, "--nodes", "2")
	if _, err := second.client.CoreV1().ConfigMaps("default").Get(ctx, "kept", metav1.GetOptions{}); err != nil {
		t.Errorf("an object did not survive the restart: %v", err)
	}
	if nodes, err := second.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{}); err != nil || len(nodes.Items) != 2 {
		t.Errorf("%d nodes (%v), want 2", len(nodes.Items), err)
	}
	if err := second.signalAndWait(t, second.pid(t, "kube-scheduler"), syscall.SIGKILL); err == nil {
		t.Error("devcluster ended with exit code 0 although a component died")
	}
	log := filepath.Join(dir, "log", "kube-scheduler.log")
	for _, want := range []string{"kube-scheduler died: signal: killed", log, "Starting Kubernetes Scheduler"} {
		if !strings.Contains(second.stderr.String(), want) {
			t.Errorf("stderr has no %q:\n%s", want, second.stderr)
		}
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ args, want string }{
		{"up", `required flag(s) "dir", "kubeconfig" not set`},
		{"up --dir DIR --kubeconfig DIR/k --nodes 0", "cannot start 0 nodes"},
		{"up --dir /dev/null/d --kubeconfig DIR/k", "cannot prepare the directory /dev/null/d"},
		{"kubeconfig --dir DIR --service-account a/b", "start one with devcluster up"},
		{"kubeconfig --dir DIR --service-account a", `cannot read the ServiceAccount "a": write it as NAMESPACE/NAME`},
		{"component nonsense", `there is no such component`},
	} {
		t.Run(test.args, func(t *testing.T) {
			args := strings.Fields(strings.ReplaceAll(test.args, "DIR", t.TempDir()))
			command := exec.Command(binary, args...)
			if _, err := command.StdinPipe(); err != nil { // a component ends when its stdin does
				t.Fatal(err)
			}
			out, err := command.CombinedOutput()
			if err == nil || !strings.Contains(string(out), test.want) {
				t.Errorf("devcluster %s: %v, want an error with %q:\n%s", test.args, err, test.want, out)
			}
		})
	}
}

func checkVersion(t *testing.T, c *instance) {
	version, err := c.client.Discovery().ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	if version.GitVersion != "v1.37.2" || version.Major != "1" || version.Minor != "37" {
		t.Errorf("version = %+v, want v1.37.2", version)
	}
}

// checkNoProbes looks for what the proof of readiness may have left.
func checkNoProbes(t *testing.T, c *instance) {
	pods, err := c.client.CoreV1().Pods(metav1.NamespaceSystem).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(pods.Items) > 0 {
		t.Errorf("%d pods are left in kube-system, want none", len(pods.Items))
	}
}

func checkLocked(t *testing.T, c *instance) {
	out, err := exec.Command(binary, "up", "--dir", c.dir, "--kubeconfig", filepath.Join(t.TempDir(), "k")).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "another devcluster is up in it") {
		t.Errorf("a second up in the same directory: %v, want an error that says so:\n%s", err, out)
	}
}

// checkServiceAccount proves that a ServiceAccount may do what its Role says and nothing else.
func checkServiceAccount(t *testing.T, c *instance) {
	ctx := t.Context()
	namespace := newNamespace(t, c)
	grant(t, c, namespace, "reader", "configmaps")
	out := filepath.Join(t.TempDir(), "kubeconfig")
	run := exec.Command(binary, "kubeconfig", "--dir", c.dir, "--service-account", namespace+"/reader", "--out", out)
	if msg, err := run.CombinedOutput(); err != nil {
		t.Fatalf("devcluster kubeconfig: %v\n%s", err, msg)
	}
	config, err := clientcmd.BuildConfigFromFlags("", out)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.CoreV1().ConfigMaps(namespace).List(ctx, metav1.ListOptions{}); err != nil {
		t.Errorf("the Role's own right is refused: %v", err)
	}
	if _, err := client.CoreV1().Secrets(namespace).List(ctx, metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("listing secrets: %v, want Forbidden", err)
	}
	if _, err := client.CoreV1().ConfigMaps("default").List(ctx, metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("listing another namespace: %v, want Forbidden", err)
	}
	missing, err := exec.Command(binary, "kubeconfig", "--dir", c.dir, "--service-account", namespace+"/nobody").CombinedOutput()
	if err == nil || !strings.Contains(string(missing), "it does not exist") {
		t.Errorf("kubeconfig of a missing ServiceAccount: %v, want an error that says so:\n%s", err, missing)
	}
}

// deadline bounds one check.
func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}
