package reconcile

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/reconcile/health"
	"kilter.dev/kilter/reconcile/inventory"
)

// Exception is an object of which somebody decides a field for a time, where Git would decide otherwise or not at all.
type Exception struct {
	diff.Exception
	ID     manifests.ID
	Live   *diff.Live
	Origin manifests.Origin
}

// exceptions returns the exceptions on the objects of a set, the one that ends first foremost. One that is over and still there could not be
// ended.
func (s *sight) exceptions() []Exception {
	var all []Exception
	for _, i := range s.stirring() { // nothing with an exception ever rests
		if live := s.objects[i].live; live != nil && live.Exception != nil {
			all = append(all, Exception{Exception: *live.Exception, ID: live.ID, Live: live, Origin: s.set.Objects[i].Origin})
		}
	}
	slices.SortStableFunc(all, func(a, b Exception) int { return a.Until.Compare(b.Until) })
	return all
}

// nextExpiry returns when the first exception ends that was in force when a pass began; zero when none does.
func nextExpiry(last *Result) time.Time {
	for _, e := range last.Exceptions {
		if e.Until.After(last.Started) {
			return e.Until
		}
	}
	return time.Time{}
}

// excepted reports whether an apply met an exception that the pass did not know of.
func excepted(taken []Taken) bool {
	return slices.ContainsFunc(taken, func(t Taken) bool { return t.Manager == inventory.ExceptionManager })
}

// endException applies the object as Git says, and then takes the exception away. In this order a field that Git names never has its default
// in between: a CronJob that Git suspends too does not run for a moment.
func (w *write) endException(ctx context.Context) error {
	stored, err := w.apply(ctx, precondition{}, false)
	if err := w.mend(ctx, stored, err); err != nil || w.out.op != diff.Update {
		return err
	}
	without, err := w.loop.cluster.WithdrawException(ctx, stored)
	if err != nil {
		return err
	}
	w.out.live = w.loop.observer.record(w.object.ID, without)
	return nil
}

// cronJobs is where CronJobs are reached.
var cronJobs = resource{gvr: batchv1.SchemeGroupVersion.WithResource("cronjobs"), namespaced: true}

// SuspendUntil suspends a CronJob for a time, whatever Git says: an exception, which the loop of its Sync keeps and ends. It returns what the
// server stored, and the server's error.
func (c *Cluster) SuspendUntil(ctx context.Context, cron *batchv1.CronJob, until time.Time, reason string) (*metav1.PartialObjectMetadata, error) {
	annotations := map[string]string{inventory.SuspendedUntilAnnotation: until.UTC().Truncate(time.Second).Format(time.RFC3339)}
	if reason != "" {
		annotations[inventory.SuspendedReasonAnnotation] = oneLine(reason)
	}
	if by := c.whoami(ctx); by != "" {
		annotations[inventory.SuspendedByAnnotation] = by
	}
	return c.applyException(ctx, cron, map[string]any{"annotations": annotations}, map[string]any{"suspend": true})
}

// WithdrawException takes away all that an exception applied to the CronJob of that UID, and does nothing where it is gone.
func (c *Cluster) WithdrawException(ctx context.Context, cron metav1.Object) (*metav1.PartialObjectMetadata, error) {
	return c.applyException(ctx, cron, map[string]any{}, nil)
}

// applyException makes this all that is otherwise than in Git.
func (c *Cluster) applyException(ctx context.Context, cron metav1.Object, metadata, spec map[string]any) (*metav1.PartialObjectMetadata, error) {
	metadata["name"], metadata["namespace"], metadata["uid"] = cron.GetName(), cron.GetNamespace(), cron.GetUID()
	content := map[string]any{"apiVersion": cronJobs.gvr.GroupVersion().String(), "kind": cronJobKind.Kind, "metadata": metadata}
	if spec != nil {
		content["spec"] = spec
	}
	body, err := json.Marshal(content)
	if err != nil {
		return nil, err
	}
	return c.apply(ctx, applyRequest{
		target: cronJobs, namespace: cron.GetNamespace(), name: cron.GetName(), body: body, manager: inventory.ExceptionManager,
	})
}

// whoami returns the name by which the API server knows the caller; empty when it does not say.
func (c *Cluster) whoami(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	review, err := c.kubernetes.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return ""
	}
	return oneLine(review.Status.UserInfo.Username)
}

// SuspensionOf reads from the owners of spec.suspend who suspended a CronJob.
func SuspensionOf(cron *batchv1.CronJob) health.Suspension {
	owners := inventory.Owners(cron, inventory.Suspend)
	exception := inventory.ExceptionOf(cron)
	switch {
	case slices.ContainsFunc(owners, func(e metav1.ManagedFieldsEntry) bool { return e.Manager == inventory.FieldManager }):
		return health.Suspension{Git: true}
	case exception != nil && !exception.Until.IsZero():
		return health.Suspension{By: cmp.Or(exception.By, "somebody"), Until: exception.Until, Reason: exception.Reason}
	case len(owners) > 0:
		return health.Suspension{By: fmt.Sprintf("hand (%s)", owners[0].Manager)}
	}
	return health.Suspension{}
}
