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

// JobLabel on a JobRun holds the Job's name.
const JobLabel = "kilter.dev/job"

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
	// IdentityAnnotation on a Job is written by Kilter: what the run is a run of, as JobRun's spec.identity has it.
	IdentityAnnotation = "kilter.dev/identity"
	// JobRunAnnotation on a Job is written by Kilter: the name of the run's record.
	JobRunAnnotation = "kilter.dev/job-run"
	// NodeGraceAnnotation on a DaemonSet is how long its rollout waits for a node that is not ready, such as "5m".
	NodeGraceAnnotation = "kilter.dev/node-grace"
	// AppliedAnnotation is written by Kilter: the hash of the manifest that was applied last.
	AppliedAnnotation = "kilter.dev/applied"
)
