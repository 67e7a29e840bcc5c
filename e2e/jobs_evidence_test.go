package e2e

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/internal/golden"
	"kilter.dev/kilter/internal/needs"
)

// realJob is a Job on the real node, with more of its spec, of its pod and of its container.
func realJob(name, spec, pod, container string, steps ...string) *fstest.MapFile {
	return file(`apiVersion: batch/v1
kind: Job
metadata: {name: ` + name + `}
spec:
  ` + spec + `
  template:
    spec:
      ` + pod + `
      nodeSelector: {kilter.dev/real-node: "true"}
      tolerations: [{key: kilter.dev/real-node, operator: Exists}]
      containers: [{name: main, image: "devcluster.kilter.dev/workload:1", args: [` + strings.Join(steps, ", ") + `]` + container + `}]
`)
}

// TestEvidence keeps how real containers ended and what they said last: the exit code, the kubelet's reason, the last 20 lines, and no value of a
// Secret. What Indexed Jobs, failure policies and success policies come to is on record too.
func TestEvidence(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	needs.RealNode(t)
	j := c.watchJobs(t, c.namespace(t, "evidence"))
	const never = "restartPolicy: Never"
	const asItsPod = "what the pod says: OOMKilled, or Error where the kernel's word comes to containerd after the end"
	indexed := "completionMode: Indexed, completions: 3, parallelism: 3"
	_, url := repository(t, fstest.MapFS{
		"prod/secret.yaml":  file("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {token: hunter2-very-secret}\n"),
		"prod/fails.yaml":   realJob("fails", "backoffLimit: 0", never, ", envFrom: [{secretRef: {name: s}}]", "lines=30", "env=token", "print=last", "exit=3"),
		"prod/oom.yaml":     realJob("oom", "backoffLimit: 0", never, ", resources: {limits: {memory: 32Mi}}", "print=big", "memory=256Mi"),
		"prod/retries.yaml": realJob("retries", "backoffLimit: 1", "restartPolicy: OnFailure", "", "print=attempt", "exit=4"),
		"prod/fine.yaml":    realJob("fine", "backoffLimit: 0", never, "", "print=done"),
		"prod/per.yaml": file(strings.Replace(string(realJob("per", "backoffLimitPerIndex: 0", never, "", `"fail-index=1:3"`).Data),
			"  backoffLimitPerIndex: 0", "  backoffLimitPerIndex: 0\n  "+strings.ReplaceAll(indexed, ", ", "\n  "), 1)),
		"prod/policy.yaml": realJob("policy", "backoffLimit: 6\n  podFailurePolicy: {rules: [{action: FailJob, onExitCodes: {operator: In, values: [42]}}]}",
			never, "", "exit=42"),
		"prod/late.yaml": realJob("late", "activeDeadlineSeconds: 20", never, "", "print=working", "wait"),
		"prod/leader.yaml": file(strings.Replace(string(realJob("leader", "SPEC", never, "", `"fail-index=2:3"`).Data), "SPEC",
			"backoffLimitPerIndex: 0\n  completionMode: Indexed\n  completions: 3\n  parallelism: 1\n  successPolicy: {rules: [{succeededIndexes: \"0\", succeededCount: 1}]}", 1)),
	})
	j.sync = syncFile(t, j.namespace, url, "")
	j.once(ctx, t, 1)

	for _, want := range []struct {
		record  string
		outcome v1alpha1.JobRunOutcome
		reason  string
		exit    *int32
		why     string // the container's reason
		log     string
		indexes string // completed / failed
	}{
		{"fails-1", v1alpha1.RunFailed, "BackoffLimitExceeded", ptr.To[int32](3), "Error", `^line 13\n(line \d+\n){17}token=\*\*\*\nlast$`, "/"},
		{"oom-1", v1alpha1.RunFailed, "BackoffLimitExceeded", ptr.To[int32](137), asItsPod, `^big$`, "/"},
		{"retries-1", v1alpha1.RunFailed, "BackoffLimitExceeded", ptr.To[int32](4), "Error", `^attempt$`, "/"}, // its pod goes before it has failed
		{"fine-1", v1alpha1.RunComplete, "", ptr.To[int32](0), "Completed", `^done$`, "/"},
		{"per-1", v1alpha1.RunFailed, "FailedIndexes", ptr.To[int32](3), "Error", "", "0,2/1"},
		{"policy-1", v1alpha1.RunFailed, "PodFailurePolicy", ptr.To[int32](42), "Error", "", "/"},
		{"late-1", v1alpha1.RunFailed, "DeadlineExceeded", ptr.To[int32](143), "Error", `^working$`, "/"}, // its pod goes before it has failed
		{"leader-1", v1alpha1.RunComplete, "", nil, "", "", ""},
	} {
		found := j.run(ctx, t, want.record, want.outcome).Status
		if want.why == asItsPod && found.Container != nil {
			pod, err := c.CoreV1().Pods(j.namespace).Get(ctx, found.Container.Pod, metav1.GetOptions{})
			must(t, err)
			want.why = pod.Status.ContainerStatuses[0].State.Terminated.Reason
		}
		if found.Reason != want.reason {
			t.Errorf("%s: reason %s, want %s", want.record, found.Reason, want.reason)
		}
		if want.exit != nil && (found.Container == nil || found.Container.ExitCode != *want.exit || found.Container.Reason != want.why) {
			t.Errorf("%s: its container ended with %+v", want.record, found.Container)
		}
		if !regexp.MustCompile(want.log).MatchString(strings.TrimSuffix(found.Log, "\n")) || strings.Contains(found.Log, "hunter2") || len(found.Log) > 4<<10 {
			t.Errorf("%s: the log is %q", want.record, found.Log)
		}
		if got := found.CompletedIndexes + "/" + found.FailedIndexes; want.indexes != "" && got != want.indexes {
			t.Errorf("%s: indexes %s", want.record, got)
		}
	}

	out, err := exec.CommandContext(ctx, filepath.Join("..", "bin", "kubectl"), "get", "jobruns", "--kubeconfig", c.kubeconfig, "-n", j.namespace).Output()
	must(t, err)
	golden.Check(t, filepath.Join("testdata", "jobruns.txt"), regexp.MustCompile(`\b(\d+[smh])+\b *`).ReplaceAllString(string(out), "AGE "))
}
