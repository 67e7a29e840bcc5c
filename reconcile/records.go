package reconcile

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/reconcile/inventory"
)

var (
	jobKind    = schema.GroupKind{Group: "batch", Kind: "Job"}
	jobRunKind = schema.GroupKind{Group: v1alpha1.GroupVersion.Group, Kind: v1alpha1.JobRunKind}
	jobRuns    = resource{gvr: v1alpha1.GroupVersion.WithResource(v1alpha1.JobRunResource), namespaced: true}
)

// records writes the JobRuns of one set, as Kilter itself: like the inventory they are its own notes, and no account of a tenant has to be able
// to write them.
type records struct {
	cluster *Cluster
	sync    string // "namespace/name"
}

func jobRunID(namespace, name string) manifests.ID {
	return manifests.ID{Group: jobRunKind.Group, Kind: jobRunKind.Kind, Namespace: namespace, Name: name}
}

// runOf reduces a JobRun; nil when it is none.
func runOf(object *unstructured.Unstructured) *diff.Run {
	var run v1alpha1.JobRun
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &run); err != nil {
		return nil
	}
	reduced := &diff.Run{
		Record: run.Name, Sync: run.Spec.Sync, Job: run.Spec.Job, Identity: diff.ParseIdentity(run.Spec.Identity),
		Asked:   run.Spec.Identity == "" && run.Status.Outcome == "",
		Outcome: diff.Outcome(run.Status.Outcome), Reason: oneLine(run.Status.Reason), Message: oneLine(run.Status.Message),
		JobUID: run.Status.JobUID, Created: run.CreationTimestamp.Time, Told: run.Status.Container != nil,
	}
	if at := run.Status.StartTime; at != nil {
		reduced.Started = at.Time
	}
	if at := run.Status.CompletionTime; at != nil {
		reduced.Ended = at.Time
	}
	if suffix, ok := strings.CutPrefix(run.Name, run.Spec.Job+"-"); ok {
		reduced.Number, _ = strconv.Atoi(suffix)
	}
	return reduced
}

// requested reports whether somebody has asked for a run: somebody else than the loop has created its record.
func (r records) requested(ctx context.Context, namespace, record string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	stored, err := r.client(namespace).Get(ctx, record, metav1.GetOptions{})
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(stored.GetManagedFields(), func(e metav1.ManagedFieldsEntry) bool {
		return e.Manager != inventory.FieldManager && e.Subresource == ""
	}), nil
}

// begun is the start of one run.
type begun struct {
	job      manifests.ID
	record   string
	exists   bool // it is on record: somebody has asked for it, or it was taken for a run of what Git wants
	identity diff.Identity
	revision string
	origin   manifests.Origin
	reason   string
}

// begin puts a run on record. It comes before the Job is created: so no run is ever unknown, whenever Kilter or the server dies.
func (r records) begin(ctx context.Context, b begun) (*unstructured.Unstructured, error) {
	spec := v1alpha1.JobRunSpec{
		Sync: r.sync, Job: b.job.Name, Identity: b.identity.String(), Revision: b.revision, Reason: b.reason, File: b.origin.File,
	}
	if b.origin.Line > 0 {
		spec.File += ":" + strconv.Itoa(b.origin.Line)
	}
	if b.exists {
		return r.patch(ctx, b.job.Namespace, b.record, map[string]any{"spec": spec})
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&v1alpha1.JobRun{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.JobRunKind},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: b.job.Namespace, Name: b.record, Labels: map[string]string{v1alpha1.JobLabel: b.job.Name},
		},
		Spec: spec,
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
	defer cancel()
	return r.client(b.job.Namespace).Create(ctx, &unstructured.Unstructured{Object: content}, metav1.CreateOptions{FieldManager: inventory.FieldManager})
}

// settle writes what is new of a run's status; fields that are left out stay as they are.
func (r records) settle(ctx context.Context, namespace, record string, status v1alpha1.JobRunStatus) (*unstructured.Unstructured, error) {
	return r.patch(ctx, namespace, record, map[string]any{"status": status}, "status")
}

func (r records) patch(ctx context.Context, namespace, record string, change any, subresources ...string) (*unstructured.Unstructured, error) {
	content, err := json.Marshal(change)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
	defer cancel()
	return r.client(namespace).Patch(ctx, record, types.MergePatchType, content,
		metav1.PatchOptions{FieldManager: inventory.FieldManager}, subresources...)
}

// release makes a run that somebody has asked for one that has not begun.
func (r records) release(ctx context.Context, namespace, record string) (*unstructured.Unstructured, error) {
	return r.patch(ctx, namespace, record, map[string]any{"spec": map[string]any{"identity": nil, "revision": nil, "file": nil}})
}

// remove deletes a record; one that is gone already is no error.
func (r records) remove(ctx context.Context, namespace, record string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
	defer cancel()
	err := r.client(namespace).Delete(ctx, record, metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

func (r records) client(namespace string) dynamic.ResourceInterface {
	return r.cluster.dynamic.Resource(jobRuns.gvr).Namespace(namespace)
}
