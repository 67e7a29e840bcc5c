package reconcile

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/reconcile/health"
	"kilter.dev/kilter/reconcile/inventory"
)

// statusItems bounds every list in a status, whatever the number of objects; oneLine bounds every text.
const statusItems = 20

// Status renders a Result as the status that follows previous. Transition times are kept where a condition did not change.
func (r *Result) Status(previous v1alpha1.SyncStatus) v1alpha1.SyncStatus {
	status := v1alpha1.SyncStatus{
		ObservedGeneration:     r.Generation,
		Conditions:             append([]metav1.Condition(nil), previous.Conditions...),
		LastAttemptedRevision:  cmp.Or(r.Attempted, previous.LastAttemptedRevision),
		LastAppliedRevision:    cmp.Or(r.Applied, previous.LastAppliedRevision),
		LastHandledReconcileAt: cmp.Or(r.Requested, previous.LastHandledReconcileAt),
		Objects:                previous.Objects,
	}
	if r.Health != nil {
		status.Objects = v1alpha1.ObjectCounts{
			Total: r.Objects, Current: r.Health[health.Current], InProgress: r.Health[health.InProgress],
			Failed: r.Health[health.Failed], Terminating: r.Health[health.Terminating],
			NotFound: r.Health[health.NotFound], Unknown: r.Health[health.Unknown],
		}
	}
	for _, t := range firstOf(r.Troubles()) {
		problem := v1alpha1.ObjectProblem{File: oneLine(t.Origin.File), Line: t.Origin.Line, Reason: t.Reason, Message: oneLine(t.Message)}
		if t.Object.Kind != "" {
			problem.Object = oneLine(t.Object.String())
		}
		status.Problems = append(status.Problems, problem)
	}
	for _, b := range firstOf(r.Blocked) {
		status.Blocked = append(status.Blocked, v1alpha1.BlockedObject{
			Object: b.Object.ID.String(), By: b.By.String(), Message: oneLine(b.Reason),
		})
	}
	for _, e := range firstOf(r.Exceptions) {
		exception := v1alpha1.ExceptionFromGit{Object: e.ID.String(), Reason: oneLine(e.Reason), By: oneLine(e.By)}
		if !e.Until.IsZero() {
			exception.Until = ptr.To(metav1.NewTime(e.Until))
		}
		status.Exceptions = append(status.Exceptions, exception)
	}
	for _, rollout := range firstOf(r.Rollouts) {
		status.Rollouts = append(status.Rollouts, v1alpha1.ObjectRollout{
			Object: rollout.Object.String(), Outdated: rollout.OutdatedPods, Message: oneLine(rollout.Health.Message),
		})
	}
	for _, condition := range r.conditions() {
		condition.ObservedGeneration = r.Generation
		condition.LastTransitionTime = metav1.NewTime(r.Finished)
		meta.SetStatusCondition(&status.Conditions, condition)
	}
	return status
}

// conditions returns Ready, Reconciling and Stalled as kstatus reads them: Reconciling while something is on its way or is tried again,
// Stalled when nothing will change before somebody acts. A suspended Sync is neither: it rests because somebody wants it to.
func (r *Result) conditions() []metav1.Condition {
	reason, message := string(r.Reason()), oneLine(r.Message())
	resting := r.Ready() || r.Suspended
	stalled := r.Settled() && !resting && r.FetchError == nil && r.ClusterError == nil
	truth := func(kind string, true bool) metav1.Condition {
		c := metav1.Condition{Type: kind, Status: metav1.ConditionFalse, Reason: reason, Message: message}
		if true {
			c.Status = metav1.ConditionTrue
		}
		return c
	}
	return []metav1.Condition{
		truth(v1alpha1.ConditionReady, r.Ready()),
		truth(v1alpha1.ConditionReconciling, !resting && !stalled),
		truth(v1alpha1.ConditionStalled, stalled),
	}
}

func firstOf[T any](all []T) []T { return all[:min(len(all), statusItems)] }

// writeStatus stores the status of a Sync object by server-side apply, so that what it no longer says goes away.
func writeStatus(ctx context.Context, cluster *Cluster, sync *v1alpha1.Sync, status v1alpha1.SyncStatus) error {
	body, err := json.Marshal(map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(),
		"kind":       v1alpha1.SyncKind,
		"metadata":   map[string]any{"name": sync.Name, "namespace": sync.Namespace},
		"status":     status,
	})
	if err != nil {
		return err
	}
	_, target := syncParent(sync.Namespace, sync.Name)
	_, err = cluster.apply(ctx, applyRequest{
		target: target, namespace: sync.Namespace, name: sync.Name, body: body, manager: inventory.ParentFieldManager, subresource: "status",
	})
	if err != nil {
		return fmt.Errorf("cannot write the status of Sync %s/%s: %w", sync.Namespace, sync.Name, newFailure(err, cluster.host))
	}
	return nil
}
