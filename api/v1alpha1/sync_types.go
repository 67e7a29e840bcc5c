package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Sync keeps the objects below one path of a Git repository in the cluster exactly as the selected commit says.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=kilter
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Revision",type=string,JSONPath=`.status.lastAppliedRevision`
// +kubebuilder:printcolumn:name="Objects",type=integer,JSONPath=`.status.objects.total`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type Sync struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec SyncSpec `json:"spec"`
	// +optional
	Status SyncStatus `json:"status,omitempty"`
}

// SyncSpec says what to keep in sync, how often to look, and what is allowed.
type SyncSpec struct {
	// Git says which files of which repository hold the manifests.
	Git GitSource `json:"git"`

	// Interval is the time between two looks at the repository's refs.
	// +kubebuilder:default="1m"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('100ms')",message="must be at least 100ms"
	// +optional
	Interval metav1.Duration `json:"interval,omitempty"`

	// Timeout is how long a rollout may take before it is reported as failed.
	// +kubebuilder:default="10m"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s')",message="must be at least 1s"
	// +optional
	Timeout metav1.Duration `json:"timeout,omitempty"`

	// ServiceAccountName is the ServiceAccount, in the Sync's own namespace, that every request is made as.
	// Empty means Kilter's own identity.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	ServiceAccountName string `json:"serviceAccountName,omitempty"`

	// TargetNamespace is the namespace of manifests that name none. Empty means the Sync's own namespace.
	// +kubebuilder:validation:MaxLength=63
	// +optional
	TargetNamespace string `json:"targetNamespace,omitempty"`

	// Prune says whether objects that left Git are deleted from the cluster.
	// +kubebuilder:default=true
	// +optional
	Prune *bool `json:"prune,omitempty"`

	// MaxPrune is the most that one commit may delete: a count ("20") or a percentage of the objects ("50%").
	// The annotation kilter.dev/allow-prune with the commit as its value lifts it for that commit.
	// +kubebuilder:default="50%"
	// +kubebuilder:validation:Pattern=`^([0-9]+|(100|[0-9]{1,2})%)$`
	// +optional
	MaxPrune string `json:"maxPrune,omitempty"`

	// Drift says what happens when somebody else changes or deletes an object: Correct applies it again, Report tells.
	// +kubebuilder:default=Correct
	// +kubebuilder:validation:Enum=Correct;Report
	// +optional
	Drift DriftPolicy `json:"drift,omitempty"`

	// Invalid says what an invalid manifest does: RejectCommit leaves the cluster at the last good commit, SkipObject leaves
	// out the objects that are invalid and withholds prune.
	// +kubebuilder:default=RejectCommit
	// +kubebuilder:validation:Enum=RejectCommit;SkipObject
	// +optional
	Invalid InvalidPolicy `json:"invalid,omitempty"`

	// Suspend stops everything: no fetch, no apply, no prune, until it is false again.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// GitSource names a path of a Git repository.
type GitSource struct {
	// URL is the repository's address: https://…, ssh://… or user@host:path; plain http:// only where Kilter runs with
	// --allow-insecure-git.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	URL string `json:"url"`

	// Ref selects the commit. Without it the repository's default branch is followed.
	// +optional
	Ref GitRef `json:"ref,omitempty"`

	// Path is the directory that holds the manifests, relative to the repository's root. Empty means the root.
	// +optional
	Path string `json:"path,omitempty"`

	// SecretRef names a Secret in the Sync's namespace with the credentials. For https: username and password, or bearerToken, or
	// tls.crt and tls.key; and ca.crt. For ssh: identity and known_hosts, and the identity's passphrase as password.
	// +optional
	SecretRef *LocalSecret `json:"secretRef,omitempty"`

	// ProxySecretRef names a Secret in the Sync's namespace with the address of an HTTP proxy and, where it wants them, username and
	// password. Without it the proxy of Kilter's environment is used, if there is one.
	// +optional
	ProxySecretRef *LocalSecret `json:"proxySecretRef,omitempty"`

	// Webhook lets the forge say that something was pushed: Kilter then looks at once.
	// +optional
	Webhook *GitWebhook `json:"webhook,omitempty"`

	// Submodules says that the files of submodules belong to the path. Each has to be on the repository's own host, and is read with the
	// same credentials. Without it a submodule inside the path is an error.
	// +optional
	Submodules bool `json:"submodules,omitempty"`

	// Verify asks for signatures: what is not signed by one of the keys is not applied.
	// +optional
	Verify *GitVerify `json:"verify,omitempty"`
}

// GitWebhook says which webhooks count. Kilter takes them at /hook/<namespace>/<name> of the Sync, where it runs with --webhook-listen.
type GitWebhook struct {
	// SecretRef names a Secret in the Sync's namespace. Its key token holds what the forge signs with, 16 bytes or more.
	SecretRef LocalSecret `json:"secretRef"`
}

// GitVerify says what has to be signed, and by whom.
type GitVerify struct {
	// Mode is what has to be signed: the commit (head), the annotated tag that ref.tag or ref.semver leads to (tag), or both.
	// +kubebuilder:default=head
	// +kubebuilder:validation:Enum=head;tag;tagAndHead
	// +optional
	Mode string `json:"mode,omitempty"`

	// SecretRef names a Secret in the Sync's namespace. Each of its values holds armored OpenPGP public keys, or SSH public keys, one
	// a line.
	SecretRef LocalSecret `json:"secretRef"`
}

// GitRef selects a commit by at most one of its fields.
//
// +kubebuilder:validation:MaxProperties=1
type GitRef struct {
	// Branch is a branch's short name.
	// +optional
	Branch string `json:"branch,omitempty"`
	// Tag is a tag's short name.
	// +optional
	Tag string `json:"tag,omitempty"`
	// SemVer is a range of versions, such as ">=1.2 <2": the highest tag in it is followed.
	// +optional
	SemVer string `json:"semver,omitempty"`
	// Commit is a full commit ID.
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{40}$`
	// +optional
	Commit string `json:"commit,omitempty"`
	// Name is a full ref name, such as refs/heads/main.
	// +optional
	Name string `json:"name,omitempty"`
}

// LocalSecret names a Secret in the Sync's own namespace.
type LocalSecret struct {
	// Name of the Secret.
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`
}

// DriftPolicy is what happens to objects that somebody else changed.
type DriftPolicy string

// The drift policies.
const (
	DriftCorrect DriftPolicy = "Correct"
	DriftReport  DriftPolicy = "Report"
)

// InvalidPolicy is what an invalid manifest does to its commit.
type InvalidPolicy string

// The policies for invalid manifests.
const (
	InvalidRejectCommit InvalidPolicy = "RejectCommit"
	InvalidSkipObject   InvalidPolicy = "SkipObject"
)

// SyncStatus is what the last pass found, bounded in size whatever the number of objects.
type SyncStatus struct {
	// ObservedGeneration is the generation of the spec that the status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Conditions are Ready, Reconciling and Stalled, as kstatus reads them.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// LastAttemptedRevision is the revision that was read last, whether or not it could be applied.
	// +optional
	LastAttemptedRevision string `json:"lastAttemptedRevision,omitempty"`

	// LastAppliedRevision is the revision that is enforced: every object of it was applied.
	// +optional
	LastAppliedRevision string `json:"lastAppliedRevision,omitempty"`

	// LastHandledReconcileAt is the value of the annotation kilter.dev/requestedAt that was answered last.
	// +optional
	LastHandledReconcileAt string `json:"lastHandledReconcileAt,omitempty"`

	// Objects counts the objects of the enforced revision by health.
	// +optional
	Objects ObjectCounts `json:"objects,omitempty"`

	// Problems are the first 20 things that are wrong, each with the place to mend it.
	// +kubebuilder:validation:MaxItems=20
	// +listType=atomic
	// +optional
	Problems []ObjectProblem `json:"problems,omitempty"`

	// Blocked are the first 20 objects that wait for another one.
	// +kubebuilder:validation:MaxItems=20
	// +listType=atomic
	// +optional
	Blocked []BlockedObject `json:"blocked,omitempty"`

	// Exceptions are the first 20 objects of which somebody decides otherwise than Git for a time, the one whose time ends first foremost.
	// +kubebuilder:validation:MaxItems=20
	// +listType=atomic
	// +optional
	Exceptions []ExceptionFromGit `json:"exceptions,omitempty"`

	// Rollouts are the first 20 DaemonSets and StatefulSets that are not simply up to date: on their way, outdated until somebody
	// deletes their pods, or done but for nodes that are not waited for.
	// +kubebuilder:validation:MaxItems=20
	// +listType=atomic
	// +optional
	Rollouts []ObjectRollout `json:"rollouts,omitempty"`
}

// ObjectCounts counts objects by kstatus' words.
type ObjectCounts struct {
	Total       int `json:"total"`
	Current     int `json:"current"`
	InProgress  int `json:"inProgress"`
	Failed      int `json:"failed"`
	Terminating int `json:"terminating"`
	NotFound    int `json:"notFound"`
	Unknown     int `json:"unknown"`
}

// ObjectProblem is one thing that is wrong with one object.
type ObjectProblem struct {
	// File is the file's name in the repository.
	// +optional
	File string `json:"file,omitempty"`
	// +optional
	Line int `json:"line,omitempty"`
	// Object is "Kind namespace/name".
	// +optional
	Object string `json:"object,omitempty"`
	// Reason is a CamelCase word from a closed set.
	Reason string `json:"reason"`
	// Message says what is wrong and the way out.
	Message string `json:"message"`
}

// BlockedObject is an object that waits for another one.
type BlockedObject struct {
	// Object is "Kind namespace/name".
	Object string `json:"object"`
	// By is the object it waits for, as "Kind namespace/name".
	By string `json:"by"`
	// Message says what has to become true.
	Message string `json:"message"`
}

// ExceptionFromGit is a CronJob that somebody has suspended for a time.
type ExceptionFromGit struct {
	// Object is "Kind namespace/name".
	Object string `json:"object"`
	// Until is when what Git says counts again. One that is past, or missing, could not be ended yet; status.problems says why.
	// +optional
	Until *metav1.Time `json:"until,omitempty"`
	// Reason is why, as the person said.
	// +optional
	Reason string `json:"reason,omitempty"`
	// By is the person, as the API server knows them.
	// +optional
	By string `json:"by,omitempty"`
}

// ObjectRollout is how far a DaemonSet or StatefulSet has come, by its pods and nodes.
type ObjectRollout struct {
	// Object is "Kind namespace/name".
	Object string `json:"object"`
	// Outdated is how many of its pods are of an older template.
	Outdated int `json:"outdated"`
	// Message names the pods or nodes that it waits for, and those that it does not.
	Message string `json:"message"`
}

// The condition types of a Sync.
const (
	ConditionReady       = "Ready"
	ConditionReconciling = "Reconciling"
	ConditionStalled     = "Stalled"
)

// SyncList is a list of Syncs.
//
// +kubebuilder:object:root=true
type SyncList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []Sync `json:"items"`
}
