package manifests

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"
)

// The numbers that Kilter promises. make bench prints each beside its limit: a metric "x" comes with "x-limit".

// BenchmarkWorkloadManifestsOnOneCore reads 1,000 workload manifests that it has never seen, with positions, verdicts and everything else
// that a Load does. The rate is per second of processor time, garbage collection included.
func BenchmarkWorkloadManifestsOnOneCore(b *testing.B) {
	const n = 1000
	tree := newMemoryTree(workloads(n))
	before := processorTime()
	for b.Loop() {
		if set := mustLoad(b, NewLoader(Options{}), tree, Target{}); set.Rejected() || len(set.Objects) != n {
			b.Fatal(len(set.Objects), set.Problems)
		}
	}
	measured(b, float64(n*b.N)/(processorTime()-before).Seconds(), "manifests/s", 5000)
}

// BenchmarkOneOf10000ManifestsChanged loads a tree of 10,000 files of which one is another than the last time.
func BenchmarkOneOf10000ManifestsChanged(b *testing.B) {
	const n, changed = 10_000, "dir-7/file-7.yaml"
	tree := newMemoryTree(workloads(n))
	loader := NewLoader(Options{})
	last := mustLoad(b, loader, tree, Target{})
	original := string(tree.MapFS[changed].Data)
	var spent time.Duration
	for i := 0; b.Loop(); i++ {
		tree.put(changed, fmt.Sprintf("%s# %d\n", strings.Replace(original, "registry.example.com", fmt.Sprintf("r%d.example.com", i), 1), i))
		before := processorTime()
		set := mustLoad(b, loader, tree, Target{})
		spent += processorTime() - before
		if set.Rejected() || len(set.Objects) != n || differences(last, set) != 1 {
			b.Fatal(len(set.Objects), differences(last, set), set.Problems)
		}
		last = set
	}
	measured(b, float64(spent.Microseconds())/1000/float64(b.N), "ms", 5)
}

// BenchmarkKeptFor10000Manifests reports what a Loader and its Set of 10,000 manifests keep alive.
func BenchmarkKeptFor10000Manifests(b *testing.B) {
	tree := newMemoryTree(workloads(10_000))
	for b.Loop() {
		before := heap()
		loader := NewLoader(Options{})
		set := mustLoad(b, loader, tree, Target{})
		b.ReportMetric(float64(heap()-before)/(1<<20), "MB-kept")
		runtime.KeepAlive(loader)
		runtime.KeepAlive(set)
	}
}

// BenchmarkValidateOneFile starts bin/kilter for one file and waits for its verdict: the median time of a start.
func BenchmarkValidateOneFile(b *testing.B) {
	validate := program(b, "validate")
	file := filepath.Join(writeFiles(b, workloads(1)), "dir-0", "file-0.yaml")
	var took []time.Duration
	for b.Loop() {
		start := time.Now()
		run(b, validate(file))
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	measured(b, float64(took[len(took)/2].Microseconds())/1000, "ms", 60)
}

// BenchmarkValidate10000Manifests has bin/kilter read 10,000 files, and reports the most memory that the process ever had: the kernel's
// figure.
func BenchmarkValidate10000Manifests(b *testing.B) {
	validate := program(b, "validate")
	directory := writeFiles(b, workloads(10_000))
	most := int64(0)
	for b.Loop() {
		state := run(b, validate(directory))
		most = max(most, state.SysUsage().(*syscall.Rusage).Maxrss) // KiB on Linux
	}
	measured(b, float64(most)/1024, "MB", 120)
}

// measured reports a metric beside its limit, and nothing else.
func measured(b *testing.B, value float64, unit string, limit float64) {
	b.Helper()
	b.ReportMetric(value, unit)
	b.ReportMetric(limit, unit+"-limit")
	b.ReportMetric(0, "ns/op")
}

// processorTime returns how long this process has used a processor.
func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// program returns how to run a verb of bin/kilter, or skips when there is no such program or verb.
func program(b *testing.B, verb string) func(args ...string) *exec.Cmd {
	b.Helper()
	kilter := filepath.Join("..", "bin", "kilter")
	if _, err := os.Stat(kilter); err != nil {
		b.Skip("needs bin/kilter: run make build")
	}
	if out, err := exec.CommandContext(b.Context(), kilter, "help", verb).CombinedOutput(); err != nil || bytes.Contains(out, []byte("Unknown help topic")) {
		b.Skipf("bin/kilter has no verb %q: run make build", verb)
	}
	return func(args ...string) *exec.Cmd {
		return exec.CommandContext(b.Context(), kilter, append([]string{verb}, args...)...)
	}
}

func run(b *testing.B, command *exec.Cmd) *os.ProcessState {
	b.Helper()
	if out, err := command.CombinedOutput(); err != nil {
		b.Fatalf("%s: %v\n%.2000s", command, err, out)
	}
	return command.ProcessState
}

func writeFiles(b *testing.B, files map[string]string) (directory string) {
	b.Helper()
	directory = b.TempDir()
	for name, text := range files {
		name = filepath.Join(directory, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	return directory
}

// differences counts the objects of one set that the other does not hold unchanged.
func differences(a, b *Set) (n int) {
	for i, o := range b.Objects {
		if i >= len(a.Objects) || a.Objects[i] != o {
			n++
		}
	}
	return n
}

func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// memoryTree is a tree as cheap as source.Tree: directories are listed and hashes known beforehand.
type memoryTree struct {
	fstest.MapFS
	hashes      map[string]string // of a directory under its name with a slash
	directories map[string][]fs.DirEntry
	puts        int
}

func newMemoryTree(files map[string]string) *memoryTree {
	t := &memoryTree{MapFS: fstest.MapFS{}, hashes: map[string]string{}, directories: map[string][]fs.DirEntry{}}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		t.put(name, files[name])
	}
	err := fs.WalkDir(t.MapFS, ".", func(name string, entry fs.DirEntry, err error) error {
		if name != "." {
			t.directories[path.Dir(name)] = append(t.directories[path.Dir(name)], entry)
		}
		return err
	})
	if err != nil {
		panic(err)
	}
	return t
}

func (t *memoryTree) put(name, text string) {
	sum := sha256.Sum256([]byte(text))
	t.MapFS[name] = &fstest.MapFile{Data: []byte(text)}
	t.hashes[name] = hex.EncodeToString(sum[:])
	t.puts++
	for dir := path.Dir(name); ; dir = path.Dir(dir) {
		t.hashes[dir+"/"] = strconv.Itoa(t.puts)
		if dir == "." {
			return
		}
	}
}

// Stat knows the root without looking at every file, as fstest.MapFS would.
func (t *memoryTree) Stat(name string) (fs.FileInfo, error) {
	if name == "." {
		return root{}, nil
	}
	return t.MapFS.Stat(name)
}

// root describes the root directory.
type root struct{ fs.FileInfo }

func (root) IsDir() bool { return true }

func (t *memoryTree) HashDir(name string) (string, bool) {
	hash, known := t.hashes[name+"/"]
	return hash, known
}

func (t *memoryTree) Hash(name string) (string, error) { return t.hashes[name], nil }

func (t *memoryTree) ReadDir(name string) ([]fs.DirEntry, error) {
	if entries, ok := t.directories[name]; ok {
		return entries, nil
	}
	return nil, fs.ErrNotExist
}

// workloads returns n files, of the mix in which Kilter's numbers are given: 40% CronJob, 30% ConfigMap, 10% each of
// Deployment, Job and DaemonSet, at about 700 bytes a file.
func workloads(n int) map[string]string {
	const pod = `
%[1]s      labels: {app: demo-%[3]d, tier: back}
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
	head := "apiVersion: %s\nkind: %s\nmetadata:\n  name: demo-%d\n  labels: {app.kubernetes.io/name: demo}\n"
	files := make(map[string]string, n)
	for i := range n {
		template := func(indent, restart string) string { return fmt.Sprintf(pod, indent, restart, i) }
		var text string
		switch k := i % 10; {
		case k < 4:
			text = fmt.Sprintf(head, "batch/v1", "CronJob", i) + "spec:\n  schedule: '*/5 * * * *'\n  concurrencyPolicy: Forbid\n" +
				"  startingDeadlineSeconds: 60\n  jobTemplate:\n    spec:\n      backoffLimit: 2\n      activeDeadlineSeconds: 240\n      template:\n        metadata:" + template("    ", "Never")
		case k < 7:
			text = fmt.Sprintf(head, "v1", "ConfigMap", i) + "data:\n  config.ini: |\n" + strings.Repeat("    key = value\n", 20)
		case k == 7:
			text = fmt.Sprintf(head, "batch/v1", "Job", i) + "spec:\n  backoffLimit: 2\n  activeDeadlineSeconds: 600\n  template:\n    metadata:" + template("", "Never")
		default:
			kind := []string{"Deployment", "DaemonSet"}[k-8]
			text = fmt.Sprintf(head, "apps/v1", kind, i) + fmt.Sprintf("spec:\n  selector: {matchLabels: {app: demo-%d}}\n", i) +
				"  template:\n    metadata:" + template("", "Always")
		}
		files[fmt.Sprintf("dir-%d/file-%d.yaml", i%20, i)] = text
	}
	return files
}
