package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/internal/await"
	"kilter.dev/kilter/internal/process"
)

// TestSyncObject installs the chart, runs the program as the chart's ServiceAccount with the arguments of the chart's Deployment, and
// plays what happens to the repository in examples/.
func TestSyncObject(t *testing.T) {
	ctx, c := newCluster(t)
	system := c.namespace(t, "kilter")
	shop := c.namedNamespace(ctx, t, "shop") // examples/ names it in its depends-on annotations
	repo, url := repository(t, os.DirFS("../examples"))
	address := freeAddress(t)
	run := c.install(ctx, t, system, shop, "--allow-insecure-git", "--data-dir="+t.TempDir(), "--listen="+address)

	syncs := c.syncs(t)
	sync := await.Object{Client: syncs, Resource: v1alpha1.SyncResource, Namespace: shop, Name: "shop"}
	create(ctx, t, syncs, shop, url)
	first := untilReady(ctx, t, sync, metav1.ConditionTrue)
	if first.Status.Objects.Total != 39 || first.Status.Objects.Current != 39 {
		t.Errorf("objects: %+v, want 39 of 39 current", first.Status.Objects)
	}
	if first.Status.LastAppliedRevision == "" || first.Status.LastAppliedRevision != first.Status.LastAttemptedRevision {
		t.Errorf("applied %q, attempted %q", first.Status.LastAppliedRevision, first.Status.LastAttemptedRevision)
	}

	t.Run("columns", func(t *testing.T) { columns(ctx, t, c, shop) })
	t.Run("metrics", func(t *testing.T) { serves(t, address) })
	t.Run("plan", func(t *testing.T) { plansDirectory(ctx, t, c, shop) })

	// The interval is an hour: only the annotation makes Kilter look.
	must(t, repo.Replace("prod/cronjobs/report.yaml", `"0 6 * * 1-5"`, `"30 7 * * 1-5"`))
	push(t, repo)
	patch(ctx, t, syncs, shop, `{"metadata":{"annotations":{"kilter.dev/requestedAt":"now"}}}`)
	must(t, second(await.Until(ctx, c.cronJob(shop, "report"), func(j *batchv1.CronJob) bool { return j.Spec.Schedule == "30 7 * * 1-5" })))
	must(t, second(await.Until(ctx, sync, func(s *v1alpha1.Sync) bool { return s.Status.LastHandledReconcileAt == "now" })))

	// A changed spec takes effect at once; from here on pushes are noticed by polling.
	patch(ctx, t, syncs, shop, `{"spec":{"interval":"100ms"}}`)
	must(t, second(await.Until(ctx, sync, func(s *v1alpha1.Sync) bool { return s.Status.ObservedGeneration == s.Generation })))

	_, err := c.AppsV1().Deployments(shop).Patch(ctx, "web", types.MergePatchType, []byte(`{"spec":{"replicas":1}}`),
		metav1.PatchOptions{FieldManager: "somebody"})
	must(t, err)
	web := await.Object{Client: c.AppsV1().RESTClient(), Resource: "deployments", Namespace: shop, Name: "web"}
	must(t, second(await.Until(ctx, web, func(d *appsv1.Deployment) bool { return *d.Spec.Replicas == 3 })))

	t.Run("exception", func(t *testing.T) { exceptionInStatus(ctx, t, c, sync, "http://"+address+"/metrics") })

	applied := untilReady(ctx, t, sync, metav1.ConditionTrue).Status.LastAppliedRevision
	must(t, repo.Replace("prod/jobs/db-migrate.yaml", "backoffLimit: 2", "backoffLimit: -1"))
	push(t, repo)
	rejected := untilReady(ctx, t, sync, metav1.ConditionFalse)
	ready := meta.FindStatusCondition(rejected.Status.Conditions, "Ready")
	if ready.Reason != "CommitRejected" || !strings.Contains(ready.Message, "prod/jobs/db-migrate.yaml:7:3") {
		t.Errorf("Ready: %s: %s", ready.Reason, ready.Message)
	}
	if len(rejected.Status.Problems) != 1 || rejected.Status.Problems[0].Line != 7 || rejected.Status.LastAppliedRevision != applied {
		t.Errorf("status of a rejected commit: %+v", rejected.Status)
	}

	must(t, repo.Replace("prod/jobs/db-migrate.yaml", "backoffLimit: -1", "backoffLimit: 2"))
	must(t, repo.Remove("prod/config/feature-flags.yaml"))
	push(t, repo)
	must(t, await.Gone[corev1.ConfigMap](ctx, await.Object{
		Client: c.CoreV1().RESTClient(), Resource: "configmaps", Namespace: shop, Name: "feature-flags",
	}))
	untilReady(ctx, t, sync, metav1.ConditionTrue)

	// An allowance takes effect without a new spec.
	patch(ctx, t, syncs, shop, `{"spec":{"maxPrune":"0"}}`)
	must(t, repo.Remove("prod/cronjobs/heartbeat.yaml"))
	commit := push(t, repo)
	must(t, second(await.Until(ctx, sync, func(s *v1alpha1.Sync) bool {
		return meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady).Reason == "PruneBlocked"
	})))
	patch(ctx, t, syncs, shop, fmt.Sprintf(`{"metadata":{"annotations":{"kilter.dev/allow-prune":%q}}}`, commit))
	untilReady(ctx, t, sync, metav1.ConditionTrue)

	// A deleted Sync leaves its workloads as they are, and the loop ends.
	must(t, syncs.Delete().Namespace(shop).Resource(v1alpha1.SyncResource).Name("shop").Do(ctx).Error())
	must(t, await.Gone[v1alpha1.Sync](ctx, sync))
	if _, err := c.AppsV1().Deployments(shop).Get(ctx, "web", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
	must(t, run.Stop(patience))
}

// namedNamespace makes a namespace of a given name, which the cluster must not have; one that an earlier run deleted is awaited.
func (c *cluster) namedNamespace(ctx context.Context, t *testing.T, name string) string {
	t.Helper()
	if old, err := c.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{}); err == nil && old.DeletionTimestamp != nil {
		must(t, await.Gone[corev1.Namespace](ctx, await.Object{Client: c.CoreV1().RESTClient(), Resource: "namespaces", Name: name}))
	}
	_, err := c.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	must(t, err)
	t.Cleanup(func() {
		must(t, c.CoreV1().Namespaces().Delete(context.WithoutCancel(t.Context()), name, metav1.DeleteOptions{}))
	})
	return name
}

// install applies the rendered chart as the administrator and runs what its Deployment would run, as its ServiceAccount.
func (c *cluster) install(ctx context.Context, t *testing.T, system, workloads string, more ...string) *process.Process {
	t.Helper()
	chart := exec.CommandContext(ctx, "go", "tool", "-modfile=tools/helm/go.mod", "helm", "template", "kilter", "charts/kilter",
		"--namespace", system, "--set", "rbac.namespaces={"+workloads+"}")
	chart.Dir = ".."
	chart.Stderr = os.Stderr
	rendered, err := chart.Output()
	must(t, err)

	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(c.Discovery()))
	var deployment appsv1.Deployment
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(rendered), 4096)
	for {
		var object unstructured.Unstructured
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		if object.Object == nil {
			continue
		}
		if object.GetKind() == "Deployment" {
			must(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &deployment))
		}
		mapping, err := mapper.RESTMapping(object.GroupVersionKind().GroupKind(), object.GroupVersionKind().Version)
		must(t, err)
		_, err = c.dynamic.Resource(mapping.Resource).Namespace(object.GetNamespace()).Apply(ctx, object.GetName(), &object,
			metav1.ApplyOptions{FieldManager: "helm", Force: true})
		must(t, err)
		if object.GetKind() == "CustomResourceDefinition" {
			c.established(ctx, t, object.GetName())
		}
	}

	account := deployment.Spec.Template.Spec.ServiceAccountName
	token, err := c.CoreV1().ServiceAccounts(system).CreateToken(ctx, account, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	must(t, err)
	args := append(deployment.Spec.Template.Spec.Containers[0].Args, "--kubeconfig", c.kubeconfigOf(t, token.Status.Token, system))
	return kilter(t, append(args, more...)...)
}

func (c *cluster) established(ctx context.Context, t testing.TB, name string) {
	t.Helper()
	scheme := runtime.NewScheme()
	must(t, apiextensionsv1.AddToScheme(scheme))
	client := c.restClient(t, scheme, apiextensionsv1.SchemeGroupVersion)
	crd := await.Object{Client: client, Resource: "customresourcedefinitions", Name: name}
	must(t, second(await.Until(ctx, crd, func(d *apiextensionsv1.CustomResourceDefinition) bool {
		for _, condition := range d.Status.Conditions {
			if condition.Type == apiextensionsv1.Established && condition.Status == apiextensionsv1.ConditionTrue {
				return true
			}
		}
		return false
	})))
}

// syncs returns a client for Sync objects.
func (c *cluster) syncs(t testing.TB) rest.Interface {
	t.Helper()
	scheme := runtime.NewScheme()
	scheme.AddKnownTypes(v1alpha1.GroupVersion, &v1alpha1.Sync{}, &v1alpha1.SyncList{})
	metav1.AddToGroupVersion(scheme, v1alpha1.GroupVersion)
	return c.restClient(t, scheme, v1alpha1.GroupVersion)
}

func (c *cluster) restClient(t testing.TB, scheme *runtime.Scheme, gv schema.GroupVersion) rest.Interface {
	t.Helper()
	config := rest.CopyConfig(c.config)
	config.GroupVersion, config.APIPath = &gv, "/apis"
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	client, err := rest.RESTClientFor(config)
	must(t, err)
	return client
}

func create(ctx context.Context, t *testing.T, syncs rest.Interface, namespace, url string) {
	t.Helper()
	body := fmt.Appendf(nil, `{"apiVersion":"kilter.dev/v1alpha1","kind":"Sync","metadata":{"name":"shop","namespace":%q},
		"spec":{"git":{"url":%q,"ref":{"branch":"main"},"path":"prod"},"interval":"1h"}}`, namespace, url)
	must(t, syncs.Post().Namespace(namespace).Resource(v1alpha1.SyncResource).Body(body).SetHeader("Content-Type", "application/json").
		Do(ctx).Error())
}

func patch(ctx context.Context, t *testing.T, syncs rest.Interface, namespace, body string) {
	t.Helper()
	must(t, syncs.Patch(types.MergePatchType).Namespace(namespace).Resource(v1alpha1.SyncResource).Name("shop").Body([]byte(body)).
		Do(ctx).Error())
}

// untilReady waits until a Sync's Ready has a status and has come to rest, for the generation that the Sync has.
func untilReady(ctx context.Context, t *testing.T, sync await.Object, status metav1.ConditionStatus) *v1alpha1.Sync {
	t.Helper()
	found, err := await.Until(ctx, sync, func(s *v1alpha1.Sync) bool {
		condition := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady)
		return condition != nil && condition.Status == status && condition.ObservedGeneration == s.Generation &&
			condition.Reason != "Progressing" && condition.Reason != "DependencyNotReady"
	})
	must(t, err)
	return found
}

func (c *cluster) cronJob(namespace, name string) await.Object {
	return await.Object{Client: c.BatchV1().RESTClient(), Resource: "cronjobs", Namespace: namespace, Name: name}
}

// columns asks the server for the table that kubectl prints.
func columns(ctx context.Context, t *testing.T, c *cluster, namespace string) {
	syncs := c.syncs(t)
	raw, err := syncs.Get().Namespace(namespace).Resource(v1alpha1.SyncResource).
		SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").DoRaw(ctx)
	must(t, err)
	var table metav1.Table
	must(t, json.Unmarshal(raw, &table))
	var names []string
	for _, column := range table.ColumnDefinitions {
		names = append(names, column.Name)
	}
	if got, want := strings.Join(names, " "), "Name Ready Revision Objects Age Message"; got != want {
		t.Errorf("columns %q, want %q", got, want)
	}
	row := table.Rows[0].Cells
	if row[1] != "True" || row[3] != float64(39) || row[5] != "39 objects: 39 current" {
		t.Errorf("row %v", row)
	}
}

// serves asks for everything that is served over HTTP.
func serves(t *testing.T, address string) {
	for path, want := range map[string][]string{
		"/healthz": {"ok"},
		"/readyz":  {"ok"},
		"/metrics": {
			`kilter_sync_info{namespace="shop",path="prod",revision="main@sha1:`, `kilter_sync_ready{namespace="shop",sync="shop"} 1`, `kilter_sync_reason{namespace="shop",reason="ReconciliationSucceeded",sync="shop"} 1`,
			`kilter_apply_total{kind="CronJob",namespace="shop",op="create",result="done",sync="shop"}`,
			`kilter_cronjob_next_run_timestamp_seconds{cronjob="report",namespace="shop",sync="shop",sync_namespace="shop"}`,
			`kilter_job_last_run_outcome{job_name="`, `outcome="Complete",sync="shop",sync_namespace="shop"} 1`, `kilter_cronjob_state{cronjob="report",`,
			`rest_client_requests_total{code="200",`, `kilter_build_info{`, "kilter_reconcile_total", "kilter_reconcile_duration_seconds_bucket",
			"kilter_sync_last_success_timestamp_seconds", "go_goroutines", "process_resident_memory_bytes",
		},
	} {
		response, err := http.Get("http://" + address + path)
		must(t, err)
		body, err := io.ReadAll(response.Body)
		must(t, err)
		must(t, response.Body.Close())
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s answers %s", path, response.Status)
		}
		for _, text := range want {
			if !strings.Contains(string(body), text) {
				t.Errorf("%s does not hold %s", path, text)
			}
		}
	}
}

// freeAddress returns an address of the loopback interface that nobody listens on.
func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer listener.Close()
	return listener.Addr().String()
}

func second[T any](_ T, err error) error { return err }
