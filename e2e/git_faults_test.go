package e2e

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/internal/await"
	"kilter.dev/kilter/internal/needs"
	"kilter.dev/kilter/internal/process"
)

const (
	gitPassword = canary + "-of-the-git-server"
	gitTimeout  = 4 * time.Second
	memoryLimit = 256 << 20 // the chart's
)

// faulty is a Sync object, followed by one process for all faults, of a repository behind a front.
type faulty struct {
	*front
	cluster  *cluster
	ctx      context.Context
	ns       string
	sync     await.Object
	run      *process.Process
	listen   string // the process's metrics and probes
	dataDir  string
	mounted  bool   // dataDir is a small file system of its own
	newest   int    // the commit's number
	commit   string // its ID
	revision string // what the cluster is kept at

	refs  []string // what the next push sends instead of the branch
	after func()   // follows it
}

// TestGitFaults takes a Sync through every fault of its repository and its server, one after the other, in one process. Each time a commit is
// pushed that replaces one object by another, and
//
//   - the condition and the metrics name what is wrong (I7), and no text holds the password (I6);
//   - the last good commit stays enforced: what is deleted by hand comes back, and nothing else is deleted (I1, I2);
//   - while the fault lasts nothing is written but that, goroutines and open files do not grow, and the process is alive and ready (I5, I8);
//   - once it is gone, two looks suffice, all of it is applied, and what the set's label is on is what Git asks for (I3, I4).
//
// In the end the kernel tells the most memory that the process ever had.
func TestGitFaults(t *testing.T) {
	t.Parallel()
	f := newFaulty(t)
	for _, fault := range gitFaults {
		t.Run(fault.name, func(t *testing.T) { f.survives(t, fault) })
	}
	t.Run("G16 damaged store", f.heals)
	f.T, f.ctx = t, t.Context()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", f.run.PID()))
	must(t, err)
	var peak int64
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	if _, err := fmt.Sscan(after, &peak); err != nil {
		t.Fatalf("no peak: %v", err)
	}
	t.Logf("the most memory was %d MiB", peak>>10)
	if peak<<10 > memoryLimit {
		t.Errorf("the most memory was %d MiB; the chart allows %d", peak>>10, memoryLimit>>20)
	}
	must(t, f.run.Stop(patience))
}

func newFaulty(t *testing.T) *faulty {
	t.Helper()
	c := clusterOf(t, needs.Cluster(t))
	f := &faulty{front: newFront(t, gitPassword), cluster: c, ctx: t.Context(), ns: c.namespace(t, "faults"), listen: freeAddress(t), dataDir: t.TempDir()}
	if err := syscall.Mount("tmpfs", f.dataDir, "tmpfs", 0, "size=8m"); err == nil {
		f.mounted = true
		t.Cleanup(func() { must(t, syscall.Unmount(f.dataDir, syscall.MNT_DETACH)) })
	}
	f.putSecret()
	foreign := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "foreign"}}
	_, err := c.CoreV1().ConfigMaps(f.ns).Create(f.ctx, foreign, metav1.CreateOptions{})
	must(t, err)

	// What is refused inside the path is ignored outside of it, from the first commit on.
	must(t, f.repo.Write("elsewhere/a\\b\x01.yaml", "kind: ["))
	must(t, os.Symlink("..", filepath.Join(f.repo.Dir, "elsewhere/link")))
	f.files()
	f.commitAll()
	f.push()

	c.installCRDs(f.ctx, t)
	document := strings.Replace(fmt.Sprintf(syncDocument, f.ns, f.url(), ""), "path: prod}", "path: prod, secretRef: {name: git-auth}}", 1)
	json, err := yaml.YAMLToJSON([]byte(document))
	must(t, err)
	f.sync = await.Object{Client: c.syncs(t), Resource: v1alpha1.SyncResource, Namespace: f.ns, Name: "e2e"}
	must(t, f.sync.Client.Post().Namespace(f.ns).Resource(v1alpha1.SyncResource).Body(json).
		SetHeader("Content-Type", "application/json").Do(f.ctx).Error())
	f.run = kilter(t, "run", "--watch-namespaces", f.ns, "--log-format", "text", "--kubeconfig", c.kubeconfig,
		"--data-dir", f.dataDir, "--listen", f.listen, "--git-timeout", gitTimeout.String())
	f.converges()
	return f
}

// files writes the newest commit's: an object that stays, and one that the next commit replaces.
func (f *faulty) files() {
	must(f.T, f.repo.Write("prod/keep.yaml", string(configMap("keep").Data)))
	must(f.T, f.repo.Write(fmt.Sprintf("prod/n%d.yaml", f.newest), string(configMap(fmt.Sprintf("n%d", f.newest)).Data)))
}

func (f *faulty) commitAll() {
	var err error
	f.commit, err = f.repo.Commit(f.ctx, "change")
	must(f.T, err)
}

func (f *faulty) push(refs ...string) { must(f.T, f.repo.ForcePush(f.ctx, refs...)) }

// commits returns what changes the files, and pushes them.
func (f *faulty) commits(change func()) func() {
	return func() {
		change()
		f.commitAll()
		f.push()
	}
}

// bare runs git in the repository that is served.
func (f *faulty) bare(args ...string) {
	_, err := f.repo.Git(f.ctx, append([]string{"--git-dir", f.repo.Bare}, args...)...)
	must(f.T, err)
}

// putSecret writes what the server wants at the moment into the Secret.
func (f *faulty) putSecret() {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "git-auth"}, StringData: map[string]string{
		"username": "ann", "password": *f.password.Load(), "ca.crt": string(f.bundle()),
	}}
	secrets := f.cluster.CoreV1().Secrets(f.ns)
	_, err := secrets.Update(f.ctx, secret, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		_, err = secrets.Create(f.ctx, secret, metav1.CreateOptions{})
	}
	must(f.T, err)
}

// survives breaks, looks and mends.
func (f *faulty) survives(t *testing.T, fault gitFault) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	f.T, f.ctx, f.refs, f.after = t, ctx, nil, nil
	before := f.scrape()

	previous := fmt.Sprintf("n%d", f.newest)
	must(t, f.repo.Remove("prod/"+previous+".yaml"))
	f.newest++
	newest := fmt.Sprintf("n%d", f.newest)
	f.files()
	mend := fault.breaks(f)
	f.commitAll()
	f.push(f.refs...)
	if f.after != nil {
		f.after()
	}

	said, err := await.Until(ctx, f.sync, func(s *v1alpha1.Sync) bool {
		ready := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady)
		return ready != nil && ready.Reason == fault.reason && strings.Contains(ready.Message, fault.says)
	})
	must(t, err)
	present, victim := []string{"foreign", "keep", previous}, previous
	if fault.taken {
		present, victim = append(present, newest), newest
	} else if said.Status.LastAppliedRevision != f.revision {
		t.Errorf("%s is applied instead of %s", said.Status.LastAppliedRevision, f.revision)
	}
	f.repairs(victim) // another object each time: one that is deleted again and again is repaired more slowly
	f.fails(fault, before)
	f.quiet(before)
	f.holds(present)

	looked := f.looks.Load()
	mend()
	f.converges()
	if n := f.looks.Load() - looked; n > 3 { // the one that was under way, and two
		t.Errorf("%d looks passed before it was well again", n)
	}
	f.holds([]string{"foreign", "keep", newest})
}

// heals overwrites all that was fetched: the next commit is fetched afresh, and nobody notices.
func (f *faulty) heals(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	f.T, f.ctx = t, ctx
	damaged := 0
	must(t, filepath.WalkDir(f.dataDir, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		damaged++
		return errors.Join(os.Chmod(file, 0o600), os.WriteFile(file, []byte("damage"), 0o600))
	}))
	if damaged == 0 {
		t.Error("nothing was stored")
	}
	failed := f.scrape().sum("kilter_fetch_total{") - f.scrape().sum("kilter_fetch_total{", `result="done"`)
	f.files()
	must(t, f.repo.Write("prod/keep.yaml", strings.Replace(string(configMap("keep").Data), "value", "other", 1)))
	f.commitAll()
	f.push()
	f.converges()
	now := f.scrape()
	if now.sum("kilter_fetch_total{")-now.sum("kilter_fetch_total{", `result="done"`) != failed {
		t.Error("a look failed")
	}
}

// repairs deletes an object by hand, and waits until it is there again.
func (f *faulty) repairs(name string) {
	f.Helper()
	configMaps := f.cluster.CoreV1().ConfigMaps(f.ns)
	old, err := configMaps.Get(f.ctx, name, metav1.GetOptions{})
	must(f.T, err)
	must(f.T, configMaps.Delete(f.ctx, name, metav1.DeleteOptions{}))
	object := await.Object{Client: f.cluster.CoreV1().RESTClient(), Resource: "configmaps", Namespace: f.ns, Name: name}
	must(f.T, second(await.Until(f.ctx, object, func(c *corev1.ConfigMap) bool { return c.UID != old.UID })))
}

// fails waits until looks have failed again and again, with the class of the fault; where they succeed the reason is a metric too.
func (f *faulty) fails(fault gitFault, before samples) {
	f.Helper()
	if fault.class == "" {
		if f.scrape().sum("kilter_sync_reason{", `reason="`+fault.reason+`"`) != 1 {
			f.Errorf("no metric says %s", fault.reason)
		}
		return
	}
	of := []string{"kilter_fetch_total{", `result="` + fault.class + `"`}
	asks := float64(cmp.Or(fault.asks, 3))
	f.until("looks that fail as "+fault.class, func(now samples) bool { return now.sum(of...)-before.sum(of...) >= asks })
	const fetched = "kilter_sync_last_fetch_timestamp_seconds{"
	stale := f.scrape().sum(fetched)
	f.until("another look that fails", func(now samples) bool { return now.sum(of...)-before.sum(of...) > asks })
	if f.scrape().sum(fetched) != stale {
		f.Error("the gauge of the last fetch moves though looks fail")
	}
}

// quiet wants few writes since before, no more goroutines and files than then, and a process that is alive and ready.
func (f *faulty) quiet(before samples) {
	f.Helper()
	writes := func(s samples) (n float64) {
		for _, method := range []string{"PATCH", "POST", "PUT", "DELETE"} {
			n += s.sum("rest_client_requests_total{", `method="`+method+`"`)
		}
		return n
	}
	if n := writes(f.scrape()) - writes(before); n > 20 {
		f.Errorf("%v writes while nothing can be done", n)
	}
	for _, count := range []string{"go_goroutines", "process_open_fds"} {
		f.until(count+" as before", func(now samples) bool { return now.sum(count) <= before.sum(count)+4 }) // a look may be under way
	}
	for _, probe := range []string{"/healthz", "/readyz"} {
		answer, err := http.Get("http://" + f.listen + probe)
		must(f.T, err)
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			f.Errorf("%s answers %s", probe, answer.Status)
		}
	}
	if said := f.run.Output(); strings.Contains(said, canary) || strings.Contains(said, "\x1b") {
		f.Error("the password, or what could disturb a terminal, is printed")
	}
	f.cluster.holdsNoCredential(f.ctx, f.T, f.ns)
}

// holds wants just these ConfigMaps in the namespace, and the set's label on all but the foreign one.
func (f *faulty) holds(names []string) {
	f.Helper()
	list, err := f.cluster.CoreV1().ConfigMaps(f.ns).List(f.ctx, metav1.ListOptions{})
	must(f.T, err)
	var found []string
	for _, c := range list.Items {
		if c.Name == "kube-root-ca.crt" { // every namespace has it
			continue
		}
		found = append(found, c.Name)
		if c.Labels["applyset.kubernetes.io/part-of"] == "" && c.Name != "foreign" {
			f.Errorf("%s carries no label", c.Name)
		}
	}
	slices.Sort(names)
	if !slices.Equal(found, names) {
		f.Errorf("there are %v; want %v", found, names)
	}
}

// converges waits until the newest commit is applied and all is well.
func (f *faulty) converges() {
	f.Helper()
	good, err := await.Until(f.ctx, f.sync, func(s *v1alpha1.Sync) bool {
		return strings.HasSuffix(s.Status.LastAppliedRevision, f.commit) && meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ConditionReady)
	})
	must(f.T, err)
	f.revision = good.Status.LastAppliedRevision
}

// until scrapes until something holds.
func (f *faulty) until(what string, holds func(samples) bool) {
	f.Helper()
	for tick := time.NewTicker(50 * time.Millisecond); ; {
		now := f.scrape()
		if holds(now) {
			tick.Stop()
			return
		}
		select {
		case <-tick.C:
		case <-f.ctx.Done():
			f.Fatalf("waited in vain for %s; goroutines %v, files %v", what, now.sum("go_goroutines"), now.sum("process_open_fds"))
		}
	}
}

// scrape reads the process's metrics.
func (f *faulty) scrape() samples {
	f.Helper()
	return scrape(f.T, f.listen)
}

// samples are the series of a page of metrics.
type samples map[string]float64

// sum adds up the series whose text begins with the first part and holds the others.
func (s samples) sum(parts ...string) (sum float64) {
	for _, series := range slices.Sorted(maps.Keys(s)) {
		if strings.HasPrefix(series, parts[0]) && !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(series, part) }) {
			sum += s[series]
		}
	}
	return sum
}
