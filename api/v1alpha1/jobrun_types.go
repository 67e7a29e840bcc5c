package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// JobRun is one run of a Job that a Sync keeps: what it ran, from which commit, and what came of it. It outlives the Job and its pods, so a Job
// that its TTL has deleted still counts as done. It stands in the Job's namespace, and is named after the Job with a running number.
//
// Kilter writes the record before it creates the Job. A JobRun that somebody else creates, with spec.sync and spec.job alone, asks for one more
// run; Kilter fills in the rest when it starts it. So who may create JobRuns may run Jobs again, and who may read them reads the logs that they
// keep.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=kilter,shortName=jr
// +kubebuilder:printcolumn:name="Job",type=string,JSONPath=`.spec.job`
// +kubebuilder:printcolumn:name="Outcome",type=string,JSONPath=`.status.outcome`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.reason`
// +kubebuilder:printcolumn:name="Exit",type=integer,JSONPath=`.status.container.exitCode`
// +kubebuilder:printcolumn:name="Started",type=date,JSONPath=`.status.startTime`
// +kubebuilder:printcolumn:name="Finished",type=date,JSONPath=`.status.completionTime`
// +kubebuilder:printcolumn:name="Revision",type=string,priority=1,JSONPath=`.spec.revision`
// +kubebuilder:printcolumn:name="File",type=string,priority=1,JSONPath=`.spec.file`
type JobRun struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec JobRunSpec `json:"spec"`
	// +optional
	Status JobRunStatus `json:"status,omitempty"`
}

// JobRunSpec says which run of which Job.
type JobRunSpec struct {
	// Sync is the Sync that keeps the Job, as "namespace/name".
	// +kubebuilder:validation:MinLength=3
	Sync string `json:"sync"`
	// Job is the Job's name, in the JobRun's own namespace.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Job string `json:"job"`
	// Identity is a hash of what ran: the Job's spec after defaulting without the fields that may change while it runs, and what
	// kilter.dev/run and kilter.dev/rerun-on add to it. Empty as long as the run is only asked for.
	// +optional
	Identity string `json:"identity,omitempty"`
	// Revision is the commit that the manifest came from, as "main@sha1:…".
	// +optional
	Revision string `json:"revision,omitempty"`
	// File is the manifest's place in the repository, as "file:line".
	// +optional
	File string `json:"file,omitempty"`
	// Reason says why it was started, in words: Kilter's, or those of whoever asked for it.
	// +optional
	Reason string `json:"reason,omitempty"`
}

// JobRunStatus is what came of a run.
type JobRunStatus struct {
	// JobUID is the UID of the Job that was created for the run.
	// +optional
	JobUID types.UID `json:"jobUID,omitempty"`
	// StartTime is when the Job's controller started it.
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`
	// CompletionTime is when the Job completed or failed. A run that was cut off has none.
	// +optional
	CompletionTime *metav1.Time `json:"completionTime,omitempty"`
	// Outcome is how it ended: Complete, Failed (for good), Replaced (deleted by Kilter before its end, to start the next), Deleted (by somebody
	// else, before its end) or Unknown (nobody saw). It is empty while the run goes on, or is only asked for.
	// +optional
	Outcome JobRunOutcome `json:"outcome,omitempty"`
	// Reason is why it failed, as the Job's condition has it, such as BackoffLimitExceeded; or a word of Kilter's for other outcomes.
	// +optional
	Reason string `json:"reason,omitempty"`
	// Message says the same for people. It holds no value of the Job's spec.
	// +optional
	Message string `json:"message,omitempty"`
	// Succeeded counts the pods that ended well.
	// +optional
	Succeeded int32 `json:"succeeded,omitempty"`
	// Failed counts the pods that did not.
	// +optional
	Failed int32 `json:"failed,omitempty"`
	// CompletedIndexes are those of an Indexed Job that ended well, such as "0-4,7".
	// +optional
	CompletedIndexes string `json:"completedIndexes,omitempty"`
	// FailedIndexes are those of an Indexed Job that failed for good.
	// +optional
	FailedIndexes string `json:"failedIndexes,omitempty"`
	// Container is how the last container ended: of the last pod that failed, or, when none did, of the last one.
	// +optional
	Container *ContainerEnd `json:"container,omitempty"`
	// Log holds the last lines of that container, at most 20 and 4 KiB, with the values masked of the Secrets that the Sync keeps.
	// +optional
	Log string `json:"log,omitempty"`
}

// ContainerEnd is how one container of a run ended.
type ContainerEnd struct {
	// Pod that the container was in.
	Pod string `json:"pod"`
	// Name of the container.
	Name string `json:"name"`
	// ExitCode of its process.
	ExitCode int32 `json:"exitCode"`
	// Reason as the kubelet has it, such as Error or OOMKilled.
	// +optional
	Reason string `json:"reason,omitempty"`
}

// JobRunOutcome is how a run ended.
//
// +kubebuilder:validation:Enum=Complete;Failed;Replaced;Deleted;Unknown
type JobRunOutcome string

// The outcomes of a run.
const (
	// RunComplete is a Job that completed.
	RunComplete JobRunOutcome = "Complete"
	// RunFailed is a Job that failed for good.
	RunFailed JobRunOutcome = "Failed"
	// RunReplaced is a Job that Kilter deleted before its end, since Git had changed it.
	RunReplaced JobRunOutcome = "Replaced"
	// RunDeleted is a Job that was deleted before its end.
	RunDeleted JobRunOutcome = "Deleted"
	// RunUnknown is a Job that is gone, and nobody saw how it ended.
	RunUnknown JobRunOutcome = "Unknown"
)

// JobRunList is a list of JobRuns.
//
// +kubebuilder:object:root=true
type JobRunList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []JobRun `json:"items"`
}
