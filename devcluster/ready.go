package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"
	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"k8s.io/utils/ptr"
)

// The probes live in kube-system for a second and leave nothing but events: a namespace of their own would take five
// seconds to go away.
const (
	probeName      = "devcluster-probe"
	probeNamespace = metav1.NamespaceSystem
)

// probe is a workload that shows that its kind works.
type probe struct {
	resource string
	client   rest.Interface
	object   runtime.Object
	works    func(runtime.Object) bool
	status   string                      // JSON that is merged into the object once it exists, by way of its status subresource
	proof    func(context.Context) error // what else must be true of the object that works; may be nil
}

// proveWorkloads returns when one Job, CronJob, DaemonSet and Deployment each have done what they are for.
func proveWorkloads(ctx context.Context, client kubernetes.Interface, log *slog.Logger) error {
	// Pods cannot be created before their ServiceAccount; controllers would retry later and later.
	account := probe{resource: "serviceaccounts", client: client.CoreV1().RESTClient(), object: &core.ServiceAccount{}}
	exists := func(event watch.Event) (bool, error) { return event.Type != watch.Deleted, nil }
	if err := until(ctx, account.watch("default"), account.object, nil, exists); err != nil {
		return fmt.Errorf("no ServiceAccount default: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, p := range probes(client.BatchV1().RESTClient(), client.AppsV1().RESTClient()) {
		group.Go(func() error {
			begin := time.Now()
			if err := p.prove(ctx); err != nil {
				return fmt.Errorf("%s do not work: %w", p.resource, err)
			}
			log.Info("works", "resource", p.resource, "after", time.Since(begin).Round(time.Millisecond))
			return nil
		})
	}
	return group.Wait()
}

// probes returns a probe for each kind. The CronJob is made due at once by pretending that it last ran two minutes ago,
// so the proof need not wait for the next full minute.
func probes(batchClient, appsClient rest.Interface) []probe {
	meta := metav1.ObjectMeta{Name: probeName, Namespace: probeNamespace}
	labels := map[string]string{"app": probeName}
	selector := &metav1.LabelSelector{MatchLabels: labels}
	pod := core.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: labels},
		Spec:       core.PodSpec{Containers: []core.Container{{Name: "probe", Image: "none.invalid/probe"}}},
	}
	once := *pod.DeepCopy()
	once.Spec.RestartPolicy = core.RestartPolicyNever
	job := batch.JobSpec{Template: once}
	schedule := batch.CronJobSpec{Schedule: "* * * * *", JobTemplate: batch.JobTemplateSpec{Spec: job}}
	return []probe{{
		resource: "jobs",
		client:   batchClient,
		object:   &batch.Job{ObjectMeta: meta, Spec: job},
		works:    func(o runtime.Object) bool { return o.(*batch.Job).Status.Succeeded == 1 },
	}, {
		resource: "cronjobs",
		client:   batchClient,
		object:   &batch.CronJob{ObjectMeta: meta, Spec: schedule},
		works:    func(o runtime.Object) bool { return o.(*batch.CronJob).Status.LastSuccessfulTime != nil },
		status:   fmt.Sprintf(`{"status": {"lastScheduleTime": %q}}`, time.Now().Add(-2*time.Minute).UTC().Format(time.RFC3339)),
	}, {
		resource: "daemonsets",
		client:   appsClient,
		object:   &apps.DaemonSet{ObjectMeta: meta, Spec: apps.DaemonSetSpec{Selector: selector, Template: pod}},
		works: func(o runtime.Object) bool {
			status := o.(*apps.DaemonSet).Status
			return status.NumberReady > 0 && status.NumberReady == status.DesiredNumberScheduled
		},
	}, {
		resource: "deployments",
		client:   appsClient,
		object:   &apps.Deployment{ObjectMeta: meta, Spec: apps.DeploymentSpec{Selector: selector, Template: pod}},
		works:    func(o runtime.Object) bool { return o.(*apps.Deployment).Status.AvailableReplicas == 1 },
	}}
}

// prove creates the probe's object, waits until it works, and deletes it with all that it owns.
func (p probe) prove(ctx context.Context) error {
	if err := p.delete(ctx); err != nil { // a killed predecessor may have left it
		return err
	}
	if err := p.client.Post().Namespace(probeNamespace).Resource(p.resource).Body(p.object).Do(ctx).Error(); err != nil {
		return err
	}
	if p.status != "" {
		request := p.client.Patch(types.MergePatchType).Namespace(probeNamespace).Resource(p.resource).Name(probeName)
		if err := request.SubResource("status").Body([]byte(p.status)).Do(ctx).Error(); err != nil {
			return err
		}
	}
	works := func(event watch.Event) (bool, error) {
		return event.Type != watch.Deleted && p.works(event.Object), nil
	}
	if err := until(ctx, p.watch(probeName), p.object, nil, works); err != nil {
		return err
	}
	if p.proof != nil {
		if err := p.proof(ctx); err != nil {
			return err
		}
	}
	return p.delete(ctx)
}

// delete deletes the probe's object and returns when it and all that it owns are gone.
func (p probe) delete(ctx context.Context) error {
	options := &metav1.DeleteOptions{
		PropagationPolicy:  ptr.To(metav1.DeletePropagationForeground),
		GracePeriodSeconds: ptr.To[int64](0), // a pod that has ended has nothing to be given time for
	}
	err := p.client.Delete().Namespace(probeNamespace).Resource(p.resource).Name(probeName).Body(options).Do(ctx).Error()
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	gone := func(store cache.Store) (bool, error) { return len(store.List()) == 0, nil }
	deleted := func(event watch.Event) (bool, error) { return event.Type == watch.Deleted, nil }
	return until(ctx, p.watch(probeName), p.object, gone, deleted)
}

// watch selects the object of the given name among the probe's kind.
func (p probe) watch(name string) *cache.ListWatch {
	return cache.NewListWatchFromClient(p.client, p.resource, probeNamespace, fields.OneTermEqualSelector("metadata.name", name))
}

// until returns when the watched objects satisfy the precondition at first or the condition at an event.
func until(ctx context.Context, objects *cache.ListWatch, example runtime.Object,
	precondition watchtools.PreconditionFunc, condition watchtools.ConditionFunc,
) error {
	_, err := watchtools.UntilWithSync(ctx, objects, example, precondition, condition)
	return err
}
