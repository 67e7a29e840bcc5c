package manifests

import (
	"fmt"
	"strings"

	"kilter.dev/kilter/manifests/document"
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
	Version  string   // the API version that the object's manifest uses, without the group
	Field    string   // the API server's field path, such as "spec.template.spec.containers[0].image"; may be empty
	Reason   string   // the API server's cause type, such as "FieldValueInvalid", or one of the Reason constants here
	Rule     string   // the ID of the lint rule that speaks, such as "schedule-never-fires"; empty for all other problems
	ByRules  bool     // said by the API server's rules as they are linked: a server of another version may have others
	Severity Severity // Error or Warning
	Message  string   // what is wrong and the way out, without any value that could be secret
}

// Reasons that are Kilter's own; all others are the API server's cause types (metav1.CauseType).
const (
	ReasonSyntax      = "SyntaxError"        // the file is not YAML or JSON
	ReasonUnknown     = "UnknownKind"        // nothing serves this apiVersion and kind
	ReasonStructure   = "FieldValueRequired" // apiVersion, kind or metadata.name is missing
	ReasonDuplicate   = string(document.Duplicate)
	ReasonLimit       = string(document.TooDeep) // a file, a document or the tree is larger than Options allow
	ReasonField       = verdict.ReasonUnknownField
	ReasonCycle       = "DependencyCycle"
	ReasonNoTarget    = "DependencyNotFound"
	ReasonNoReference = "ReferenceNotFound"          // what the object refers to is not in the tree
	ReasonNoKey       = "KeyNotFound"                // the ConfigMap or Secret in the tree lacks the key
	ReasonNoEffect    = "NoEffect"                   // an annotation that Kilter does not honour
	ReasonEmpty       = "NoManifests"                // the path holds files, and none of them is a manifest
	ReasonMore        = "MoreProblems"               // how many are not listed
	ReasonUnsupported = string(document.Unsupported) // valid elsewhere, refused here: aliases, remote bases…
	ReasonBuild       = kustomize.ReasonBuild        // kustomize cannot build what the files ask for
	ReasonWarning     = "Warning"                    // accepted, and not what the author may think
	ReasonLint        = "Lint"                       // accepted, and a mistake or a trap: Rule says which, and has a page in docs/lint
)

// String renders the Problem in the style of a compiler: "file:line:column: object: field: message", then in
// parentheses the lint rule where one speaks, and the kustomization that built the object.
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
	fmt.Fprintf(&b, ": %s", p.Message)
	if p.Rule != "" {
		fmt.Fprintf(&b, " (%s)", p.Rule)
	}
	b.WriteString(p.Origin.Built())
	return strings.TrimPrefix(b.String(), ": ") // a problem of the whole repository has no place
}
