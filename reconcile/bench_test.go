package reconcile

import (
	"fmt"
	"testing"
	"time"

	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/source"
)

// BenchmarkPass makes passes over a set of which one object has changed, and over one of which none has. What the server does, and the way
// to it, is in "apply" alone; what else grows with the set is Kilter's own. Each phase is reported in milliseconds; "rest" is what no phase
// counts.
func BenchmarkPass(b *testing.B) {
	for _, n := range []int{100, 1000, 10_000} {
		for _, changed := range []int{0, 1} {
			b.Run(fmt.Sprintf("objects=%d/changed=%d", n, changed), func(b *testing.B) { benchmarkPass(b, n, changed) })
		}
	}
}

func benchmarkPass(b *testing.B, n, changed int) {
	files := map[string]string{}
	for i := range n {
		files[fmt.Sprintf("prod/dir-%d/file-%d.yaml", i%20, i)] = mixed(i, "1")
	}
	l := newEchoed(b, connectEcho(b), manifests.NewLoader(manifests.Options{}))
	tree := newGitTree(files)
	l.beginAsApplied(b, tree)
	var result *Result
	l.publish = func(r *Result) { result = r }
	spent, passes := map[string]time.Duration{}, 0
	b.ReportAllocs()
	for b.Loop() {
		passes++
		var found *look
		if changed > 0 {
			b.StopTimer()
			const name = "prod/dir-3/file-3.yaml"
			files[name] = mixed(3, fmt.Sprint(passes+1))
			tree.put(name, files[name])
			commit := fmt.Sprint("commit-", passes)
			found = &look{snapshot: source.Snapshot{Commit: source.Commit(commit), Revision: commit, Tree: tree, Path: root}}
			b.StartTimer()
		}
		start := time.Now()
		l.pass(b.Context(), found)
		whole := time.Since(start)
		if len(result.Changes) != changed || len(result.Failures()) > 0 || result.Objects != n || result.ClusterError != nil {
			b.Fatal(result.Message(), result.Changes)
		}
		for _, phase := range result.Phases {
			spent[phase.Name] += phase.Took
			whole -= phase.Took
		}
		spent["rest"] += whole
	}
	for name, took := range spent {
		b.ReportMetric(float64(took.Microseconds())/1000/float64(passes), name+"-ms")
	}
}

// beginAsApplied makes the loop one that has applied a commit and watches it.
func (l *Loop) beginAsApplied(b *testing.B, tree gitTree) {
	b.Helper()
	l.snapshot = source.Snapshot{Commit: "commit-0", Revision: "commit-0", Tree: tree, Path: root}
	r := l.begin()
	if err := l.load(b.Context(), r); err != nil || len(r.Rejected) > 0 {
		b.Fatal(err, r.Rejected)
	}
	if err := l.choosePlaces(); err != nil {
		b.Fatal(err)
	}
	for p := range l.places {
		l.observer.watches[p] = &placeWatch{place: p, observer: l.observer, cancel: func() {}, synced: true}
		l.observer.watches[p].forgetAll()
	}
	for _, object := range l.set.Objects {
		live := l.asApplied(object)
		l.observer.watches[placeOf(object.ID)].put(live)
		if record := l.recordOf(live); record != nil {
			l.observer.watches[placeOf(record.ID)].put(record)
		}
	}
	l.pass(b.Context(), nil) // writes the inventory
}

// mixed is one manifest of the mix in which Kilter's numbers are given: 40% CronJob, 30% ConfigMap, 10% each of Deployment, Job and
// DaemonSet, which use a ConfigMap and a Secret each.
func mixed(i int, value string) string {
	head := func(apiVersion, kind string) string {
		return fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata: {name: demo-%d}\n", apiVersion, kind, i)
	}
	pod := fmt.Sprintf("{metadata: {labels: {app: demo-%d}}, spec: {restartPolicy: %%s, serviceAccountName: demo, containers: "+
		"[{name: main, image: 'registry.example/app:%s', env: [{name: A, valueFrom: {secretKeyRef: {name: token, key: v}}}], "+
		"envFrom: [{configMapRef: {name: demo-%d}}]}]}}", i, value, i/10*10+4)
	never, always := fmt.Sprintf(pod, "Never"), fmt.Sprintf(pod, "Always")
	switch k := i % 10; {
	case k < 4:
		return head("batch/v1", "CronJob") + "spec: {schedule: '0 3 * * *', jobTemplate: {spec: {backoffLimit: 2, activeDeadlineSeconds: 60, template: " + never + "}}}\n"
	case k < 7:
		return head("v1", "ConfigMap") + "data: {key: '" + value + "'}\n"
	case k == 7:
		return head("batch/v1", "Job") + "spec: {backoffLimit: 2, activeDeadlineSeconds: 60, template: " + never + "}\n"
	case k == 8:
		return head("apps/v1", "Deployment") + fmt.Sprintf("spec: {selector: {matchLabels: {app: demo-%d}}, template: %s}\n", i, always)
	}
	return head("apps/v1", "DaemonSet") + fmt.Sprintf("spec: {selector: {matchLabels: {app: demo-%d}}, template: %s}\n", i, always)
}
