package verdict

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/utils/ptr"
)

// JobIdentity returns a hex hash of what a Job runs: its spec after defaulting, without the fields that the API server lets change while the
// Job exists (ValidateJobSpecUpdate in k8s.io/kubernetes/pkg/apis/batch/validation). It returns "" for any other kind. A newer Kubernetes may
// default more, and then the same manifest has another identity.
func (p Parsed) JobIdentity() string {
	written, ok := p.Object.(*batchv1.Job)
	if !ok || p.kind.scheme == nil {
		return ""
	}
	job := written.DeepCopy()
	p.kind.scheme.Default(job)
	spec := &job.Spec
	spec.Parallelism = nil
	spec.Suspend = nil
	spec.ActiveDeadlineSeconds = nil
	spec.BackoffLimit = nil
	spec.TTLSecondsAfterFinished = nil
	spec.MaxFailedIndexes = nil
	spec.PodReplacementPolicy = nil
	spec.ManualSelector = nil
	if spec.CompletionMode != nil && *spec.CompletionMode == batchv1.IndexedCompletion {
		spec.Completions = nil // see JobIndexes
	}
	if s := spec.Scheduling; s != nil && s.SchedulingPolicy != nil && s.SchedulingPolicy.Gang != nil {
		s.SchedulingPolicy.Gang.MinCount = nil
	}
	text, err := json.Marshal(spec)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// JobIndexes returns how many indexes an Indexed Job has, and whether the API server lets a Job that exists come to have as many: its parallelism
// has to be the same number then (validateCompletions in k8s.io/kubernetes/pkg/apis/batch/validation). It returns 0 for any other Job or kind.
func (p Parsed) JobIndexes() (indexes int32, elastic bool) {
	job, ok := p.Object.(*batchv1.Job)
	if !ok || job.Spec.CompletionMode == nil || *job.Spec.CompletionMode != batchv1.IndexedCompletion {
		return 0, false
	}
	indexes = ptr.Deref(job.Spec.Completions, 0)
	return indexes, indexes == ptr.Deref(job.Spec.Parallelism, 1)
}
