package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/internal/await"
	"kilter.dev/kilter/internal/gitserver"
)

// newYear is a schedule that is not due while the test runs.
const newYear = "0 3 1 1 *"

// cronJob is one whose runs succeed.
func cronJob(name string) *fstest.MapFile {
	return file(`apiVersion: batch/v1
kind: CronJob
metadata: {name: ` + name + `}
spec:
  schedule: ` + newYear + `
  startingDeadlineSeconds: 60
  jobTemplate: {spec: {backoffLimit: 0, template: {
    metadata: {annotations: {devcluster.kilter.dev/exit-code: "0"}}, spec: {restartPolicy: Never, containers: [{name: a, image: a}]}}}}
`)
}

// watched is a Sync that Prometheus scrapes, with somebody to page.
type watched struct {
	*cluster
	namespace string
	repo      *gitserver.Repo
	*pager
	address string // of Kilter's metrics
	standby string // of those of one that may have to stand by
	sync    string // the file
	due     string // the schedule of the run that is missed
}

// TestAlertsReachTheirReceiver breaks what a person on call is paged for: the repository, a commit, a Job, a CronJob, a DaemonSet whose pods
// somebody has to delete, and Kilter itself. A real Prometheus and a real Alertmanager tell of each, and of its end after the repair.
func TestAlertsReachTheirReceiver(t *testing.T) {
	t.Parallel()
	installed(t, "prometheus")
	_, c := newCluster(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience) // half a minute of scrapes and evaluations that cannot be hurried
	t.Cleanup(cancel)
	start := time.Now()
	w := &watched{cluster: c, namespace: c.namespace(t, "alerts"), pager: newPager(t), address: freeAddress(t), standby: freeAddress(t)}
	c.installCRDs(ctx, t)
	nodes := c.pool(ctx, t, w.namespace, 2)
	_, err := c.CoreV1().Nodes().Patch(ctx, nodes[1], types.MergePatchType, []byte(`{"metadata":{"labels":{"pool":null}}}`), metav1.PatchOptions{})
	must(t, err) // the node that nobody plays
	var url string
	w.repo, url = repository(t, fstest.MapFS{
		"prod/migrate.yaml": jobText{name: "migrate"}.file(),
		"prod/report.yaml":  cronJob("report"),
		"prod/backup.yaml":  cronJob("backup"),
		"prod/agent.yaml":   agent(w.namespace, "{type: OnDelete}", ofItsPool),
		"prod/web.yaml":     ofPods("{type: OnDelete}", ""),
		"prod/a.yaml":       configMap("a"),
	})
	w.sync = syncFile(t, w.namespace, url, "")
	manager := fmt.Sprintf("%q", alertmanager(ctx, t, w.pager.url))
	both := []string{w.address, w.standby}
	classic := prometheus(ctx, t, both, manager)
	native := prometheus(ctx, t, both, "", "--enable-feature=native-histograms")
	w.until(ctx, t, "firing", "KilterAbsent")
	stop := w.start(ctx, t)
	w.until(ctx, t, "resolved", "KilterAbsent")

	w.breakWorkloads(ctx, t)
	w.breakRepository(ctx, t)
	w.repairWorkloads(ctx, t)
	w.leaveAsItIs(ctx, t)
	w.keepFromLeading(ctx, t, classic, native)
	stop()
	w.until(ctx, t, "firing", "KilterAbsent")
	w.start(ctx, t)
	w.until(ctx, t, "resolved", "KilterAbsent")

	w.checkTexts(t)
	for kind, address := range map[string]string{"classic": classic, "native": native} {
		t.Run("dashboards with "+kind+" histograms", func(t *testing.T) { w.checkDashboards(ctx, t, address, start) })
		expr, limited := strings.CutSuffix(exprOf(t, "KilterPassSlow"), " > 30")
		if !limited || numbers(ctx, t, address, expr, start) == 0 {
			t.Errorf("with %s histograms KilterPassSlow could not fire: %s", kind, expr)
		}
	}
}

// start runs Kilter until all is well, and returns what kills it.
func (w *watched) start(ctx context.Context, t *testing.T) (stop func()) {
	t.Helper()
	run := kilter(t, "run", "-f", w.sync, "--kubeconfig", w.kubeconfig, "--allow-insecure-git", "--listen", w.address)
	line(ctx, t, run, "6 objects: 6 current")
	return run.Kill
}

// trigger runs the CronJob to its end, which has the exit code.
func (w *watched) trigger(ctx context.Context, t *testing.T, code int) {
	t.Helper()
	once(ctx, t, code, "trigger", "cronjob/report", "-n", w.namespace, "--wait", "--kubeconfig", w.kubeconfig)
}

// Which alerts tell of the broken workloads, and with which labels.
func (w *watched) ofWorkloads() [][]string {
	of := func(alert, label string) []string {
		return []string{alert, "sync_namespace=" + w.namespace, "sync=e2e", "namespace=" + w.namespace, label}
	}
	return [][]string{
		of("KilterJobFailed", "job_name=migrate"), of("KilterCronJobFailing", "cronjob=report"),
		of("KilterCronJobMissed", "cronjob=backup"), of("KilterDaemonSetOutdated", "daemonset=agent"), w.ofSync("KilterSyncFailed"),
	}
}

func (w *watched) ofSync(alert string) []string {
	return []string{alert, "namespace=" + w.namespace, "sync=e2e"}
}

// untilAll waits until all of the alerts have the status.
func (w *watched) untilAll(ctx context.Context, t *testing.T, status string, alerts ...[]string) {
	t.Helper()
	for _, a := range alerts {
		w.until(ctx, t, status, a[0], a[1:]...)
	}
}

// breakWorkloads pushes a Job and a CronJob that fail, a CronJob whose run was due an hour ago, and templates that no pod runs until somebody
// deletes the old ones. Somebody changes an object by hand as well, which is undone.
func (w *watched) breakWorkloads(ctx context.Context, t *testing.T) {
	t.Helper()
	w.trigger(ctx, t, 0)
	for _, file := range []string{"migrate", "report"} {
		must(t, w.repo.Replace("prod/"+file+".yaml", `exit-code: "0"`, `exit-code: "1"`))
	}
	for _, name := range []string{"agent", "web"} {
		must(t, w.repo.Replace("prod/"+name+".yaml", name+":1", name+":2"))
	}
	w.due = time.Now().UTC().Add(-time.Hour).Format("4 15 2 1 *") // the layout of a minute of the year
	must(t, w.repo.Replace("prod/backup.yaml", newYear, w.due))
	_, err := w.BatchV1().CronJobs(w.namespace).Patch(ctx, "backup", types.MergePatchType,
		fmt.Appendf(nil, `{"status":{"lastScheduleTime":%q}}`, time.Now().UTC().Add(-2*time.Hour).Format(time.RFC3339)), metav1.PatchOptions{}, "status")
	must(t, err)
	push(t, w.repo)
	w.until(ctx, t, "firing", "KilterDaemonSetOutdated", "daemonset=agent") // so the CronJob's new template is there
	w.trigger(ctx, t, 1)
	_, err = w.CoreV1().ConfigMaps(w.namespace).Patch(ctx, "a", types.MergePatchType, []byte(`{"data":{"key":"mine"}}`), metav1.PatchOptions{})
	must(t, err)
	w.untilAll(ctx, t, "firing", w.ofWorkloads()...)
}

// breakRepository takes the repository away and gives it back, and pushes what the API server would refuse.
func (w *watched) breakRepository(ctx context.Context, t *testing.T) {
	t.Helper()
	away := w.repo.Bare + ".away"
	must(t, os.Rename(w.repo.Bare, away))
	w.untilAll(ctx, t, "firing", w.ofSync("KilterFetchFailing"))
	must(t, os.Rename(away, w.repo.Bare))
	w.untilAll(ctx, t, "resolved", w.ofSync("KilterFetchFailing"))
	must(t, w.repo.Write("prod/a.yaml", strings.Replace(string(configMap("a").Data), "key:", "not a key:", 1)))
	push(t, w.repo)
	w.untilAll(ctx, t, "firing", w.ofSync("KilterCommitRejected"))
}

// repairWorkloads mends everything in one push, runs the CronJob and deletes the outdated pods.
func (w *watched) repairWorkloads(ctx context.Context, t *testing.T) {
	t.Helper()
	for _, file := range []string{"migrate", "report"} {
		must(t, w.repo.Replace("prod/"+file+".yaml", `exit-code: "1"`, `exit-code: "0"`))
	}
	must(t, w.repo.Replace("prod/backup.yaml", w.due, newYear))
	must(t, w.repo.Write("prod/a.yaml", string(configMap("a").Data)))
	push(t, w.repo)
	w.untilAll(ctx, t, "resolved", w.ofSync("KilterCommitRejected"))
	w.trigger(ctx, t, 0)
	for _, app := range []string{"agent", "web"} {
		must(t, w.CoreV1().Pods(w.namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "app=" + app}))
	}
	w.untilAll(ctx, t, "resolved", w.ofWorkloads()...)
}

// leaveAsItIs follows a second Sync, which reports drift. Somebody changes an object of it, most of it leaves Git, and a commit cannot be applied as a
// whole; then Git takes it all back, and so does whoever changed the object.
func (w *watched) leaveAsItIs(ctx context.Context, t *testing.T) {
	t.Helper()
	repo, url := repository(t, fstest.MapFS{"prod/one.yaml": configMap("one"), "prod/two.yaml": configMap("two"), "prod/three.yaml": configMap("three")})
	other := filepath.Join(t.TempDir(), "other.yaml")
	must(t, os.WriteFile(other, []byte(strings.Replace(fmt.Sprintf(syncDocument, w.namespace, url, "  drift: Report\n"), "name: e2e", "name: other", 1)), 0o600))
	run := kilter(t, "run", "-f", other, "--kubeconfig", w.kubeconfig, "--allow-insecure-git", "--listen", w.standby)
	line(ctx, t, run, "3 objects: 3 current")
	of := func(alert string) []string { return []string{alert, "namespace=" + w.namespace, "sync=other"} }
	change := func(value string) {
		_, err := w.CoreV1().ConfigMaps(w.namespace).Patch(ctx, "one", types.MergePatchType, fmt.Appendf(nil, `{"data":{"key":%q}}`, value),
			metav1.PatchOptions{FieldManager: "somebody"})
		must(t, err)
	}
	change("mine")
	w.untilAll(ctx, t, "firing", of("KilterDriftNotRepaired"))
	must(t, repo.Remove("prod/two.yaml"))
	must(t, repo.Remove("prod/three.yaml"))
	push(t, repo)
	w.untilAll(ctx, t, "firing", of("KilterPruneBlocked"))
	must(t, repo.Write("prod/two.yaml", string(configMap("two").Data)))
	must(t, repo.Write("prod/three.yaml", string(configMap("three").Data)))
	must(t, repo.Write("prod/lost.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: lost, namespace: nowhere-"+w.namespace+"}\n"))
	push(t, repo)
	w.untilAll(ctx, t, "firing", of("KilterCommitPending"), of("KilterSyncFailed"))

	must(t, repo.Remove("prod/lost.yaml"))
	must(t, repo.Replace("prod/one.yaml", "key: value", "key: mine"))
	push(t, repo)
	w.untilAll(ctx, t, "resolved", of("KilterPruneBlocked"), of("KilterCommitPending"), of("KilterSyncFailed"), of("KilterDriftNotRepaired"))
	run.Kill()
}

// workedOn has a number when a changed Sync has been followed, with histograms of either kind.
const workedOn = `rate(workqueue_work_duration_seconds_count{name="syncs"}[10s]) > 0 or histogram_count(rate(workqueue_work_duration_seconds{name="syncs"}[10s])) > 0`

// keepFromLeading starts another Kilter, for Sync objects, while somebody else holds its Lease, and then lets it lead.
func (w *watched) keepFromLeading(ctx context.Context, t *testing.T, prometheuses ...string) {
	t.Helper()
	start, now := time.Now(), metav1.NowMicro()
	_, err := w.CoordinationV1().Leases(w.namespace).Create(ctx, &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: "kilter"},
		Spec: coordinationv1.LeaseSpec{
			HolderIdentity: ptr.To("somebody"), LeaseDurationSeconds: ptr.To[int32](3600), AcquireTime: &now, RenewTime: &now,
		},
	}, metav1.CreateOptions{})
	must(t, err)
	run := kilter(t, "run", "--watch-namespaces", w.namespace, "--leader-elect", "--leader-elect-resource-namespace", w.namespace,
		"--kubeconfig", w.kubeconfig, "--listen", w.standby)
	w.until(ctx, t, "firing", "KilterNoLeader", "name=kilter")
	_, err = w.CoordinationV1().Leases(w.namespace).Patch(ctx, "kilter", types.MergePatchType, []byte(`{"spec":{"holderIdentity":""}}`), metav1.PatchOptions{})
	must(t, err)
	w.until(ctx, t, "resolved", "KilterNoLeader", "name=kilter")
	document, err := yaml.YAMLToJSON(fmt.Appendf(nil, syncDocument, w.namespace, "https://127.0.0.1:1/none", "  suspend: true\n"))
	must(t, err)
	sync := await.Object{Client: w.syncs(t), Resource: v1alpha1.SyncResource, Namespace: w.namespace, Name: "e2e"}
	must(t, sync.Client.Post().Namespace(w.namespace).Resource(v1alpha1.SyncResource).Body(document).
		SetHeader("Content-Type", "application/json").Do(ctx).Error())
	untilReason(ctx, t, sync, "Suspended")
	for _, address := range prometheuses {
		for ctx.Err() == nil && numbers(ctx, t, address, workedOn, start) == 0 { // asking is as slow as Prometheus is
		}
	}
	run.Kill()
}

// exprOf returns what an alert asks Prometheus.
func exprOf(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(rulesFile)
	must(t, err)
	_, rule, _ := strings.Cut(string(text), "alert: "+name+"\n        expr: >-\n          ")
	expr, _, _ := strings.Cut(rule, "\n")
	return expr
}

// checkTexts wants of every alert that fired what a person on call opens first, with nothing left to fill in.
func (w *watched) checkTexts(t *testing.T) {
	t.Helper()
	for _, a := range w.fired {
		name := a.Labels["alertname"]
		page, ok := strings.CutPrefix(a.Annotations["runbook_url"], "https://kilter.dev/")
		if _, err := os.Stat(filepath.Join("..", filepath.FromSlash(page))); !ok || err != nil {
			t.Errorf("the runbook of %s is %q: %v", name, a.Annotations["runbook_url"], err)
		}
		text := fmt.Sprint(a.Annotations)
		if strings.Contains(text, "{{") || strings.Contains(text, "<no value>") || strings.Contains(text, "<error") {
			t.Errorf("%s says %s", name, text)
		}
		if a.Labels["sync"] != "" && (!strings.Contains(a.Annotations["summary"], w.namespace) ||
			!strings.HasSuffix(a.Annotations["dashboard_url"], "?var-namespace="+w.namespace+"&var-sync="+a.Labels["sync"])) {
			t.Errorf("%s does not say where: %s", name, text)
		}
	}
}
