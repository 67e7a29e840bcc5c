// Package verdict says what the API server would say about a manifest, by the API server's own code and without a server.
//
// Create takes an object through the steps that the server takes on a POST: strict decoding, defaulting, conversion to the
// internal version, and the registry strategy's preparation, validation (hand-written and declarative) and warnings. Nothing is
// re-implemented: the table in kinds.go names the strategies, all else is Kubernetes' own. Decode is the first step alone, for
// built-in kinds whose strategy is not linked.
//
// What comes out is a Verdict of Causes with the server's field paths, reasons and wording; values that could be secret are
// left out of the wording (message.go). The package knows no files: its caller maps field paths to lines. It is the only
// importer of k8s.io/kubernetes, and it never asks a cluster.
//
// Admission plugins, quotas, references to other objects and name conflicts are not part of the verdict: they depend on
// the cluster.
package verdict
