package manifests

import (
	"fmt"
	"strings"

	"kilter.dev/kilter/manifests/kustomize"
	"kilter.dev/kilter/manifests/verdict"
)

// Severity says whether a Problem rejects its object.
type Severity string

// The severities: errors reject, warnings never do.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Problem is one thing that is wrong in a file, at the place where an author would mend it.
type Problem struct {
	Origin   Origin   // where; Line is the offending field's, or its nearest parent's when the field is missing
	Object   ID       // which object; zero when the document could not be read that far
	Field    string   // the API server's field path, such as "spec.template.spec.containers[0].image"; may be empty
	Reason   string   // the API server's cause type, such as "FieldValueInvalid", or one of the Reason constants here
	Severity Severity // Error or Warning
	Message  string   // what is wrong and the way out, without any value that could be secret
}

// Reasons that are Kilter's own; all others are the API server's cause types (metav1.CauseType).
const (
	ReasonSyntax      = "SyntaxError"        // the file is not YAML or JSON
	ReasonUnknown     = "UnknownKind"        // nothing serves this apiVersion and kind
	ReasonStructure   = "FieldValueRequired" // apiVersion, kind or metadata.name is missing
	ReasonDuplicate   = "FieldValueDuplicate"
	ReasonLimit       = "LimitExceeded" // a file, a document or the tree is larger than Options allow
	ReasonField       = verdict.ReasonUnknownField
	ReasonCycle       = "DependencyCycle"
	ReasonNoTarget    = "DependencyNotFound"
	ReasonEmpty       = "NoManifests" // the path holds files, and none of them is a manifest
	ReasonUnsupported = "Unsupported" // valid elsewhere, refused here: aliases, remote bases…
	ReasonBuild       = kustomize.ReasonBuild
	ReasonWarning     = "Warning" // accepted, and not what the author may think
)

// String renders the Problem in the style of a compiler: "file:line:column: object: field: message", and for a built object
// " (built by kustomization)".
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.Origin.String())
	if p.Severity == Warning {
		b.WriteString(": warning")
	}
	if p.Object != (ID{}) {
		fmt.Fprintf(&b, ": %s", p.Object)
	}
	if p.Field != "" {
		fmt.Fprintf(&b, ": %s", p.Field)
	}
	fmt.Fprintf(&b, ": %s%s", p.Message, p.Origin.Built())
	return strings.TrimPrefix(b.String(), ": ") // a problem of the whole repository has no place
}
