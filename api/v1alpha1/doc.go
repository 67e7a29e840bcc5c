// Package v1alpha1 defines the Sync: one path of one Git repository, kept in the cluster exactly as its commits say.
//
// The same document configures a Sync object in the cluster and `kilter run -f sync.yaml` outside one. Defaults and rules
// stand here once: as markers, from which controller-gen makes the CRD for the server, and as Default and Validate for files.
//
// +kubebuilder:object:generate=true
// +groupName=kilter.dev
package v1alpha1
