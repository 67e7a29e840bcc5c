package v1alpha1

import "k8s.io/apimachinery/pkg/runtime/schema"

// GroupVersion is the API group and version of this package's kinds.
var GroupVersion = schema.GroupVersion{Group: "kilter.dev", Version: "v1alpha1"}

// The names of the kinds on the wire.
const (
	SyncKind       = "Sync"
	SyncResource   = "syncs"
	JobRunKind     = "JobRun"
	JobRunResource = "jobruns"
)

// Labels of a JobRun.
const (
	// SetLabel holds the ID of the set (applyset.kubernetes.io/id of its parent) that the run belongs to.
	SetLabel = "kilter.dev/set"
	// JobLabel holds the Job's name.
	JobLabel = "kilter.dev/job"
)

// Annotations that people set on objects. Those on a Sync ask for something once; those on other objects hold as long as
// they stand there.
const (
	// RequestedAtAnnotation on a Sync asks for a pass now: any new value is one request.
	RequestedAtAnnotation = "kilter.dev/requestedAt"
	// AllowPruneAnnotation on a Sync names the commit whose deletions may exceed spec.maxPrune.
	AllowPruneAnnotation = "kilter.dev/allow-prune"
	// PruneAnnotation with the value "disabled" keeps an object when it leaves Git.
	PruneAnnotation = "kilter.dev/prune"
	// RecreateAnnotation with the value RecreateAllowed lets an object be deleted and created anew when a field changes that must not.
	RecreateAnnotation = "kilter.dev/recreate"
	RecreateAllowed    = "allowed"
	// RunAnnotation on a Job says when it runs again: one of the RunPolicies.
	RunAnnotation = "kilter.dev/run"
	// RerunOnAnnotation on a Job with the value RerunOnConfig runs it again when a ConfigMap or Secret that it refers to changes in Git.
	RerunOnAnnotation = "kilter.dev/rerun-on"
	RerunOnConfig     = "config"
	// ReplaceAnnotation on a Job says what becomes of a run that goes on when its successor is due: one of the ReplacePolicies.
	ReplaceAnnotation = "kilter.dev/replace"
	// HistoryLimitAnnotation on a Job is how many of its JobRuns are kept.
	HistoryLimitAnnotation = "kilter.dev/history-limit"
	// IdentityAnnotation on a Job is written by Kilter: what the run is a run of, as JobRun's spec.identity has it.
	IdentityAnnotation = "kilter.dev/identity"
	// JobRunAnnotation on a Job is written by Kilter: the name of the run's record.
	JobRunAnnotation = "kilter.dev/job-run"
	// NodeGraceAnnotation on a DaemonSet is how long its rollout waits for a node that is not ready, such as "5m".
	NodeGraceAnnotation = "kilter.dev/node-grace"
	// AppliedAnnotation is written by Kilter: the hash of the manifest that was applied last.
	AppliedAnnotation = "kilter.dev/applied"
)

// The values of RunAnnotation.
const (
	RunOnChange = "on-change" // when the Job's identity changes; the default
	RunOnce     = "once"      // never again after it has completed
	RunOnCommit = "on-commit" // with every new commit
	RunManual   = "manual"    // only when somebody asks for it
)

// The values of ReplaceAnnotation.
const (
	ReplaceAfterFinish = "after-finish" // the run is left to finish; the default
	ReplaceImmediately = "immediately"  // the run is deleted
	ReplaceNever       = "never"        // the Job stays as it is
)
