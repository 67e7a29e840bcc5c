package view

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/pager"

	"kilter.dev/kilter/reconcile"
	"kilter.dev/kilter/reconcile/health"
)

// CronJob is a CronJob of the cluster with its schedule's health.
type CronJob struct {
	Namespace string
	Name      string
	Schedule  string
	TimeZone  string // spec.timeZone; empty when it names none
	Suspended bool
	health.Suspension
	health.ScheduleHealth
}

// String names the CronJob as kubectl takes it: "cronjob/report".
func (c CronJob) String() string { return "cronjob/" + c.Name }

// CronJobs returns the CronJobs of a namespace, or of all when it is empty, by namespace and name. It costs two lists, and keeps some hundred
// bytes of each object.
func (r *Reader) CronJobs(ctx context.Context, namespace string, now time.Time) ([]CronJob, error) {
	// The CronJobs first: what a status says to be running has a Job then, or has ended since.
	var live []*batchv1.CronJob
	err := each(ctx, r.cluster.Kubernetes().BatchV1().CronJobs(namespace).List, func(cron *batchv1.CronJob) {
		cron.Spec.JobTemplate = batchv1.JobTemplateSpec{}
		live = append(live, cron)
	})
	if err != nil {
		return nil, fmt.Errorf("cannot list CronJobs: %w", r.cluster.Explain(err))
	}
	runs := map[types.UID][]health.Run{}
	err = each(ctx, r.cluster.Kubernetes().BatchV1().Jobs(namespace).List, func(job *batchv1.Job) {
		if owner := metav1.GetControllerOf(job); owner != nil && owner.Kind == "CronJob" {
			runs[owner.UID] = append(runs[owner.UID], health.ReadRun(job))
		}
	})
	if err != nil {
		return nil, fmt.Errorf("cannot list Jobs: %w", r.cluster.Explain(err))
	}
	all := make([]CronJob, len(live))
	for i, cron := range live {
		all[i] = judgeSchedule(cron, runs[cron.UID], now)
	}
	slices.SortFunc(all, func(a, b CronJob) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	return all, nil
}

// each calls do with every object of a list, page by page.
func each[L runtime.Object, T runtime.Object](ctx context.Context, list func(context.Context, metav1.ListOptions) (L, error), do func(T)) error {
	pages := pager.New(func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return list(ctx, o) })
	return pages.EachListItem(ctx, metav1.ListOptions{}, func(object runtime.Object) error {
		item, ok := object.(T)
		if !ok {
			return fmt.Errorf("the list holds a %T", object)
		}
		do(item)
		return nil
	})
}

// judgeSchedule computes the health of one schedule.
func judgeSchedule(cron *batchv1.CronJob, runs []health.Run, now time.Time) CronJob {
	in := health.ScheduleInput{Cron: health.ReadCronJob(cron), Runs: runs, Now: now}
	if in.Suspended {
		in.Suspension = reconcile.SuspensionOf(cron)
	}
	return CronJob{
		Namespace: cron.Namespace, Name: cron.Name, Schedule: in.Schedule, TimeZone: in.TimeZone,
		Suspended: in.Suspended, Suspension: in.Suspension, ScheduleHealth: health.ComputeSchedule(in),
	}
}

// cronJob reads one CronJob and its Jobs.
func (r *Reader) cronJob(ctx context.Context, namespace, name string) (*batchv1.CronJob, []health.Run, error) {
	batch := r.cluster.Kubernetes().BatchV1()
	cron, err := batch.CronJobs(namespace).Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil, notFound("there is no cronjob/%s in namespace %s; kilter get cronjobs -A lists them all", name, namespace)
	case err != nil:
		return nil, nil, fmt.Errorf("cannot read cronjob/%s: %w", name, r.cluster.Explain(err))
	}
	var runs []health.Run
	err = each(ctx, batch.Jobs(namespace).List, func(job *batchv1.Job) {
		if metav1.IsControlledBy(job, cron) {
			runs = append(runs, health.ReadRun(job))
		}
	})
	if err != nil {
		return nil, nil, fmt.Errorf("cannot list the Jobs of cronjob/%s: %w", name, r.cluster.Explain(err))
	}
	return cron, runs, nil
}
