package manifests

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"kilter.dev/kilter/manifests/document"
	"kilter.dev/kilter/manifests/verdict"
)

// parsed is everything that one file says, before it is seen beside the rest of the tree.
type parsed struct {
	documents int         // and items of Lists
	items     []*manifest // in the order of the file
	problems  []Problem   // of the file as a whole, and of documents that name no object
	tally     tally       // of all problems in it
	unlisted  int         // warnings that were found and not kept
	cut       bool        // some of them only because of other files
}

// manifest is one object of a file. Its Object holds the JSON with the namespace that the tree was last loaded for.
type manifest struct {
	object      *Object // JSON is nil when the object has errors
	problems    []Problem
	reported    int  // problems, those that are not listed included
	local       bool // config.kubernetes.io/local-config: read, and not applied
	declared    string
	namespaceAt int         // offset in the JSON of metadata.namespace's entry, comma included
	defines     *definition // for a CustomResourceDefinition
	references  []reference

	// What is known of it beside the rest of the tree (assemble.go).
	kind     int               // its number among the kinds of the Loader, from 1
	settled  int               // the settlement by which its object has its namespace
	remarked bool              // settling it reports something
	unserved bool              // nothing serves its kind
	load     int               // the last load that it was part of
	indexed  *Object           // its object in the index
	places   map[string]Origin // of fields that something was said about
	loose    []finding         // what is wrong with its references
}

// definition is what a CustomResourceDefinition in the tree makes known.
type definition struct {
	kind       schema.GroupKind
	versions   []string // the served ones
	namespaced bool
}

// decoder turns the documents of files into manifests, one file after the other.
type decoder struct {
	options Options
	encoder document.Encoder // its buffers serve every object

	file   string
	out    *parsed
	places func(*yaml.Node) Origin // of the nodes of a built object; nil for a file's own, which know their lines
}

// decode reads one file. Everything wrong in it is a Problem; nothing is returned as an error.
func (d *decoder) decode(file string, data []byte) *parsed {
	d.file, d.out = file, &parsed{}
	if int64(len(data)) > d.options.MaxFileBytes {
		d.fileProblem(Origin{File: file}, ReasonLimit,
			fmt.Sprintf("larger than %d bytes: split it, or raise the limit", d.options.MaxFileBytes))
		return d.out
	}
	for doc, err := range document.Parse(file, data) {
		if err != nil {
			at := Origin{File: file, Document: err.Document, Line: err.Line, Column: err.Column}
			d.fileProblem(at, ReasonSyntax, err.Message)
		} else if doc.Root != nil {
			d.node(doc.Index, doc.Root, 0)
		}
		if d.full() {
			break
		}
	}
	return d.out
}

// full reports whether a limit is exceeded, and more need not be read.
func (d *decoder) full() bool {
	return d.out.documents > d.options.MaxDocuments || len(d.out.problems) > maxProblems || d.out.tally.errors > maxListed
}

func (d *decoder) fileProblem(at Origin, reason, message string) {
	d.add(Problem{Origin: at, Reason: reason, Severity: Error, Message: message})
}

// add takes a problem that belongs to no object. After maxProblems, one says that the rest of the file is not looked at.
func (d *decoder) add(p Problem) {
	if len(d.out.problems) == maxProblems {
		p = Problem{
			Origin: p.Origin, Reason: ReasonLimit, Severity: Error,
			Message: fmt.Sprintf("the file has more than %d problems: the rest of it is not read", maxProblems),
		}
	}
	if len(d.out.problems) <= maxProblems {
		d.out.problems = append(d.out.problems, p)
		d.out.tally.count([]Problem{p})
	}
}

func (d *decoder) origin(doc int, node *yaml.Node) Origin {
	if d.places != nil {
		return d.places(node)
	}
	return Origin{File: d.file, Document: doc, Line: node.Line, Column: node.Column}
}

// node reads one object or list. Lists may hold lists.
func (d *decoder) node(doc int, node *yaml.Node, depth int) {
	at := d.origin(doc, node)
	if node.Kind != yaml.MappingNode {
		d.out.documents++
		d.fileProblem(at, ReasonStructure, "not a Kubernetes object: a manifest starts with apiVersion and kind"+ignoreHint)
		return
	}
	gvk, problem := typeOf(node)
	if problem != "" {
		d.out.documents++
		d.fileProblem(at, ReasonStructure, problem)
		return
	}
	_, items := entry(node, "items")
	if !isList(gvk, items) {
		d.out.documents++
		d.object(doc, node, gvk)
		return
	}
	if depth++; depth > d.options.MaxDepth {
		d.fileProblem(at, ReasonLimit, fmt.Sprintf("lists nested deeper than %d levels", d.options.MaxDepth))
		return
	}
	for _, item := range items.Content {
		if !d.full() {
			d.node(doc, item, depth)
		}
	}
}

const ignoreHint = " (a file that is no manifest goes into .kilterignore)"

// isList reports whether an object only holds others.
func isList(gvk schema.GroupVersionKind, items *yaml.Node) bool {
	return items != nil && items.Kind == yaml.SequenceNode && (gvk.GroupKind() == schema.GroupKind{Kind: "List"} || verdict.List(gvk))
}

// typeOf reads apiVersion and kind, or says what is missing.
func typeOf(node *yaml.Node) (gvk schema.GroupVersionKind, problem string) {
	apiVersion, kind := stringAt(node, "apiVersion"), stringAt(node, "kind")
	switch {
	case apiVersion == "" && kind == "":
		return gvk, "apiVersion and kind are missing" + ignoreHint
	case apiVersion == "":
		return gvk, "apiVersion is missing, or is no string"
	case kind == "":
		return gvk, "kind is missing, or is no string"
	}
	gv, err := schema.ParseGroupVersion(apiVersion)
	if err != nil {
		return gvk, fmt.Sprintf("apiVersion %q is not of the form version or group/version", apiVersion)
	}
	return gv.WithKind(kind), ""
}

// object reads one object: its structure first, then its types and rules.
func (d *decoder) object(doc int, node *yaml.Node, gvk schema.GroupVersionKind) {
	m := &manifest{
		object: &Object{
			ID: ID{
				Group: gvk.Group, Kind: gvk.Kind,
				Namespace: stringAt(node, "metadata", "namespace"), Name: stringAt(node, "metadata", "name"),
			},
			Version: gvk.Version,
			Origin:  d.origin(doc, node),
		},
	}
	report := func(severity Severity, at *yaml.Node, field, reason, message string) {
		m.report(Problem{Origin: d.origin(doc, at), Field: field, Reason: reason, Severity: severity, Message: message})
	}
	var traps []Problem // said only of an object that is good otherwise, as the server's own warnings are
	d.encoder.MaxDepth, d.encoder.Omit = d.options.MaxDepth, generated
	d.encoder.Report = func(at *yaml.Node, field string, fault document.Fault, message string) {
		switch {
		case fault != document.Trap:
			report(Error, at, field, string(fault), message)
		case len(traps) <= maxProblems:
			traps = append(traps, Problem{Origin: d.origin(doc, at), Field: field, Reason: ReasonWarning, Severity: Warning, Message: message})
		}
	}
	text, namespaceAt := d.encoder.Encode(node)
	checkMetadata(node, report)
	m.declared = m.object.ID.Namespace
	if m.object.ID.Name == "" { // not an object that anything could be said about
		for _, p := range m.problems {
			p.Object = ID{}
			d.add(p)
		}
		return
	}
	d.out.items = append(d.out.items, m)
	defer d.out.count(m)
	if m.failed() {
		return
	}
	m.namespaceAt = namespaceAt
	m.object.JSON = make([]byte, len(text)) // exact: it lives as long as the commit
	copy(m.object.JSON, text)
	m.local = stringAt(node, "metadata", "annotations", annotationLocalConfig) == "true"
	m.object.CreateOnly = stringAt(node, "metadata", "annotations", annotationMutation) == "ignore"
	d.annotations(m, node, doc)
	m.references = referencesOf(m.object.ID, node)
	m.object.Uses = inNamespace(uses(m.references), m.declared)
	read := d.judge(m, node, doc)
	if identity := read.JobIdentity(); identity != "" {
		m.object.Run = runOf(identity, read.Object.(metav1.Object).GetAnnotations())
		m.object.Run.Indexes, m.object.Run.Elastic = read.JobIndexes()
	}
	for i := 0; i < len(traps) && !m.failed(); i++ {
		m.report(traps[i])
	}
	if read.Object != nil && !m.local && !m.failed() {
		d.lint(m, read.Object, node, doc)
	}
	if gvk.GroupKind() == (schema.GroupKind{Group: apiextensionsv1.GroupName, Kind: "CustomResourceDefinition"}) {
		m.define(node)
	}
}

// report adds a problem of the object. Of more than maxProblems, only their number is said: a file with so many is wrong as a whole.
func (m *manifest) report(p Problem) {
	p.Object, p.Version = m.object.ID, m.object.Version
	switch m.reported++; {
	case m.reported <= maxProblems:
		m.problems = append(m.problems, p)
	case m.reported == maxProblems+1:
		m.problems = append(m.problems, Problem{
			Origin: m.object.Origin, Object: m.object.ID, Version: m.object.Version, Reason: ReasonLimit, Severity: p.Severity,
			Message: fmt.Sprintf("has more than %d problems: only the first are listed", maxProblems),
		})
	case p.Severity == Error:
		m.problems[maxProblems].Severity = Error
	}
}

func (m *manifest) failed() bool {
	return slices.ContainsFunc(m.problems, func(p Problem) bool { return p.Severity == Error })
}

// judge adds the verdict: the server's rules where they are linked, strict decoding for other built-in kinds, and metadata
// alone for custom ones. It returns the object as it was written; none when it is custom, or does not fit its type.
func (d *decoder) judge(m *manifest, node *yaml.Node, doc int) verdict.Parsed {
	gvk, text := m.object.GroupVersionKind(), m.object.JSON
	var v verdict.Verdict
	read, causes, known := verdict.Parse(gvk, text)
	switch {
	case !known:
		v.Causes = verdict.DecodeMetadata(text)
	case len(causes) > 0:
		v.Causes = causes
	default:
		v = read.Create(m.declared)
	}
	for _, cause := range v.Causes {
		at, value := document.Find(node, asWritten(gvk, cause.Field))
		m.report(Problem{
			Origin: d.origin(doc, at), Field: cause.Field, Reason: cause.Reason, ByRules: true, Severity: Error,
			Message: unquoted(cause, value),
		})
	}
	for _, warning := range v.Warnings {
		field, message := splitWarning(warning)
		m.report(Problem{
			Origin: d.origin(doc, place(node, field)), Field: field, Reason: ReasonWarning, Severity: Warning, Message: message,
		})
	}
	return read
}

// asWritten is the path at which an author writes what the server names by its internal form: it keeps what a CRD says of its only version
// where apiextensions.k8s.io/v1beta1 had it.
func asWritten(gvk schema.GroupVersionKind, path string) string {
	if gvk.Group != apiextensionsv1.GroupName {
		return path
	}
	for _, moved := range [][2]string{
		{"spec.validation.", "spec.versions[0].schema."},
		{"spec.subresources.", "spec.versions[0].subresources."},
		{"spec.additionalPrinterColumns[", "spec.versions[0].additionalPrinterColumns["},
		{"spec.selectableFields[", "spec.versions[0].selectableFields["},
	} {
		if rest, ok := strings.CutPrefix(path, moved[0]); ok {
			return moved[1] + rest
		}
	}
	return path
}

// unquoted is a cause's message; where a string is wanted, it says what YAML takes the unquoted text for.
func unquoted(cause verdict.Cause, value *yaml.Node) string {
	const wanted = "must be a string, "
	if value == nil || cause.Reason != string(metav1.CauseTypeTypeInvalid) || !strings.HasPrefix(cause.Message, wanted) {
		return cause.Message
	}
	words := document.Words(value)
	if words == "" {
		return cause.Message
	}
	return wanted + "and unquoted it is " + words + " in YAML: quote it"
}

// splitWarning separates the field path that the server's warnings start with ("path.to.field: message").
func splitWarning(warning string) (field, message string) {
	field, message, ok := strings.Cut(warning, ": ")
	if !ok || strings.ContainsAny(field, " \t") {
		return "", warning
	}
	return field, message
}

// define records the kind that a CustomResourceDefinition adds.
func (m *manifest) define(node *yaml.Node) {
	kind := schema.GroupKind{Group: stringAt(node, "spec", "group"), Kind: stringAt(node, "spec", "names", "kind")}
	if kind.Group == "" || kind.Kind == "" {
		return
	}
	m.object.Defines = &kind
	m.defines = &definition{kind: kind, namespaced: stringAt(node, "spec", "scope") == string(apiextensionsv1.NamespaceScoped)}
	versions := lookup(node, "spec", "versions")
	if versions == nil || versions.Kind != yaml.SequenceNode {
		return
	}
	for _, version := range versions.Content {
		if served := lookup(version, "served"); served != nil && served.Value != "false" {
			m.defines.versions = append(m.defines.versions, stringAt(version, "name"))
		}
	}
}
