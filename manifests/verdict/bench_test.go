package verdict

import (
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// BenchmarkCreate judges a manifest from its JSON. Beside the time that passed it reports manifests for a second of processor time,
// which other work on the machine changes less.
func BenchmarkCreate(b *testing.B) {
	all := samples(b)
	for _, gvk := range []schema.GroupVersionKind{
		batchv1.SchemeGroupVersion.WithKind("CronJob"), appsv1.SchemeGroupVersion.WithKind("Deployment"),
		corev1.SchemeGroupVersion.WithKind("ConfigMap"), corev1.SchemeGroupVersion.WithKind("Pod"),
		corev1.SchemeGroupVersion.WithKind("Service"),
	} {
		b.Run(gvk.Kind, func(b *testing.B) {
			text := all[gvk]
			b.ReportAllocs()
			before := processorTime(b)
			for b.Loop() {
				if v, _ := Create(gvk, "team-a", text); len(v.Causes) > 0 {
					b.Fatal(v.Causes)
				}
			}
			b.ReportMetric(float64(b.N)/(processorTime(b)-before).Seconds(), "manifests/cpu-s")
		})
	}
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
