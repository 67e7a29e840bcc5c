package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/inventory"
)

// commandManager is the field manager of what a person changes by Kilter's commands and Git does not name.
const commandManager = "kilter-command"

// Suspend asks for an exception: a CronJob is suspended for a time, whatever Git says.
type Suspend struct {
	Namespace string
	Name      string
	For       time.Duration // up to inventory.MaxException
	Reason    string
}

// SuspendCronJob suspends a CronJob until its time is over. The loop of its Sync leaves that alone until then, and restores what Git says
// after it. One that Git suspends stays as it is, and needs no time. It returns the CronJob as it is afterwards.
func (c *Cluster) SuspendCronJob(ctx context.Context, s Suspend, clock Clock) (CronJob, error) {
	cron, err := c.cronJob(ctx, s.Namespace, s.Name)
	if err != nil {
		return CronJob{}, err
	}
	runs, err := c.runsOf(ctx, cron)
	if err != nil {
		return CronJob{}, err
	}
	found := judge(cron, runs, clock)
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
	annotations := map[string]string{
		inventory.SuspendedUntilAnnotation: clock.Now().Add(s.For).UTC().Truncate(time.Second).Format(time.RFC3339),
	}
	if s.Reason != "" {
		annotations[inventory.SuspendedReasonAnnotation] = oneLine(s.Reason)
	}
	if by := c.whoami(ctx); by != "" {
		annotations[inventory.SuspendedByAnnotation] = by
	}
	id := manifests.ID{Group: batchv1.GroupName, Kind: "CronJob", Namespace: cron.Namespace, Name: cron.Name}
	stored, err := c.applyException(ctx, id, cron.UID, map[string]any{
		"metadata": map[string]any{"annotations": annotations}, "spec": map[string]any{"suspend": true},
	})
	if err != nil {
		return CronJob{}, fmt.Errorf("cannot suspend %s: %w", found, newFailure(err, c.host))
	}
	cron.ObjectMeta, cron.Spec.Suspend = stored.ObjectMeta, ptr.To(true)
	return judge(cron, runs, clock), nil
}

// ResumeCronJob ends an exception before its time, or a suspension by hand. It returns the CronJob as it is afterwards, and whether it was
// suspended at all. What Git suspends is resumed in Git.
func (c *Cluster) ResumeCronJob(ctx context.Context, namespace, name string, clock Clock) (after CronJob, resumed bool, err error) {
	cron, err := c.cronJob(ctx, namespace, name)
	if err != nil {
		return CronJob{}, false, err
	}
	runs, err := c.runsOf(ctx, cron)
	if err != nil {
		return CronJob{}, false, err
	}
	before := judge(cron, runs, clock)
	var stored *metav1.PartialObjectMetadata
	id := manifests.ID{Group: batchv1.GroupName, Kind: "CronJob", Namespace: namespace, Name: name}
	switch {
	case inventory.ExceptionOf(cron) != nil:
		stored, err = c.withdrawException(ctx, id, cron.UID)
	case !before.Suspended:
		return before, false, nil
	case before.Git:
		return before, false, fmt.Errorf("Git suspends %s: remove spec.suspend: true from its manifest", before)
	default:
		stored, err = c.resumeByHand(ctx, cron)
	}
	if err != nil {
		return before, false, fmt.Errorf("cannot resume %s: %w", before, newFailure(err, c.host))
	}
	cron.ObjectMeta, cron.Spec.Suspend = stored.ObjectMeta, ptr.To(before.Git)
	return judge(cron, runs, clock), before.Suspended && !before.Git, nil
}

// resumeByHand takes back what somebody set by hand, on the very object that was read.
func (c *Cluster) resumeByHand(ctx context.Context, cron *batchv1.CronJob) (*metav1.PartialObjectMetadata, error) {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": cron.UID, "resourceVersion": cron.ResourceVersion},
		"spec":     map[string]any{"suspend": false},
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
	defer cancel()
	return c.object(cronJobs, cron.Namespace).Patch(ctx, cron.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: commandManager})
}

// applyException applies what is to be otherwise than in Git to the CronJob of a UID, and nothing where that is gone.
func (c *Cluster) applyException(
	ctx context.Context, id manifests.ID, uid types.UID, content map[string]any,
) (*metav1.PartialObjectMetadata, error) {
	metadata, _ := content["metadata"].(map[string]any)
	if metadata == nil {
		metadata = map[string]any{}
	}
	metadata["name"], metadata["namespace"], metadata["uid"] = id.Name, id.Namespace, uid
	content["apiVersion"], content["kind"], content["metadata"] = cronJobs.gvr.GroupVersion().String(), id.Kind, metadata
	body, err := json.Marshal(content)
	if err != nil {
		return nil, err
	}
	return c.apply(ctx, applyRequest{
		target: cronJobs, namespace: id.Namespace, name: id.Name, body: body, manager: inventory.ExceptionManager,
	})
}

// withdrawException takes away all that an exception applied.
func (c *Cluster) withdrawException(ctx context.Context, id manifests.ID, uid types.UID) (*metav1.PartialObjectMetadata, error) {
	return c.applyException(ctx, id, uid, map[string]any{})
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
