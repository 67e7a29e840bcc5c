package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"kilter.dev/kilter/internal/await"
	"kilter.dev/kilter/reconcile/inventory"
)

// webManifest is what Git says of the Deployment that every tool has deployed before.
const webManifest = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: registry.example/web:1}]}
`

// deployed is the same Deployment as a tool wrote it: with the tool's marks, and with two fields that Git has dropped since.
func deployed(t *testing.T, labels, annotations map[string]string) map[string]any {
	t.Helper()
	var object map[string]any
	must(t, yaml.Unmarshal([]byte(webManifest), &object))
	labels, annotations = maps.Clone(labels), maps.Clone(annotations)
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations["dropped"] = "since"
	object["metadata"] = map[string]any{"name": "web", "labels": labels, "annotations": annotations}
	object["spec"].(map[string]any)["minReadySeconds"] = 1
	return object
}

// createAs makes the Deployment as a client that POSTs it does.
func createAs(manager string) func(context.Context, *testing.T, *cluster, string, map[string]any) {
	return func(ctx context.Context, t *testing.T, c *cluster, namespace string, object map[string]any) {
		t.Helper()
		body, err := json.Marshal(object)
		must(t, err)
		must(t, c.AppsV1().RESTClient().Post().Namespace(namespace).Resource("deployments").Param("fieldManager", manager).Body(body).Do(ctx).Error())
	}
}

// applyAs makes the Deployment by server-side apply.
func applyAs(manager string) func(context.Context, *testing.T, *cluster, string, map[string]any) {
	return func(ctx context.Context, t *testing.T, c *cluster, namespace string, object map[string]any) {
		t.Helper()
		body, err := json.Marshal(object)
		must(t, err)
		_, err = c.AppsV1().Deployments(namespace).Patch(ctx, "web", types.ApplyPatchType, body, metav1.PatchOptions{FieldManager: manager})
		must(t, err)
	}
}

// helmInstall makes the Deployment as a release, by Helm itself.
func helmInstall(ctx context.Context, t *testing.T, c *cluster, namespace string, object map[string]any) {
	t.Helper()
	chart := t.TempDir()
	content, err := yaml.Marshal(object)
	must(t, err)
	must(t, os.CopyFS(chart, fstest.MapFS{
		"Chart.yaml":         {Data: []byte("apiVersion: v2\nname: web\nversion: 1.0.0\n")},
		"templates/web.yaml": {Data: append([]byte("apiVersion: apps/v1\nkind: Deployment\n"), content...)},
	}))
	template := filepath.Join(chart, "templates", "web.yaml")
	must(t, os.WriteFile(template, content, 0o600))
	helm := exec.CommandContext(ctx, "go", "tool", "-modfile=tools/helm/go.mod", "helm", "install", "shop", chart, "--namespace", namespace,
		"--kubeconfig", c.kubeconfig)
	helm.Dir = ".."
	out, err := helm.CombinedOutput()
	if err != nil {
		t.Fatalf("helm: %v\n%s", err, out)
	}
}

// TestAdoption takes a running Deployment over from each tool that people come from: no pod is restarted, no second owner is left, and what
// Git has dropped is gone.
func TestAdoption(t *testing.T) {
	for _, tool := range []struct {
		name        string
		labels      map[string]string
		annotations map[string]string
		deploy      func(context.Context, *testing.T, *cluster, string, map[string]any)
		from        string
	}{
		{
			name: "kubectl apply", from: "kubectl apply",
			annotations: map[string]string{inventory.LastAppliedAnnotation: "{}"}, deploy: createAs("kubectl-client-side-apply"),
		},
		{
			name: "kubectl apply under another name", from: "kubectl apply",
			annotations: map[string]string{inventory.LastAppliedAnnotation: "{}"}, deploy: createAs("ci"),
		},
		{name: "kubectl apply --server-side", from: "kubectl apply --server-side", deploy: applyAs("kubectl")},
		{name: "kubectl create", from: "kubectl create", deploy: createAs("kubectl-create")},
		{
			name: "Flux Kustomization", from: "Flux Kustomization flux-system/apps", deploy: applyAs("kustomize-controller"),
			labels: map[string]string{"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"},
		},
		{
			name: "Flux HelmRelease", from: "Flux HelmRelease flux-system/web", deploy: createAs("helm-controller"),
			labels:      map[string]string{"helm.toolkit.fluxcd.io/name": "web", "helm.toolkit.fluxcd.io/namespace": "flux-system"},
			annotations: map[string]string{"meta.helm.sh/release-name": "web", "meta.helm.sh/release-namespace": "flux-system"},
		},
		{
			name: "Argo CD", from: "Argo CD application shop", deploy: createAs("argocd-controller"),
			annotations: map[string]string{
				"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/web", inventory.LastAppliedAnnotation: "{}",
			},
		},
		{
			name: "Argo CD with ServerSideApply", from: "Argo CD application shop", deploy: applyAs("argocd-controller"),
			annotations: map[string]string{"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/web"},
		},
		{name: "Helm", from: "Helm release", deploy: helmInstall},
	} {
		t.Run(tool.name, func(t *testing.T) {
			t.Parallel()
			ctx, c := newCluster(t)
			ns := c.namespace(t, "adopt")
			tool.deploy(ctx, t, c, ns, deployed(t, tool.labels, tool.annotations))
			before := c.rolledOut(ctx, t, ns)

			_, url := repository(t, fstest.MapFS{"prod/web.yaml": {Data: []byte(webManifest)}})
			sync := syncFile(t, ns, url, "")
			run := kilter(t, "run", "-f", sync, "--kubeconfig", c.kubeconfig, "--allow-insecure-git")
			line(ctx, t, run, "adopted", "Deployment "+ns+"/web", "from "+tool.from)
			line(ctx, t, run, "1 object: 1 current")
			must(t, run.Stop(patience))

			after := c.rolledOut(ctx, t, ns)
			if !slices.Equal(before, after) {
				t.Errorf("pods were %v and are %v", before, after)
			}
			web, err := c.AppsV1().Deployments(ns).Get(ctx, "web", metav1.GetOptions{})
			must(t, err)
			for _, e := range web.ManagedFields {
				if e.Subresource == "" && e.Manager != inventory.FieldManager && e.Manager != "kube-controller-manager" {
					t.Errorf("%s (%s) still owns %s", e.Manager, e.Operation, e.FieldsV1)
				}
			}
			for key := range web.Annotations {
				if !strings.HasPrefix(key, "deployment.kubernetes.io/") && !strings.HasPrefix(key, "kilter.dev/") {
					t.Errorf("annotation %s is left", key)
				}
			}
			if web.Spec.MinReadySeconds != 0 || len(web.Labels) != 1 {
				t.Errorf("minReadySeconds %d, labels %v: what Git dropped is left", web.Spec.MinReadySeconds, web.Labels)
			}

			// Nothing is left to do, and nothing that a new process does not know.
			unchanged := web.ResourceVersion
			once(ctx, t, 0, "run", "-f", sync, "--once", "--kubeconfig", c.kubeconfig, "--allow-insecure-git")
			web, err = c.AppsV1().Deployments(ns).Get(ctx, "web", metav1.GetOptions{})
			must(t, err)
			if web.ResourceVersion != unchanged {
				t.Errorf("another run wrote to the object: %v", web.ManagedFields)
			}
		})
	}
}

// rolledOut waits until the Deployment has both pods, and returns the UIDs of its ReplicaSets and pods.
func (c *cluster) rolledOut(ctx context.Context, t *testing.T, namespace string) []string {
	t.Helper()
	web := await.Object{Client: c.AppsV1().RESTClient(), Resource: "deployments", Namespace: namespace, Name: "web"}
	must(t, second(await.Until(ctx, web, func(d *appsv1.Deployment) bool {
		return d.Status.ObservedGeneration == d.Generation && d.Status.AvailableReplicas == 2 && d.Status.UpdatedReplicas == 2 && d.Status.Replicas == 2
	})))
	var uids []string
	sets, err := c.AppsV1().ReplicaSets(namespace).List(ctx, metav1.ListOptions{})
	must(t, err)
	for _, set := range sets.Items {
		uids = append(uids, "ReplicaSet "+string(set.UID))
	}
	pods, err := c.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	must(t, err)
	for _, pod := range pods.Items {
		uids = append(uids, "Pod "+string(pod.UID))
	}
	slices.Sort(uids)
	return uids
}

// TestAdoptionRefused wants objects that are not to be had: they stay as they are, to the letter, and the rest of the commit is applied.
func TestAdoptionRefused(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	ns := c.namespace(t, "refuse")

	_, url := repository(t, fstest.MapFS{"prod/wanted.yaml": configMap("wanted")})
	first := syncFile(t, ns, url, "")
	other, err := os.ReadFile(first)
	must(t, err)
	file := filepath.Join(t.TempDir(), "other.yaml")
	must(t, os.WriteFile(file, []byte(strings.Replace(string(other), "name: e2e", "name: other", 1)), 0o600))
	once(ctx, t, 0, "run", "-f", file, "--once", "--kubeconfig", c.kubeconfig, "--allow-insecure-git")

	report, err := c.BatchV1().CronJobs(ns).Create(ctx, &batchv1.CronJob{
		ObjectMeta: metav1.ObjectMeta{Name: "report"},
		Spec:       batchv1.CronJobSpec{Schedule: "0 0 1 1 *", JobTemplate: batchv1.JobTemplateSpec{Spec: jobSpec()}},
	}, metav1.CreateOptions{})
	must(t, err)
	_, err = c.BatchV1().Jobs(ns).Create(ctx, &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Name:            "made",
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(report, batchv1.SchemeGroupVersion.WithKind("CronJob"))},
		},
		Spec: func() batchv1.JobSpec { s := jobSpec(); yes := true; s.Suspend = &yes; return s }(),
	}, metav1.CreateOptions{})
	must(t, err)
	state := func() string {
		cm, err := c.CoreV1().ConfigMaps(ns).Get(ctx, "wanted", metav1.GetOptions{})
		must(t, err)
		job, err := c.BatchV1().Jobs(ns).Get(ctx, "made", metav1.GetOptions{})
		must(t, err)
		return fmt.Sprint(cm.ResourceVersion, cm.Labels, job.Labels, job.Annotations, job.Generation)
	}
	before := state()

	_, url = repository(t, fstest.MapFS{
		"prod/free.yaml":   configMap("free"),
		"prod/wanted.yaml": configMap("wanted"),
		"prod/job.yaml": {Data: []byte("apiVersion: batch/v1\nkind: Job\nmetadata: {name: made}\nspec:\n  template: {spec: {restartPolicy: Never, " +
			"containers: [{name: a, image: registry.example/a:1}]}}\n")},
	})
	sync := syncFile(t, ns, url, "")
	run := kilter(t, "run", "-f", sync, "--once", "--kubeconfig", c.kubeconfig, "--allow-insecure-git")
	code, err := run.Wait(ctx)
	must(t, err)
	if code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	for _, want := range []string{
		"created    ConfigMap " + ns + "/free",
		"failed     ConfigMap " + ns + "/wanted  prod/wanted.yaml:1:1  cannot adopt it: it belongs to ConfigMap " + ns + "/kilter-other: take it " +
			"out of one of the two repositories; once nobody applies that set any more, kubectl label configmaps wanted -n " + ns +
			" applyset.kubernetes.io/part-of- sets it free",
		"failed     Job " + ns + "/made  prod/job.yaml:1:1  cannot adopt it: it was made by CronJob report, which controls it: " +
			"give the manifest another name",
		"OwnershipConflict: ",
	} {
		if !strings.Contains(run.Output(), want) {
			t.Errorf("no line says %q", want)
		}
	}
	if after := state(); after != before {
		t.Errorf("what was refused was written to: %s, before %s", after, before)
	}
}

func jobSpec() batchv1.JobSpec {
	return batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "a", Image: "registry.example/a:1"}},
	}}}
}
