package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"kilter.dev/kilter/internal/await"
)

// TestRunMissedPastItsDeadline resumes two CronJobs whose run was due an hour ago. The one that may start so late does; the other never
// will, and neither its status nor an event says so: only its schedule's health does.
func TestRunMissedPastItsDeadline(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	ns := c.namespace(t, "missed")
	slot := time.Now().UTC().Add(-time.Hour).Truncate(time.Minute)
	before := slot.Add(-time.Hour)
	for name, deadline := range map[string]int64{"missed": 60, "caught": 7200} {
		suspended := true
		_, err := c.BatchV1().CronJobs(ns).Create(ctx, &batchv1.CronJob{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: batchv1.CronJobSpec{
				Schedule: slot.Format("4 15 2 1 *"), // the layout of a minute of the year
				Suspend:  &suspended, StartingDeadlineSeconds: &deadline,
				JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
					RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "a", Image: "a"}},
				}}}},
			},
		}, metav1.CreateOptions{})
		must(t, err)
		_, err = c.BatchV1().CronJobs(ns).Patch(ctx, name, types.MergePatchType,
			fmt.Appendf(nil, `{"status":{"lastScheduleTime":%q}}`, before.Format(time.RFC3339)), metav1.PatchOptions{}, "status")
		must(t, err)
	}
	for _, name := range []string{"missed", "caught"} { // in this order, so that what is said of the first is said before the second starts
		_, err := c.BatchV1().CronJobs(ns).Patch(ctx, name, types.MergePatchType, []byte(`{"spec":{"suspend":false}}`), metav1.PatchOptions{})
		must(t, err)
	}
	caught := c.runOf(ns, "caught", slot)
	must(t, second(await.Until(ctx, caught, func(*batchv1.Job) bool { return true })))
	must(t, second(await.Until(ctx, await.Object{Client: c.BatchV1().RESTClient(), Resource: "cronjobs", Namespace: ns, Name: "caught"},
		func(cj *batchv1.CronJob) bool { return cj.Status.LastScheduleTime.Time.Equal(slot) })))

	p := kilter(t, "get", "cronjobs", "missed", "-n", ns, "-o", "json", "--kubeconfig", c.kubeconfig)
	_, err := p.Wait(ctx)
	must(t, err)
	var got struct {
		CronJobs []struct {
			State, Reason    string
			Missed           int
			LastScheduleTime time.Time
		}
	}
	must(t, json.Unmarshal([]byte(p.Output()), &got))
	if len(got.CronJobs) != 1 || got.CronJobs[0].State != "Missed" || got.CronJobs[0].Missed != 1 || !got.CronJobs[0].LastScheduleTime.Equal(before) {
		t.Errorf("want one run missed, and got\n%s", p.Output())
	}
	events, err := c.CoreV1().Events(ns).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=missed"})
	must(t, err)
	for _, e := range events.Items {
		t.Errorf("an event tells of it: %s: %s", e.Reason, e.Message)
	}
	jobs, err := c.BatchV1().Jobs(ns).List(ctx, metav1.ListOptions{})
	must(t, err)
	if len(jobs.Items) != 1 || jobs.Items[0].Name != caught.Name {
		t.Errorf("%d Jobs, want %s alone", len(jobs.Items), caught.Name)
	}
}

// TestEditThatFiresAtOnce resumes a CronJob in Git whose time has come while it was suspended: the plan says that the edit starts a run at once,
// and of which time, and the real controller starts that one.
func TestEditThatFiresAtOnce(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	ns := c.namespace(t, "fires")
	slot := time.Now().UTC().Add(-time.Hour).Truncate(time.Minute)
	report := func(suspend bool) string {
		return fmt.Sprintf("apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: report}\nspec:\n  schedule: %s\n  suspend: %t\n"+
			"  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: a}]}}}}\n", slot.Format("4 15 2 1 *"), suspend)
	}
	repo, url := repository(t, fstest.MapFS{"prod/report.yaml": file(report(true))})
	args := []string{"-f", syncFile(t, ns, url, ""), "--kubeconfig", c.kubeconfig, "--allow-insecure-git"}
	once(ctx, t, 0, append([]string{"run", "--once"}, args...)...)
	_, err := c.BatchV1().CronJobs(ns).Patch(ctx, "report", types.MergePatchType,
		fmt.Appendf(nil, `{"status":{"lastScheduleTime":%q}}`, slot.Add(-time.Hour).Format(time.RFC3339)), metav1.PatchOptions{}, "status")
	must(t, err)

	must(t, repo.Write("prod/report.yaml", report(false)))
	push(t, repo)
	plan := kilter(t, append([]string{"plan"}, args...)...)
	_, err = plan.Wait(ctx)
	must(t, err)
	if want := "! fires at once: the run of " + slot.Format("2006-01-02 15:04") + " UTC is due and was not started"; !strings.Contains(plan.Output(), want) {
		t.Errorf("the plan does not say %q:\n%s", want, plan.Output())
	}
	once(ctx, t, 0, append([]string{"run", "--once"}, args...)...)
	must(t, second(await.Until(ctx, c.runOf(ns, "report", slot), func(*batchv1.Job) bool { return true })))
}
