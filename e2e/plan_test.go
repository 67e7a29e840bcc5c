package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/internal/await"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile"
	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/source"
)

// plansDirectory asks for the plan of a directory that a Sync object in the cluster enforces, and of the same directory with an edit.
func plansDirectory(ctx context.Context, t *testing.T, c *cluster, namespace string) {
	dir := t.TempDir()
	must(t, os.CopyFS(dir, os.DirFS("../examples/prod")))
	plan := func(want int, args ...string) string {
		t.Helper()
		p := kilter(t, append([]string{"plan", "--dir", dir, "--kubeconfig", c.kubeconfig, "--exit-code"}, args...)...)
		code, err := p.Wait(ctx)
		must(t, err)
		if code != want {
			t.Errorf("exit code %d of %q, want %d:\n%s", code, args, want, p.Output())
		}
		return p.Output()
	}
	out := plan(0)
	for _, want := range []string{"Sync " + namespace + "/shop with " + dir + " in place of its newest commit", "\n39 unchanged"} {
		if !strings.Contains(out, want) {
			t.Errorf("the plan lacks %q:\n%s", want, out)
		}
	}
	must(t, os.Remove(filepath.Join(dir, "cronjobs", "heartbeat.yaml")))
	for _, args := range [][]string{{}, {"-n", namespace}, {"-f", syncNamed(t, namespace, "shop")}} {
		if out := plan(1, args...); !strings.Contains(out, "delete   CronJob "+namespace+"/heartbeat  (left Git)\n\n1 to delete, 38 unchanged") {
			t.Errorf("what the directory lacks is not planned to go:\n%s", out)
		}
	}
}

// syncNamed writes the document of a Sync whose repository nobody asks.
func syncNamed(t *testing.T, namespace, name string) string {
	t.Helper()
	name = fmt.Sprintf("apiVersion: kilter.dev/v1alpha1\nkind: Sync\nmetadata: {name: %s, namespace: %s}\nspec: {git: {url: \"https://git.invalid/\"}}\n",
		name, namespace)
	file := filepath.Join(t.TempDir(), "sync.yaml")
	must(t, os.WriteFile(file, []byte(name), 0o600))
	return file
}

// requests counts what is sent, by verb and object.
type requests struct {
	mu   sync.Mutex
	sent map[string]int
	next http.RoundTripper
}

func (r *requests) RoundTrip(request *http.Request) (*http.Response, error) {
	r.mu.Lock()
	query := request.URL.Query()
	what := request.Method + " " + request.URL.Path[strings.LastIndexByte(request.URL.Path, '/')+1:]
	if query.Get("dryRun") != "" {
		what = "dry run " + what
	}
	if query.Get("watch") != "" {
		what = "watch " + what
	}
	r.sent[what]++
	r.mu.Unlock()
	return r.next.RoundTrip(request)
}

// TestPlanRequests counts what a plan costs: a GET and one dry run for each object that would be changed, whatever the change is, and nothing
// for one that stays.
func TestPlanRequests(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	ns := c.namespace(t, "plan-requests")
	files := fstest.MapFS{"gone.yaml": configMap("gone")}
	for i := range 20 {
		files[fmt.Sprintf("same-%d.yaml", i)] = configMap(fmt.Sprintf("same-%d", i))
	}
	role := "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: %s, annotations: {kilter.dev/recreate: %s}}\n" +
		"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: %s}\n"
	files["changed.yaml"] = configMap("changed")
	files["replaced.yaml"] = file(fmt.Sprintf(role, "replaced", "allowed", "view"))
	files["refused.yaml"] = file(fmt.Sprintf(role, "refused", `""`, "view"))

	config := rest.CopyConfig(c.config)
	counted := &requests{sent: map[string]int{}}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		counted.next = next
		return counted
	})
	sync := &v1alpha1.Sync{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "counted"}}
	sync.Spec.Default()
	loop := func(commit string) *reconcile.Loop {
		cluster, err := reconcile.Connect(config)
		must(t, err)
		loop, err := reconcile.NewLoop(reconcile.Options{
			Sync: sync, Cluster: cluster, Loader: manifests.NewLoader(manifests.Options{}), Clock: time.Now,
			Publish: func(*reconcile.Result) {}, Log: slog.New(slog.DiscardHandler),
			Fetch: func(context.Context) (source.Snapshot, error) {
				return source.Snapshot{Commit: source.Commit(commit), Revision: commit, Tree: files, Path: "."}, nil
			},
		})
		must(t, err)
		return loop
	}
	if result := loop("first").RunOnce(ctx); !result.Ready() {
		t.Fatal(result.Message())
	}

	delete(files, "gone.yaml")
	files["changed.yaml"] = file("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: changed}\ndata: {key: other}\n")
	files["replaced.yaml"] = file(fmt.Sprintf(role, "replaced", "allowed", "edit"))
	files["refused.yaml"] = file(fmt.Sprintf(role, "refused", `""`, "edit"))
	files["new.yaml"] = configMap("new")
	counted.sent = map[string]int{}
	found, err := loop("second").Forecast(ctx)
	must(t, err)
	ops := map[string]diff.Op{}
	for _, step := range found.Steps {
		if !step.Idle() {
			ops[step.ID.Name] = step.Op
		}
		if (step.Refused != nil) != (step.ID.Name == "refused") {
			t.Errorf("%s: refused: %v", step.ID, step.Refused)
		}
	}
	want := map[string]diff.Op{"changed": diff.Update, "gone": diff.Delete, "new": diff.Create, "refused": diff.Update, "replaced": diff.Replace}
	if d := cmp.Diff(want, ops); d != "" {
		t.Errorf("operations (-want +got):\n%s", d)
	}
	spent := map[string]int{}
	for what, n := range counted.sent {
		for name := range want {
			if strings.HasSuffix(what, " "+name) {
				spent[what] = n
			}
		}
		if strings.Contains(what, " same-") || strings.HasPrefix(what, "PATCH") || strings.HasPrefix(what, "POST") || strings.HasPrefix(what, "DELETE") {
			t.Errorf("%d × %s", n, what)
		}
	}
	wantSpent := map[string]int{}
	for _, name := range []string{"changed", "new", "refused", "replaced"} {
		wantSpent["GET "+name], wantSpent["dry run PATCH "+name] = 1, 1
	}
	if d := cmp.Diff(wantSpent, spent); d != "" {
		t.Errorf("requests (-want +got):\n%s\nof all %v", d, counted.sent)
	}
}

// TestPlanWithFewRights plans as somebody who may look into one namespace alone, at ConfigMaps alone: that is enough to find whose they are.
func TestPlanWithFewRights(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	ns := c.namespace(t, "plan-rights")
	repo, url := repository(t, fstest.MapFS{"prod/settings.yaml": configMap("settings")})
	once(ctx, t, 0, "run", "-f", syncFile(t, ns, url, ""), "--once", "--allow-insecure-git", "--kubeconfig", c.kubeconfig)

	account, err := c.CoreV1().ServiceAccounts(ns).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "developer"}}, metav1.CreateOptions{})
	must(t, err)
	_, err = c.RbacV1().Roles(ns).Create(ctx, &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: "developer"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "list", "watch", "patch", "create"}}},
	}, metav1.CreateOptions{})
	must(t, err)
	_, err = c.RbacV1().RoleBindings(ns).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "developer"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "developer"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: ns, Name: account.Name}},
	}, metav1.CreateOptions{})
	must(t, err)
	token, err := c.CoreV1().ServiceAccounts(ns).CreateToken(ctx, account.Name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	must(t, err)

	must(t, repo.Replace("prod/settings.yaml", "key: value", "key: other"))
	for note, more := range map[string][]string{
		"is a file, which the cluster does not know: its defaults are assumed.": {},
		"You may not read Sync " + ns + "/e2e in the cluster: ":                 {"-f", syncFile(t, ns, url, "")},
	} {
		args := append([]string{"plan", "--dir", filepath.Join(repo.Dir, "prod"), "--kubeconfig", c.kubeconfigOf(t, token.Status.Token, ns)}, more...)
		p := kilter(t, args...)
		code, err := p.Wait(ctx)
		must(t, err)
		for _, want := range []string{"Sync " + ns + "/e2e with ", "update   ConfigMap " + ns + "/settings  prod/settings.yaml:1", note} {
			if out := p.Output(); code != 0 || !strings.Contains(out, want) {
				t.Errorf("exit code %d, and no %q:\n%s", code, want, out)
			}
		}
	}
}

// TestPlanForeseesRuns holds two forecasts of runs against what the CronJob controller of the cluster then does.
func TestPlanForeseesRuns(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	ns := c.namespace(t, "plan-runs")
	const format = "4 15 2 1 *" // the layout of a minute of the year, as a schedule
	slot := time.Now().UTC().Add(-time.Hour).Truncate(time.Minute)
	cronJob := func(name, schedule, more string) string {
		return fmt.Sprintf(`apiVersion: batch/v1
kind: CronJob
metadata: {name: %s}
spec:
  schedule: %q
%s  jobTemplate:
    spec: {template: {spec: {restartPolicy: Never, containers: [{name: run, image: registry.example.com/run:1}]}}}
`, name, schedule, more)
	}
	repo, url := repository(t, fstest.MapFS{
		"prod/moved.yaml":   file(cronJob("moved", slot.AddDate(0, 2, 0).Format(format), "")),
		"prod/resumed.yaml": file(cronJob("resumed", slot.Format(format), "  suspend: true\n")),
	})
	document := syncFile(t, ns, url, "")
	run := func() {
		t.Helper()
		once(ctx, t, 0, "run", "-f", document, "--once", "--allow-insecure-git", "--kubeconfig", c.kubeconfig)
	}
	run()
	for _, name := range []string{"moved", "resumed"} { // both ran the last time before the minute in question
		_, err := c.BatchV1().CronJobs(ns).Patch(ctx, name, types.MergePatchType,
			fmt.Appendf(nil, `{"status":{"lastScheduleTime":%q}}`, slot.Add(-time.Hour).Format(time.RFC3339)), metav1.PatchOptions{}, "status")
		must(t, err)
	}

	must(t, repo.Write("prod/moved.yaml", cronJob("moved", slot.Format(format), "")))
	push(t, repo)
	if got, want := c.late(ctx, t, document, "moved"), (late{Run: slot, Start: "OnOldSchedule", At: slot.AddDate(0, 2, 0)}); got != want {
		t.Errorf("moved: %+v, want %+v", got, want)
	}
	run()
	must(t, repo.Write("prod/resumed.yaml", cronJob("resumed", slot.Format(format), "")))
	push(t, repo)
	if got, want := c.late(ctx, t, document, "resumed"), (late{Run: slot, Start: "AtOnce"}); got != want {
		t.Errorf("resumed: %+v, want %+v", got, want)
	}
	run()

	// The one starts; the other, which was edited before, has not.
	must(t, second(await.Until(ctx, c.runOf(ns, "resumed", slot), func(j *batchv1.Job) bool {
		return j.Annotations[batchv1.CronJobScheduledTimestampAnnotation] == slot.Format(time.RFC3339)
	})))
	if moved, err := c.BatchV1().CronJobs(ns).Get(ctx, "moved", metav1.GetOptions{}); err != nil || !moved.Status.LastScheduleTime.Time.Before(slot) {
		t.Errorf("the edit of a schedule alone made up for a run: %+v, %v", moved.Status, err)
	}
	// It was due all the same: any other change of the CronJob starts it.
	_, err := c.BatchV1().CronJobs(ns).Patch(ctx, "moved", types.MergePatchType, []byte(`{"metadata":{"annotations":{"any":"change"}}}`),
		metav1.PatchOptions{})
	must(t, err)
	must(t, second(await.Until(ctx, c.runOf(ns, "moved", slot), func(*batchv1.Job) bool { return true })))
}

// late is a run that a plan says is made up for.
type late struct {
	Run   time.Time
	Start string
	At    time.Time
}

// late asks for the plan of a Sync, and returns what it says of the one CronJob that it changes.
func (c *cluster) late(ctx context.Context, t *testing.T, document, name string) late {
	t.Helper()
	p := kilter(t, "plan", "-f", document, "--allow-insecure-git", "--kubeconfig", c.kubeconfig, "-o", "json")
	_, err := p.Wait(ctx)
	must(t, err)
	var plan struct {
		Steps []struct {
			Object struct{ Name string }
			Runs   struct{ Late late }
		}
	}
	must(t, json.Unmarshal([]byte(p.Output()), &plan))
	if len(plan.Steps) != 1 || plan.Steps[0].Object.Name != name {
		t.Fatalf("the plan changes something else:\n%s", p.Output())
	}
	return plan.Steps[0].Runs.Late
}

// runOf is the Job of a CronJob's run; the controller names it by the minute.
func (c *cluster) runOf(namespace, name string, run time.Time) await.Object {
	return await.Object{
		Client: c.BatchV1().RESTClient(), Resource: "jobs", Namespace: namespace, Name: fmt.Sprintf("%s-%d", name, run.Unix()/60),
	}
}
