// Package verdict says what the API server would say about a manifest, by the API server's own code and without a server.
//
// Create takes an object through the steps that the server takes: strict decoding, what server-side apply refuses, defaulting,
// conversion to the internal version, and the registry strategy's preparation, validation (hand-written and declarative) and
// warnings. Update does the same for a change of a live object. Nothing is re-implemented: the table in table.go names the
// strategies, all else is Kubernetes' own. Parse is the first step alone, for callers that want the Go object as well, and for
// built-in kinds whose strategy is not linked.
//
//	parse.go      JSON -> Go object             mismatch.go, suggest.go: what is wrong with it, in words
//	merge.go      what apply cannot merge       shape.go: the quick look whether there is anything
//	create.go     the create                    table.go, kinds.go: which kinds, and their strategies
//	update.go     the update                    service.go, cluster.go: what stands in for a cluster
//	lifecycle.go  releases, emulation           message.go: the server's words, without secrets
//
// What comes out is a Verdict of Causes with the server's field paths, reasons and wording; values that could be secret are
// left out of the wording. The package knows no files: its caller maps field paths to lines. It is the only importer of
// k8s.io/kubernetes, and it never asks a cluster.
//
// Feature gates have the server's defaults, and privileged containers are allowed. What depends on the cluster is not part of the
// verdict: quotas, references to other objects, names that are taken, the ranges of cluster IPs and node ports, IP families, the
// author's permissions (escalation in RBAC), and admission plugins. Of these only the ServiceAccount plugin matters to what the
// rules see, and what it does to a new Pod is done here too. Plugins that refuse by fixed rules (PodSecurity's labels on a
// Namespace, CertificateSubjectRestriction, a priority given by hand) are left to the server, since an administrator can switch
// them off; and what plugins add to a Pod again on an update (tolerations, priority) is not added. Kinds that are aggregated or
// defined by CustomResourceDefinitions are unknown here.
package verdict
