// Package schema says what the API server would say about a custom resource, by the CustomResourceDefinition that stands beside it
// and without a server.
//
// Compile reads one version of a CRD as the server does when it begins to serve it (compile.go); Create takes an object through the
// steps of a POST (create.go): unknown fields by pruning, nulls, embedded metadata, defaulting, and then the server's own strategy for
// custom resources: its schema, sets and maps, embedded objects and CEL rules within the server's cost limits. The wiring follows
// k8s.io/apiextensions-apiserver/pkg/apiserver/customresource_handler.go, which keeps it to itself; all rules are Kubernetes' own.
//
// What comes out is a verdict.Verdict without values that could be secret (redact.go). The package knows no files. It does not judge
// the CRD, which is an object like any other, and never converts between versions: an object is judged by the version it is
// written in. A CRD that cannot be compiled is an error of Compile, and its objects have no verdict.
package schema
