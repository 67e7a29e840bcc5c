package reconcile

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestHearing keeps the end of a log of any length, in whole lines.
func TestHearing(t *testing.T) {
	for _, c := range []struct {
		name   string
		writes int
		text   string // a line, written with its number
	}{
		{"short", 3, "line"},
		{"long", 100_000, "line"},
		{"in lines that are longer than a write", 5, strings.Repeat("x", logRead/2)},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &hearing{done: make(chan struct{}), stop: func() {}}
			close(h.done)
			var all strings.Builder
			for i := range c.writes {
				line := fmt.Sprintf("%d %s\n", i, c.text)
				all.WriteString(line)
				for _, part := range []string{line[:len(line)/2], line[len(line)/2:]} {
					if n, err := h.Write([]byte(part)); n != len(part) || err != nil {
						t.Fatalf("Write: %d, %v", n, err)
					}
				}
			}
			got := string(h.all())
			before, ok := strings.CutSuffix(all.String(), got)
			if !ok || before != "" && !strings.HasSuffix(before, "\n") {
				t.Errorf("not the last whole lines: %.40q…", got)
			}
			if len(got) > 2*logRead || len(got) < min(all.Len(), logRead-len(c.text)-10) {
				t.Errorf("%d bytes of %d are kept", len(got), all.Len())
			}
		})
	}
}

// TestLastOf takes a failure before a success, the one that was heard before others that failed, and the latest of equals.
func TestLastOf(t *testing.T) {
	noon := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	pod := func(name string, code int32, minute int) corev1.Pod {
		ended := corev1.ContainerStateTerminated{ExitCode: code, FinishedAt: metav1.NewTime(noon.Add(time.Duration(minute) * time.Minute))}
		return corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
			{Name: "main", State: corev1.ContainerState{Terminated: &ended}},
		}}}
	}
	heard := &hearing{pod: "heard", container: "main"}
	for _, c := range []struct {
		name string
		pods []corev1.Pod
		want string
	}{
		{"none", nil, ""},
		{"the latest", []corev1.Pod{pod("a", 0, 1), pod("b", 0, 2)}, "b"},
		{"a failure", []corev1.Pod{pod("a", 1, 1), pod("b", 0, 2)}, "a"},
		{"what was heard", []corev1.Pod{pod("heard", 143, 1), pod("b", 143, 2)}, "heard"},
		{"not a success that was heard", []corev1.Pod{pod("heard", 0, 2), pod("b", 143, 1)}, "b"},
	} {
		got := ""
		if last := lastOf(c.pods, heard); last != nil {
			got = last.Pod
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
