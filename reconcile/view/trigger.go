package view

import (
	"context"
	"fmt"
	"maps"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/utils/ptr"

	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/health"
)

// Trigger asks for a run by hand.
type Trigger struct {
	Namespace string
	Name      string
	Force     bool // although a run goes on and concurrencyPolicy is Forbid
}

// Triggered is a run that was started by hand.
type Triggered struct {
	CronJob // as it was before
	Job     string
	// Beside says that the schedule takes no notice of the run: one that is due meanwhile starts beside it, although concurrencyPolicy says
	// otherwise. The controller counts only the Jobs that it made itself.
	Beside bool
}

// BusyError says that a run goes on beside which concurrencyPolicy wants no other. TriggerCronJob returns it.
type BusyError struct {
	CronJob string
	Job     string
	For     string // how long it has been going on, in words
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("job/%s of %s has been running for %s, and concurrencyPolicy is Forbid: wait for it, delete it, or run another beside it with --force",
		e.Job, e.CronJob, e.For)
}

// TriggerCronJob starts a run of a CronJob by hand, whether or not it is suspended.
func (r *Reader) TriggerCronJob(ctx context.Context, t Trigger, now time.Time) (Triggered, error) {
	cron, runs, err := r.cronJob(ctx, t.Namespace, t.Name)
	if err != nil {
		return Triggered{}, err
	}
	done := Triggered{CronJob: judgeSchedule(cron, runs, now)}
	if cron.Spec.ConcurrencyPolicy == batchv1.ForbidConcurrent && !t.Force {
		for _, run := range runs {
			if run.Result == "" {
				return done, &BusyError{CronJob: done.String(), Job: run.Name, For: duration.HumanDuration(now.Sub(run.Created))}
			}
		}
	}
	job, err := r.cluster.Kubernetes().BatchV1().Jobs(t.Namespace).Create(ctx, manualRun(cron), metav1.CreateOptions{FieldManager: fieldManager})
	if err != nil {
		return done, fmt.Errorf("cannot start a run of %s: %w", done, r.cluster.Explain(err))
	}
	done.Job = job.Name
	done.Beside = cron.Spec.ConcurrencyPolicy != batchv1.AllowConcurrent && len(done.Next) > 0
	return done, nil
}

// maxBase is how much of a CronJob's name the name of its run has: with "-manual-" and five characters of the server's a Job may still have
// pods, whose labels hold its name in at most 63.
const maxBase = 63 - len("-manual-") - 5

// manualRun returns the Job that a run by hand is, as kubectl create job --from makes it. The reference to its owner does not block the owner's
// deletion: that would need the right to update the CronJob's finalizers.
func manualRun(cron *batchv1.CronJob) *batchv1.Job {
	template := cron.Spec.JobTemplate.DeepCopy()
	annotations := map[string]string{health.ManualAnnotation: "manual"}
	maps.Copy(annotations, template.Annotations)
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: cron.Name[:min(len(cron.Name), maxBase)] + "-manual-", Namespace: cron.Namespace,
			Labels: template.Labels, Annotations: annotations,
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: batchv1.SchemeGroupVersion.String(), Kind: "CronJob", Name: cron.Name, UID: cron.UID, Controller: ptr.To(true),
			}},
		},
		Spec: template.Spec,
	}
}

// AwaitJob returns how a Job ended as soon as it has. The error says that ctx was done, or that somebody deleted the Job.
func (r *Reader) AwaitJob(ctx context.Context, namespace, name string) (health.Run, error) {
	var run health.Run
	id := manifests.ID{Group: batchv1.GroupName, Kind: "Job", Namespace: namespace, Name: name}
	err := r.await(ctx, id, func(u *unstructured.Unstructured) (bool, error) {
		var job batchv1.Job
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &job); err != nil {
			return false, err
		}
		run = health.ReadRun(&job)
		return run.Result != "", nil
	})
	return run, err
}
