package e2e

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	batchv1apply "k8s.io/client-go/applyconfigurations/batch/v1"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/internal/await"
	"kilter.dev/kilter/reconcile/inventory"
)

// TestExceptionThatEndedMeanwhile leaves exceptions behind whose time is over while no Kilter runs: the next one restores what Git says, and
// the CronJob that Git suspends too is never resumed on the way. One without an end, which only a forged annotation can make, ends as well.
func TestExceptionThatEndedMeanwhile(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	ns := c.namespace(t, "exception")
	cronJob := func(name, suspend string) *fstest.MapFile {
		return file("apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: " + name + "}\nspec:\n  schedule: 0 3 1 1 *\n" + suspend +
			"  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: a}]}}}}\n")
	}
	_, url := repository(t, fstest.MapFS{
		"prod/named.yaml": cronJob("named", "  suspend: false\n"), "prod/open.yaml": cronJob("open", ""), "prod/endless.yaml": cronJob("endless", ""),
		"prod/held.yaml": cronJob("held", "  suspend: true\n"),
	})
	sync := syncFile(t, ns, url, "")
	args := []string{"run", "-f", sync, "--once", "--kubeconfig", c.kubeconfig, "--allow-insecure-git"}
	once(ctx, t, 0, args...)
	for name, until := range map[string]string{
		"named": time.Now().Add(-time.Hour).Format(time.RFC3339), "open": time.Now().Add(-time.Hour).Format(time.RFC3339),
		"held": time.Now().Add(-time.Hour).Format(time.RFC3339), "endless": "for ever",
	} {
		_, err := c.BatchV1().CronJobs(ns).Apply(ctx, batchv1apply.CronJob(name, ns).
			WithAnnotations(map[string]string{inventory.SuspendedUntilAnnotation: until}).
			WithSpec(batchv1apply.CronJobSpec().WithSuspend(true)),
			metav1.ApplyOptions{FieldManager: inventory.ExceptionManager, Force: true})
		must(t, err)
	}
	resumed, err := c.BatchV1().CronJobs(ns).Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=held"})
	must(t, err)
	defer resumed.Stop()

	run := kilter(t, args...)
	line(ctx, t, run, "updated", ns+"/endless", "its suspension was taken back")
	code, err := run.Wait(ctx)
	must(t, err)
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	for name, suspended := range map[string]bool{"named": false, "open": false, "endless": false, "held": true} {
		cron, err := c.BatchV1().CronJobs(ns).Get(ctx, name, metav1.GetOptions{})
		must(t, err)
		if *cron.Spec.Suspend != suspended || inventory.ExceptionOf(cron) != nil || cron.Annotations[inventory.SuspendedUntilAnnotation] != "" {
			t.Errorf("%s: suspended %t, annotations %v, managedFields %v", name, *cron.Spec.Suspend, cron.Annotations, cron.ManagedFields)
		}
	}
	c.event(ctx, t, "named", ns, func(e *corev1.Event) bool { return e.Reason == "Resumed" && strings.Contains(e.Message, "is over") })
	for {
		event := <-resumed.ResultChan()
		cron, ok := event.Object.(*batchv1.CronJob)
		if !ok || !*cron.Spec.Suspend {
			t.Fatalf("held was resumed on the way: %v", event)
		}
		if inventory.ExceptionOf(cron) == nil && event.Type == "MODIFIED" {
			break
		}
	}
	once(ctx, t, 0, args...)
}

// exceptionInStatus suspends a CronJob of TestSyncObject's Sync for a time: it is in the Sync's status, among its metrics and Events, until it is
// resumed.
func exceptionInStatus(ctx context.Context, t *testing.T, c *cluster, sync await.Object, metrics string) {
	ns := sync.Namespace
	once(ctx, t, 0, "suspend", "cronjob/report", "-n", ns, "--kubeconfig", c.kubeconfig, "--for", "1h", "--reason", "the books are closed")
	found, err := await.Until(ctx, sync, func(s *v1alpha1.Sync) bool { return len(s.Status.Exceptions) == 1 })
	must(t, err)
	e := found.Status.Exceptions[0]
	left := time.Until(e.Until.Time)
	if e.Object != "CronJob shop/report" || e.Reason != "the books are closed" || e.By == "" || left > time.Hour || left < time.Hour-time.Minute {
		t.Errorf("status.exceptions holds %+v", e)
	}
	for _, want := range []string{
		`kilter_sync_exceptions{namespace="shop",sync="shop"} 1`, `kilter_sync_exception_expiry_timestamp_seconds{namespace="shop",sync="shop"}`,
	} {
		if !strings.Contains(get(t, metrics), want) {
			t.Errorf("no metric %s", want)
		}
	}
	c.event(ctx, t, "report", ns, func(e *corev1.Event) bool {
		return e.Reason == "Suspended" && strings.Contains(e.Message, "prod/cronjobs/report.yaml:2:1: suspended by "+found.Status.Exceptions[0].By+" until ")
	})
	once(ctx, t, 0, "resume", "cronjob/report", "-n", ns, "--kubeconfig", c.kubeconfig)
	must(t, second(await.Until(ctx, sync, func(s *v1alpha1.Sync) bool { return len(s.Status.Exceptions) == 0 })))
	if left := "kilter_sync_exception_expiry_timestamp_seconds{"; strings.Contains(get(t, metrics), left) {
		t.Errorf("there is a metric %s although there is no exception", left)
	}
}

// get returns what is served at a URL.
func get(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url)
	must(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	must(t, err)
	return string(body)
}
