package e2e

import (
	"strings"
	"testing"
	"testing/fstest"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"kilter.dev/kilter/internal/await"
	"kilter.dev/kilter/reconcile/inventory"
)

func file(content string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte(content), Mode: 0o644}
}

const podOf = `
  selector: {matchLabels: {app: a}}
  template:
    metadata: {labels: {app: a}}
    spec: {containers: [{name: a, image: registry.example/a:1}]}
`

// TestStrategySwitch switches what the server has filled in the settings of: a plain apply is refused, since nobody owns them.
func TestStrategySwitch(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	ns := c.namespace(t, "switch")
	deployment := "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec:" + podOf
	statefulSet := "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: s}\nspec:\n  serviceName: s" + podOf
	daemonSet := "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: x}\nspec:" + podOf
	repo, url := repository(t, fstest.MapFS{
		"prod/d.yaml": file(deployment), "prod/s.yaml": file(statefulSet), "prod/x.yaml": file(daemonSet),
	})
	sync := syncFile(t, ns, url, "")
	apply := func(want int) {
		t.Helper()
		once(ctx, t, want, "run", "-f", sync, "--once", "--kubeconfig", c.kubeconfig, "--allow-insecure-git")
	}
	apply(0)
	must(t, repo.Replace("prod/d.yaml", "spec:\n  selector", "spec:\n  strategy: {type: Recreate}\n  selector"))
	must(t, repo.Replace("prod/d.yaml", "registry.example/a:1", "registry.example/a:2"))
	must(t, repo.Replace("prod/s.yaml", "spec:\n  serviceName", "spec:\n  updateStrategy: {type: OnDelete}\n  serviceName"))
	must(t, repo.Replace("prod/x.yaml", "spec:\n  selector", "spec:\n  updateStrategy: {type: OnDelete}\n  selector"))
	push(t, repo)
	apply(0)

	d, err := c.AppsV1().Deployments(ns).Get(ctx, "d", metav1.GetOptions{})
	must(t, err)
	s, err := c.AppsV1().StatefulSets(ns).Get(ctx, "s", metav1.GetOptions{})
	must(t, err)
	x, err := c.AppsV1().DaemonSets(ns).Get(ctx, "x", metav1.GetOptions{})
	must(t, err)
	if d.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType || s.Spec.UpdateStrategy.Type != appsv1.OnDeleteStatefulSetStrategyType ||
		x.Spec.UpdateStrategy.Type != appsv1.OnDeleteDaemonSetStrategyType {
		t.Errorf("strategies: %s, %s, %s", d.Spec.Strategy.Type, s.Spec.UpdateStrategy.Type, x.Spec.UpdateStrategy.Type)
	}
	for name, entries := range map[string][]metav1.ManagedFieldsEntry{"d": d.ManagedFields, "s": s.ManagedFields} {
		for _, e := range entries {
			if e.Manager == inventory.FieldManager && (e.Operation != metav1.ManagedFieldsOperationApply || strings.Contains(e.FieldsV1.String(), "rollingUpdate")) {
				t.Errorf("%s: entry %s %s", name, e.Operation, e.FieldsV1)
			}
		}
	}

	// And back, to the defaults.
	must(t, repo.Replace("prod/d.yaml", "  strategy: {type: Recreate}\n", ""))
	must(t, repo.Replace("prod/s.yaml", "  updateStrategy: {type: OnDelete}\n", ""))
	push(t, repo)
	apply(0)
	d, err = c.AppsV1().Deployments(ns).Get(ctx, "d", metav1.GetOptions{})
	must(t, err)
	if d.Spec.Strategy.RollingUpdate == nil {
		t.Errorf("strategy %+v, want the default", d.Spec.Strategy)
	}
}

// TestReplace changes fields that must not change: reported with the way out, replaced where the manifest allows it, and never where data
// would be lost or the new object would be refused.
func TestReplace(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	ns := c.namespace(t, "replace")
	service := "apiVersion: v1\nkind: Service\nmetadata:\n  name: a\nspec:\n  clusterIP: 10.96.77.1\n  ports: [{port: 80}]\n"
	claim := "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata:\n  name: a\n  annotations: {kilter.dev/recreate: allowed}\nspec:\n" +
		"  accessModes: [ReadWriteOnce]\n  volumeName: one\n  resources: {requests: {storage: 1Gi}}\n"
	repo, url := repository(t, fstest.MapFS{
		"prod/service.yaml": file(service), "prod/claim.yaml": file(claim), "prod/waits.yaml": configMap("plain"),
	})
	run := kilter(t, "run", "-f", syncFile(t, ns, url, ""), "--kubeconfig", c.kubeconfig, "--allow-insecure-git")
	line(ctx, t, run, "3 objects: 3 current")
	before, err := c.CoreV1().Services(ns).Get(ctx, "a", metav1.GetOptions{})
	must(t, err)

	must(t, repo.Replace("prod/service.yaml", "10.96.77.1", "10.96.77.2"))
	must(t, repo.Replace("prod/claim.yaml", "volumeName: one", "volumeName: two"))
	push(t, repo)
	line(ctx, t, run, "failed", "PersistentVolumeClaim "+ns+"/a", "it is never replaced, since its data would go with it: put the field back")
	line(ctx, t, run, "failed", "Service "+ns+"/a", "prod/service.yaml:5:1", "spec.clusterIPs[0]: Invalid value: may not change once set; put the field back, or let Kilter delete the object and create it anew: "+
		"annotate it kilter.dev/recreate: allowed")
	must(t, repo.Remove("prod/claim.yaml"))

	// The annotation does not help a Service that the server would refuse.
	must(t, repo.Replace("prod/service.yaml", "  name: a\n", "  name: a\n  annotations: {kilter.dev/recreate: allowed}\n"))
	must(t, repo.Replace("prod/service.yaml", "10.96.77.2", "192.0.2.1"))
	push(t, repo)
	line(ctx, t, run, "failed", "Service "+ns+"/a", "so it was not replaced")
	if now, err := c.CoreV1().Services(ns).Get(ctx, "a", metav1.GetOptions{}); err != nil || now.UID != before.UID {
		t.Errorf("the Service was deleted: %v %v", now, err)
	}

	must(t, repo.Replace("prod/service.yaml", "192.0.2.1", "10.96.77.2"))
	push(t, repo)
	line(ctx, t, run, "replacing", "Service "+ns+"/a", "changed in Git; deleted, to be created anew")
	a := await.Object{Client: c.CoreV1().RESTClient(), Resource: "services", Namespace: ns, Name: "a"}
	must(t, second(await.Until(ctx, a, func(s *corev1.Service) bool { return s.UID != before.UID && s.Spec.ClusterIP == "10.96.77.2" })))
}

// TestAutoscaled lets an autoscaler take over the replicas of a Deployment, and gives them back. The number never changes by Kilter's hand
// while somebody scales.
func TestAutoscaled(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"in Git", "in the cluster"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			ctx, c := newCluster(t)
			ns := c.namespace(t, "scale")
			hpa := "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: web}\nspec:\n  minReplicas: 4\n  maxReplicas: 6\n" +
				"  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}\n"
			repo, url := repository(t, fstest.MapFS{"prod/web.yaml": file(webManifest), "prod/other.yaml": configMap("other")})
			run := kilter(t, "run", "-f", syncFile(t, ns, url, ""), "--kubeconfig", c.kubeconfig, "--allow-insecure-git")
			line(ctx, t, run, "2 objects: 2 current")
			web := await.Object{Client: c.AppsV1().RESTClient(), Resource: "deployments", Namespace: ns, Name: "web"}
			replicas := func(n int32) *appsv1.Deployment {
				t.Helper()
				d, err := await.Until(ctx, web, func(d *appsv1.Deployment) bool { return *d.Spec.Replicas == n })
				must(t, err)
				return d
			}

			// Nobody but Git has a say: a manual scale is drift.
			_, err := c.AppsV1().Deployments(ns).UpdateScale(ctx, "web", &autoscalingv1.Scale{
				ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: ns}, Spec: autoscalingv1.ScaleSpec{Replicas: 1},
			}, metav1.UpdateOptions{FieldManager: "kubectl"})
			must(t, err)
			line(ctx, t, run, "updated", "Deployment "+ns+"/web", "changed by kubectl: .spec.replicas")
			replicas(2)

			watch, err := c.AppsV1().Deployments(ns).Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=web"})
			must(t, err)
			defer watch.Stop()
			if where == "in Git" {
				must(t, repo.Write("prod/hpa.yaml", hpa))
				push(t, repo)
			} else {
				_, err := c.AutoscalingV2().HorizontalPodAutoscalers(ns).Patch(ctx, "web", types.ApplyPatchType, []byte(hpa), metav1.PatchOptions{FieldManager: "somebody"})
				must(t, err)
			}
			line(ctx, t, run, "updated", "Deployment "+ns+"/web", "an autoscaler has taken over its replicas")
			replicas(4)

			// A changed manifest and an edit of the replicas leave them alone.
			must(t, repo.Replace("prod/web.yaml", "web:1", "web:2"))
			push(t, repo)
			must(t, second(await.Until(ctx, web, func(d *appsv1.Deployment) bool {
				return d.Spec.Template.Spec.Containers[0].Image == "registry.example/web:2"
			})))
			_, err = c.AppsV1().Deployments(ns).Patch(ctx, "web", types.MergePatchType, []byte(`{"spec":{"replicas":5}}`), metav1.PatchOptions{FieldManager: "kubectl-edit"})
			must(t, err)
			must(t, repo.Replace("prod/other.yaml", "key: value", "key: other"))
			push(t, repo)
			line(ctx, t, run, "updated", "ConfigMap "+ns+"/other")
			seen := map[int32]bool{}
			for d := replicas(5); ; {
				event := (<-watch.ResultChan()).Object.(*appsv1.Deployment)
				seen[*event.Spec.Replicas] = true
				if event.ResourceVersion == d.ResourceVersion {
					break
				}
			}
			if seen[1] || seen[3] {
				t.Errorf("replicas were %v: a number that neither Git nor the autoscaler said", seen)
			}

			// Without the autoscaler, Git decides again.
			if where == "in Git" {
				must(t, repo.Remove("prod/hpa.yaml"))
				push(t, repo)
			} else {
				must(t, c.AutoscalingV2().HorizontalPodAutoscalers(ns).Delete(ctx, "web", metav1.DeleteOptions{}))
			}
			replicas(2)
		})
	}
}
