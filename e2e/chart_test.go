package e2e

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/internal/await"
	"kilter.dev/kilter/internal/gitserver"
	"kilter.dev/kilter/internal/needs"
	"kilter.dev/kilter/internal/process"
)

// chartPatience bounds the waits of TestChart, whose steps each start a container.
const chartPatience = 5 * time.Minute

// installation is Kilter as a platform team has it: a release of the chart, in a cluster of its own, whose pod runs in a container.
type installation struct {
	*cluster
	system, team string // the namespaces of Kilter and of the workloads
	values       string // file
}

// TestChart takes the chart and the image through the life of an installation. Kilter has nothing there but what the chart gives it: the
// pod of its Deployment, its ServiceAccount's projected token, its Roles and its probes.
func TestChart(t *testing.T) {
	t.Parallel()
	needs.RealNode(t)
	ctx, cancel := context.WithTimeout(t.Context(), chartPatience)
	t.Cleanup(cancel)
	i := newInstallation(ctx, t)
	repo := i.repository(ctx, t, chartWorkloads)
	web := await.Object{Client: i.AppsV1().RESTClient(), Resource: "deployments", Namespace: i.team, Name: "web"}
	replicas := func(t *testing.T, want int32) *appsv1.Deployment {
		t.Helper()
		d, err := await.Until(ctx, web, func(d *appsv1.Deployment) bool { return *d.Spec.Replicas == want })
		must(t, err)
		return d
	}
	scale := func(t *testing.T, from, to int32) {
		t.Helper()
		must(t, repo.Replace("prod/web.yaml", fmt.Sprintf("replicas: %d", from), fmt.Sprintf("replicas: %d", to)))
		push(t, repo)
		replicas(t, to)
	}

	i.helm(ctx, t, "install", "--values", i.values)
	// The first release brought the CRD, so its Syncs wait for the next, as NOTES.txt says.
	i.helm(ctx, t, "upgrade", "--reuse-values")
	first := replicas(t, 1)
	zone, err := await.Until(ctx, i.report(), func(c *batchv1.CronJob) bool { return c.Spec.TimeZone != nil })
	must(t, err)
	if *zone.Spec.TimeZone != "Europe/Berlin" {
		t.Errorf("the CronJob's time zone is %s", *zone.Spec.TimeZone)
	}
	i.checkPods(ctx, t)

	scale(t, 1, 2) // a git push

	i.helm(ctx, t, "upgrade", "--reuse-values", "--set", "podAnnotations.example\\.com/generation=two")
	scale(t, 2, 3)

	i.helm(ctx, t, "rollback")
	scale(t, 3, 2)

	i.refuseCronJobs(ctx, t, repo)

	i.helm(ctx, t, "uninstall")
	last := replicas(t, 2)
	if last.UID != first.UID || last.DeletionTimestamp != nil {
		t.Errorf("Deployment web is another after helm uninstall, or about to go: %+v", last.ObjectMeta)
	}
	if c, err := i.BatchV1().CronJobs(i.team).Get(ctx, "report", metav1.GetOptions{}); err != nil || c.DeletionTimestamp != nil {
		t.Errorf("CronJob report went with helm uninstall: %v", err)
	}
}

// refuseCronJobs takes one verb from the chart's Role: what cannot be applied any more is to name it, and the value that grants it. An
// upgrade grants it again.
func (i *installation) refuseCronJobs(ctx context.Context, t *testing.T, repo *gitserver.Repo) {
	t.Helper()
	roles := i.RbacV1().Roles(i.team)
	role, err := roles.Get(ctx, "kilter", metav1.GetOptions{})
	must(t, err)
	whole := slices.Clone(role.Rules)
	for n, rule := range role.Rules {
		if slices.Contains(rule.Resources, "cronjobs") {
			role.Rules[n].Verbs = slices.DeleteFunc(slices.Clone(rule.Verbs), func(verb string) bool { return verb == "patch" })
		}
	}
	role, err = roles.Update(ctx, role, metav1.UpdateOptions{})
	must(t, err)

	must(t, repo.Replace("prod/report.yaml", "30 6 * * *", "45 7 * * *"))
	push(t, repo)
	sync := await.Object{Client: i.syncs(t), Resource: v1alpha1.SyncResource, Namespace: i.team, Name: "e2e"}
	want := []string{"system:serviceaccount:" + i.system + ":kilter", `cannot patch resource "cronjobs"`, "rbac.extraRules with {apiGroups: [\"batch\"], resources: [cronjobs], verbs: [patch]}"}
	must(t, second(await.Until(ctx, sync, func(s *v1alpha1.Sync) bool {
		return slices.ContainsFunc(s.Status.Problems, func(p v1alpha1.ObjectProblem) bool {
			return !slices.ContainsFunc(want, func(text string) bool { return !strings.Contains(p.Message, text) })
		})
	})))

	role.Rules = whole
	must(t, second(roles.Update(ctx, role, metav1.UpdateOptions{})))
	must(t, second(await.Until(ctx, i.report(), func(c *batchv1.CronJob) bool { return c.Spec.Schedule == "45 7 * * *" })))
}

// checkPods wants both of Kilter's pods to run on the real node, ready, as the chart's ServiceAccount.
func (i *installation) checkPods(ctx context.Context, t *testing.T) {
	t.Helper()
	pods, err := i.CoreV1().Pods(i.system).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=kilter"})
	must(t, err)
	if len(pods.Items) != 2 { // one works, the other stands by
		t.Fatalf("%d pods, want 2", len(pods.Items))
	}
	for _, pod := range pods.Items {
		status := pod.Status.ContainerStatuses[0]
		if pod.Spec.ServiceAccountName != "kilter" || pod.Spec.NodeName != "real-node" || !status.Ready || status.RestartCount > 0 {
			t.Errorf("the pod %s runs as %s on %s: %+v", pod.Name, pod.Spec.ServiceAccountName, pod.Spec.NodeName, status)
		}
	}
}

func (i *installation) report() await.Object {
	return await.Object{Client: i.BatchV1().RESTClient(), Resource: "cronjobs", Namespace: i.team, Name: "report"}
}

// chartWorkloads are a Deployment and a CronJob.
var chartWorkloads = fstest.MapFS{
	"prod/web.yaml": &fstest.MapFile{Data: []byte(`apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: main, image: "web:1"}]}}
`)},
	"prod/report.yaml": &fstest.MapFile{Data: []byte(`apiVersion: batch/v1
kind: CronJob
metadata: {name: report}
spec:
  schedule: 30 6 * * *
  timeZone: Europe/Berlin
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: "report:1"}]}}}}
`)},
}

// newInstallation starts a cluster with a real node that has the image of bin/kilter, and two namespaces.
func newInstallation(ctx context.Context, t *testing.T) *installation {
	t.Helper()
	dir := t.TempDir()
	started, err := process.StartDevCluster(ctx, filepath.Join("..", "bin", "devcluster"), dir, "--real-node")
	must(t, err)
	t.Cleanup(func() { must(t, started.Stop()) })
	i := &installation{cluster: clusterOf(t, started.Kubeconfig), system: "kilter", team: "shop"}
	for _, name := range []string{i.system, i.team} {
		_, err := i.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		must(t, err)
	}
	importImage(ctx, t, filepath.Join(dir, "data/node/run/containerd/containerd.sock"))
	return i
}

// importImage packs bin/kilter as `make image` does, as version e2e, and gives it to a containerd: no registry has it.
func importImage(ctx context.Context, t *testing.T, containerd string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "image")
	target := "linux/" + runtime.GOARCH
	command(ctx, t, filepath.Join("..", "bin", "release"), "-out", dir, "-version", "e2e", "-created", "2026-11-23T12:00:00Z",
		"-platforms", target, "-prebuilt", target+"="+filepath.Join("..", "bin", "kilter"))
	command(ctx, t, "ctr", "--address", containerd, "--namespace", "k8s.io", "images", "import", "--snapshotter", "native",
		filepath.Join(dir, "kilter-e2e.oci.tar"))
}

// repository serves files by a Service that the pod reaches, and writes the values that name it.
func (i *installation) repository(ctx context.Context, t *testing.T, files fstest.MapFS) *gitserver.Repo {
	t.Helper()
	repo, address := repository(t, files)
	server, err := url.Parse(address)
	must(t, err)
	service, err := i.CoreV1().Services(i.team).Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "git", Annotations: map[string]string{"devcluster.kilter.dev/host": server.Host}},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
	}, metav1.CreateOptions{})
	must(t, err)
	i.values = filepath.Join(t.TempDir(), "values.yaml")
	must(t, os.WriteFile(i.values, fmt.Appendf(nil, `image: {tag: e2e, pullPolicy: Never}
rbac: {namespaces: [%[1]s]}
extraArgs: [--allow-insecure-git]
nodeSelector: {kilter.dev/real-node: "true"}
tolerations: [{key: kilter.dev/real-node, operator: Exists}]
syncs:
- name: e2e
  namespace: %[1]s
  spec:
    git: {url: "http://%[2]s%[3]s", ref: {branch: main}, path: prod}
    interval: 1s
`, i.team, service.Spec.ClusterIP, server.Path), 0o600))
	return repo
}

// helm does something with the release and waits until what it made is ready.
func (i *installation) helm(ctx context.Context, t *testing.T, verb string, args ...string) {
	t.Helper()
	line := []string{"tool", "-modfile=../tools/helm/go.mod", "helm", verb, "kilter"}
	if verb == "install" || verb == "upgrade" {
		line = append(line, "../charts/kilter")
	}
	line = append(line, "--namespace", i.system, "--kubeconfig", i.kubeconfig, "--wait", "--timeout", "2m")
	command(ctx, t, "go", append(line, args...)...)
}

// command runs a program to its end and wants it to succeed.
func command(ctx context.Context, t *testing.T, name string, args ...string) {
	t.Helper()
	if output, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, output)
	}
}
