package view

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"kilter.dev/kilter/reconcile/inventory"
)

// Suspend asks for an exception: a CronJob is suspended for a time, whatever Git says.
type Suspend struct {
	Namespace string
	Name      string
	For       time.Duration // up to inventory.MaxException
	Reason    string
}

// SuspendCronJob suspends a CronJob until its time is over. The loop of its Sync leaves that alone until then, and restores what Git says
// after it. One that Git suspends stays as it is, and needs no time. It returns the CronJob as it is afterwards.
func (r *Reader) SuspendCronJob(ctx context.Context, s Suspend, now time.Time) (CronJob, error) {
	cron, runs, err := r.cronJob(ctx, s.Namespace, s.Name)
	if err != nil {
		return CronJob{}, err
	}
	found := judgeSchedule(cron, runs, now)
	switch {
	case found.Git:
		return found, nil
	case cron.Labels[inventory.PartOfLabel] == "" || inventory.Entry(cron) == nil:
		return CronJob{}, fmt.Errorf("%s is in no Sync, so nobody would end the exception: suspend it with kubectl patch %[1]s -n %[2]s -p "+
			`'{"spec":{"suspend":true}}'`, found, found.Namespace)
	case s.For <= 0:
		return CronJob{}, errors.New("an exception from Git needs an end: add --for, such as --for 2h; to suspend it for good, write spec.suspend: true in Git")
	case s.For > inventory.MaxException:
		return CronJob{}, fmt.Errorf("--for %s is longer than %s: what is to be otherwise for longer belongs in Git", s.For, inventory.MaxException)
	}
	stored, err := r.cluster.SuspendUntil(ctx, cron, now.Add(s.For), s.Reason)
	if err != nil {
		return CronJob{}, fmt.Errorf("cannot suspend %s: %w", found, r.cluster.Explain(err))
	}
	cron.ObjectMeta, cron.Spec.Suspend = stored.ObjectMeta, ptr.To(true)
	return judgeSchedule(cron, runs, now), nil
}

// ResumeCronJob ends an exception before its time, or a suspension by hand. It returns the CronJob as it is afterwards, and whether it was
// suspended at all. What Git suspends is resumed in Git.
func (r *Reader) ResumeCronJob(ctx context.Context, namespace, name string, now time.Time) (after CronJob, resumed bool, err error) {
	cron, runs, err := r.cronJob(ctx, namespace, name)
	if err != nil {
		return CronJob{}, false, err
	}
	before := judgeSchedule(cron, runs, now)
	var stored *metav1.PartialObjectMetadata
	switch {
	case inventory.ExceptionOf(cron) != nil:
		stored, err = r.cluster.WithdrawException(ctx, cron)
	case !before.Suspended:
		return before, false, nil
	case before.Git:
		return before, false, fmt.Errorf("Git suspends %s: remove spec.suspend: true from its manifest", before)
	default:
		stored, err = r.resumeByHand(ctx, cron)
	}
	if err != nil {
		return before, false, fmt.Errorf("cannot resume %s: %w", before, r.cluster.Explain(err))
	}
	cron.ObjectMeta, cron.Spec.Suspend = stored.ObjectMeta, ptr.To(before.Git)
	return judgeSchedule(cron, runs, now), before.Suspended && !before.Git, nil
}

// resumeByHand takes back what somebody set by hand, on the very object that was read.
func (r *Reader) resumeByHand(ctx context.Context, cron *batchv1.CronJob) (*metav1.PartialObjectMetadata, error) {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": cron.UID, "resourceVersion": cron.ResourceVersion},
		"spec":     map[string]any{"suspend": false},
	})
	if err != nil {
		return nil, err
	}
	return r.cluster.Metadata().Resource(batchv1.SchemeGroupVersion.WithResource("cronjobs")).Namespace(cron.Namespace).
		Patch(ctx, cron.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: fieldManager})
}
