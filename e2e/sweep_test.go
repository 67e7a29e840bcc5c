package e2e

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"kilter.dev/kilter/reconcile/inventory"
)

// What the second commit of the sweep changes: it switches two strategies (claim the default, apply without it), replaces a Service (delete,
// create), adopts what kubectl made (take over the fields, apply), prunes, and replaces a Job, whose dependent waits for the new run.
func sweepFiles(ns string, n int) (one, two map[string]string) {
	job := func(j jobText) string { return j.String() }
	after := func(value string) string { return string(afterJob(ns+"/migrate").Data) + "data: {of: " + value + "}\n" }
	seed := job(jobText{name: "seed", spec: "ttlSecondsAfterFinished: 0"})
	one = map[string]string{
		"web.yaml":     "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 0" + podOf,
		"store.yaml":   "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: store}\nspec:\n  replicas: 0\n  serviceName: s" + podOf,
		"service.yaml": service("None"),
		"dropped.yaml": string(configMap("dropped").Data),
		"kept.yaml":    string(configMap("kept").Data),
		"migrate.yaml": job(jobText{name: "migrate", image: "migrate:1"}),
		"after.yaml":   after("one"),
		"seed.yaml":    seed,
		"import.yaml":  job(jobText{name: "import"}),
	}
	two = map[string]string{
		"web.yaml":     strings.Replace(one["web.yaml"], "spec:\n", "spec:\n  strategy: {type: Recreate}\n", 1),
		"store.yaml":   strings.Replace(one["store.yaml"], "spec:\n", "spec:\n  updateStrategy: {type: OnDelete}\n", 1),
		"service.yaml": service(fmt.Sprintf("10.96.%d.%d", 100+n/200, 10+n%200)),
		"kept.yaml":    one["kept.yaml"],
		"new.yaml":     string(configMap("new").Data),
		"adopted.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: adopted}\ndata: {kept: new}\n",
		"site.yaml":    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: site}\nspec:\n  replicas: 0" + podOf,
		"migrate.yaml": job(jobText{name: "migrate", image: "migrate:2"}),
		"after.yaml":   after("two"),
		"seed.yaml":    seed,
	}
	return one, two
}

// What the sweep ends with.
var (
	sweepMembers = []string{
		"ConfigMap adopted", "ConfigMap after", "ConfigMap kept", "ConfigMap new", "Deployment site", "Deployment web", "Job migrate",
		"Service s", "StatefulSet store",
	}
	sweepRuns    = map[string]int{"migrate": 2, "seed": 1, "import": 1}
	sweepRecords = []string{"migrate-1 Complete", "migrate-2 Complete", "seed-1 Complete"}
)

// made by kubectl, and by others: nothing of theirs is ever Kilter's.
var (
	adopted = map[string]string{
		"configmaps": `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"adopted"},"data":{"kept":"old","dropped":"x"}}`,
		"deployments": `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"site","labels":{"dropped":"x"}},"spec":{"replicas":0,
			"selector":{"matchLabels":{"app":"a"}},"template":{"metadata":{"labels":{"app":"a"}},
			"spec":{"containers":[{"name":"a","image":"registry.example/a:1"}]}}}}`,
	}
	foreign = map[string]string{
		"configmaps": `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"theirs","labels":{"applyset.kubernetes.io/part-of":"SET"}}}`,
		"services":   `{"apiVersion":"v1","kind":"Service","metadata":{"name":"theirs"},"spec":{"ports":[{"port":80}],"clusterIP":"None"}}`,
	}
	sweepKinds = map[string]schema.GroupVersionResource{
		"ConfigMap":   {Version: "v1", Resource: "configmaps"},
		"Service":     {Version: "v1", Resource: "services"},
		"Job":         {Group: "batch", Version: "v1", Resource: "jobs"},
		"Deployment":  {Group: "apps", Version: "v1", Resource: "deployments"},
		"StatefulSet": {Group: "apps", Version: "v1", Resource: "statefulsets"},
	}
)

// service is a Service whose clusterIP changes, which it must not.
func service(ip string) string {
	return "apiVersion: v1\nkind: Service\nmetadata: {name: s, annotations: {kilter.dev/recreate: allowed}}\nspec:\n  selector: {app: a}\n" +
		"  ports: [{port: 80}]\n  clusterIP: " + ip + "\n"
}

// sweepers is how many scenarios of the sweep go on at a time: most of their time they wait for the cluster.
const sweepers = 6

// TestCrashSweep kills the program before and after each of its writes in turn, in a scenario with two commits: creates, updates in one step and in
// several, replacements, adoptions, prunes, Jobs that run, run again, wait for each other, and are deleted by their TTL. Wherever it was killed, the
// programs that follow end where undisturbed ones do, field by field and owner by owner: what has the set's label is what Git names, no Job has run
// twice, every run is on record, and what others made is untouched.
func TestCrashSweep(t *testing.T) {
	t.Parallel()
	_, c := newCluster(t)
	var want map[string]string
	var writes []string
	t.Run("undisturbed", func(t *testing.T) {
		s := c.newCrashes(t, []moment{{}})
		want, writes = s.play(t, 0)
	})
	if t.Failed() {
		return
	}
	t.Logf("undisturbed, %d writes: %q", len(writes), writes)
	var moments []moment
	for k := range writes {
		moments = append(moments, moment{k + 1, true}, moment{k + 1, false})
	}
	s := c.newCrashes(t, moments)
	next := make(chan int)
	var sweeping sync.WaitGroup
	for range sweepers {
		sweeping.Go(func() {
			for n := range next {
				t.Run(moments[n].String(), func(t *testing.T) {
					got, writes := s.play(t, n)
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("the end is another (-undisturbed +killed):\n%s", diff)
					}
					if t.Failed() {
						t.Logf("the last writes were %q", writes[max(0, len(writes)-3):])
					}
				})
			}
		})
	}
	for n := range moments {
		next <- n
	}
	close(next)
	sweeping.Wait()
	killed := int(s.killed.Load())
	t.Logf("%d crash points: before and after each of %d writes; killed at %d of them", len(moments), len(writes), killed)
	if killed < len(moments)*9/10 { // how often the end of a run is written depends on how fast it comes
		t.Errorf("killed only %d times", killed)
	}
}

// crashes is a repository with the scenario for each of some moments, each in a namespace and a directory of its own: the commits are branches.
type crashes struct {
	*cluster
	moments    []moment
	namespaces []string
	url        string
	killed     atomic.Int32
}

func (c *cluster) newCrashes(t *testing.T, moments []moment) *crashes {
	t.Helper()
	s := &crashes{cluster: c, moments: moments}
	files := map[string]map[string]string{"one": {}, "two": {}}
	for n := range moments {
		ns := c.namespace(t, "sweep")
		s.namespaces = append(s.namespaces, ns)
		one, two := sweepFiles(ns, n+len(moments)) // each with a clusterIP of its own
		for branch, texts := range map[string]map[string]string{"one": one, "two": two} {
			for name, text := range texts {
				files[branch][ns+"/"+name] = text
			}
		}
	}
	repo, url := repository(t, fstest.MapFS{"README": file("the crash sweep")})
	s.url = url
	for _, branch := range []string{"one", "two"} {
		must(t, repo.Branch(t.Context(), branch))
		for _, ns := range s.namespaces {
			if branch == "two" {
				must(t, repo.Remove(ns))
			}
		}
		for name, text := range files[branch] {
			must(t, repo.Write(name, text))
		}
		push(t, repo)
	}
	return s
}

// play brings a namespace from nothing to the first commit and on to the second. The program is killed at the moment, and run again. It returns
// the state in the end, and the writes until the program was killed.
func (s *crashes) play(t *testing.T, n int) (state map[string]string, writes []string) {
	t.Helper()
	ctx, _ := newCluster(t)
	ns := s.namespaces[n]
	parent := inventory.Parent{GroupVersion: schema.GroupVersion{Version: "v1"}, Kind: "ConfigMap", Namespace: ns, Name: "kilter-e2e"}
	j := s.watchJobs(t, ns)
	for resource, text := range adopted {
		s.applied(ctx, t, ns, resource, text)
	}
	for resource, text := range foreign {
		s.applied(ctx, t, ns, resource, strings.Replace(text, "SET", parent.ID(), 1))
	}
	theirs := s.uids(ctx, t, ns)
	b := s.newBetween(t, s.moments[n])
	killed := false
	commit := func(branch string) {
		t.Helper()
		sync := syncFile(t, ns, s.url, "")
		text, err := os.ReadFile(sync)
		must(t, err)
		text = bytes.Replace(text, []byte("branch: main}, path: prod"), fmt.Appendf(nil, "branch: %s}, path: %s", branch, ns), 1)
		must(t, os.WriteFile(sync, text, 0o600))
		run := []string{"run", "-f", sync, "--once", "--allow-insecure-git"}
		if !killed {
			code := b.run(ctx, t, run...)
			if killed = code == -1; !killed && code != 0 {
				t.Errorf("exit code %d without having been killed", code)
			}
			if !killed {
				return
			}
			s.killed.Add(1)
		}
		once(ctx, t, 0, append(run, "--kubeconfig", s.kubeconfig)...)
	}
	commit("one")
	uids := s.uids(ctx, t, ns)
	commit("two")

	if members := slices.Sorted(maps.Keys(s.members(ctx, t, parent, sweepKinds))); !slices.Equal(members, sweepMembers) {
		t.Errorf("members are %q, Git has %q", members, sweepMembers)
	}
	for name, runs := range sweepRuns {
		j.ran(t, name, runs)
	}
	j.records(ctx, t, sweepRecords...)
	now := s.uids(ctx, t, ns)
	for id, uid := range theirs {
		if now[id] != uid {
			t.Errorf("%s is not Kilter's: its UID was %s and is %q", id, uid, now[id])
		}
	}
	for id, uid := range uids {
		again := id == "Service s" || id == "Job migrate"
		if is, there := now[id]; there && (is == uid) == again {
			t.Errorf("%s: its UID was %s and is %s", id, uid, is)
		}
	}
	state = s.state(ctx, t, sweepKinds, ns, parent.ID())
	stored, err := s.CoreV1().ConfigMaps(ns).Get(ctx, parent.Name, metav1.GetOptions{})
	must(t, err)
	contents, ok := parent.Read(stored.Annotations)
	state["inventory"] = fmt.Sprint(ok, contents.GroupKinds, len(contents.Namespaces))
	return state, b.writes
}
