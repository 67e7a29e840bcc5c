package manifests

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// workloads returns a tree of n files, of the mix in which Kilter's numbers are given: 40% CronJob, 30% ConfigMap, 10% each of
// Deployment, Job and DaemonSet, at about 700 bytes a file.
func workloads(n int) hashedTree {
	const pod = `
%[1]s      labels: {app: demo, tier: back}
%[1]s    spec:
%[1]s      restartPolicy: %[2]s
%[1]s      serviceAccountName: demo
%[1]s      containers:
%[1]s      - name: main
%[1]s        image: registry.example.com/team/app:1.2.3
%[1]s        command: ["/bin/app", "--verbose"]
%[1]s        env:
%[1]s        - name: MODE
%[1]s          value: production
%[1]s        - name: TOKEN
%[1]s          valueFrom: {secretKeyRef: {name: token, key: value}}
%[1]s        resources:
%[1]s          requests: {cpu: 100m, memory: 64Mi}
%[1]s          limits: {memory: 128Mi}
`
	template := func(indent, restart string) string { return fmt.Sprintf(pod, indent, restart) }
	head := "apiVersion: %s\nkind: %s\nmetadata:\n  name: demo-%d\n  labels: {app.kubernetes.io/name: demo}\n"
	files := make(map[string]string, n)
	for i := range n {
		var text string
		switch k := i % 10; {
		case k < 4:
			text = fmt.Sprintf(head, "batch/v1", "CronJob", i) + "spec:\n  schedule: '*/5 * * * *'\n  concurrencyPolicy: Forbid\n" +
				"  jobTemplate:\n    spec:\n      template:\n        metadata:" + template("    ", "Never")
		case k < 7:
			text = fmt.Sprintf(head, "v1", "ConfigMap", i) + "data:\n  config.ini: |\n" + strings.Repeat("    key = value\n", 20)
		case k == 7:
			text = fmt.Sprintf(head, "batch/v1", "Job", i) + "spec:\n  backoffLimit: 2\n  template:\n    metadata:" + template("", "Never")
		default:
			kind := []string{"Deployment", "DaemonSet"}[k-8]
			text = fmt.Sprintf(head, "apps/v1", kind, i) + "spec:\n  selector: {matchLabels: {app: demo}}\n  template:\n    metadata:" +
				template("", "Always")
		}
		files[fmt.Sprintf("dir-%d/file-%d.yaml", i%20, i)] = text
	}
	return newHashedTree(files)
}

// BenchmarkLoad reads a tree of 1,000 manifests: cold, and with one file changed.
func BenchmarkLoad(b *testing.B) {
	const n = 1000
	tree := workloads(n)
	b.Run("cold", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if set := mustLoad(b, NewLoader(Options{}), tree, Target{}); set.Rejected() || len(set.Objects) != n {
				b.Fatal(len(set.Objects), set.Problems)
			}
		}
		b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "manifests/s")
	})
	b.Run("unchanged", func(b *testing.B) {
		loader := NewLoader(Options{})
		mustLoad(b, loader, tree, Target{})
		for b.Loop() {
			mustLoad(b, loader, tree, Target{})
		}
	})
}

// BenchmarkMemory reports what a Loader and its Set of 10,000 manifests keep alive.
func BenchmarkMemory(b *testing.B) {
	tree := workloads(10_000)
	for b.Loop() {
		before := heap()
		loader := NewLoader(Options{})
		set := mustLoad(b, loader, tree, Target{})
		b.ReportMetric(float64(heap()-before)/(1<<20), "MiB-kept")
		runtime.KeepAlive(loader)
		runtime.KeepAlive(set)
	}
}

func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
