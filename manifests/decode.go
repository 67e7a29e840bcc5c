package manifests

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"kilter.dev/kilter/manifests/verdict"
)

// parsed is everything that one file says, before it is seen beside the rest of the tree.
type parsed struct {
	documents int         // and items of Lists
	items     []*manifest // in the order of the file
	problems  []Problem   // of the file as a whole, and of documents that name no object
}

// manifest is one object of a file. Its Object holds the JSON with the namespace that the tree was last loaded for.
type manifest struct {
	object      *Object // JSON is nil when the object has errors
	problems    []Problem
	local       bool // config.kubernetes.io/local-config: read, and not applied
	declared    string
	namespaceAt int         // offset in the JSON of metadata.namespace's entry, comma included
	defines     *definition // for a CustomResourceDefinition
}

// definition is what a CustomResourceDefinition in the tree makes known.
type definition struct {
	kind       schema.GroupKind
	versions   []string // the served ones
	namespaced bool
}

// decoder turns the documents of one file into manifests.
type decoder struct {
	file    string
	options Options
	out     *parsed
	places  func(*yaml.Node) Origin // of the nodes of a built object; nil for a file's own, which know their lines
}

// decode reads one file. Everything wrong in it is a Problem; nothing is returned as an error.
func decode(file string, data []byte, options Options) *parsed {
	d := &decoder{file: file, options: options, out: &parsed{}}
	if int64(len(data)) > options.MaxFileBytes {
		d.fileProblem(Origin{File: file}, ReasonLimit,
			fmt.Sprintf("larger than %d bytes: split it, or raise the limit", options.MaxFileBytes))
		return d.out
	}
	documents(file, data,
		func(doc document) { d.document(doc) },
		func(err *syntaxError) {
			at := Origin{File: file, Document: err.document, Line: err.line, Column: err.column}
			d.fileProblem(at, ReasonSyntax, err.message)
		})
	return d.out
}

func (d *decoder) fileProblem(at Origin, reason, message string) {
	if len(d.out.problems) < maxProblems {
		d.out.problems = append(d.out.problems, Problem{Origin: at, Reason: reason, Severity: Error, Message: message})
	}
}

func (d *decoder) origin(doc int, node *yaml.Node) Origin {
	if d.places != nil {
		return d.places(node)
	}
	return Origin{File: d.file, Document: doc, Line: node.Line, Column: node.Column}
}

// document reads a document: an object, a list of objects, or nothing.
func (d *decoder) document(doc document) {
	if doc.root == nil || d.out.documents > d.options.MaxDocuments {
		return
	}
	d.node(doc.index, doc.root, 0)
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
		if d.out.documents <= d.options.MaxDocuments {
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

// maxProblems bounds how many things are said to be wrong with the structure of one object, and with one file as a whole.
const maxProblems = 100

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
	report := func(at *yaml.Node, field, reason, message string) {
		if len(m.problems) >= maxProblems {
			return
		}
		m.problems = append(m.problems, Problem{
			Origin: d.origin(doc, at), Object: m.object.ID,
			Field: field, Reason: reason, Severity: Error, Message: message,
		})
	}
	encode := encoder{maxDepth: d.options.MaxDepth, report: report}
	encode.value(node, 1)
	checkMetadata(node, report)
	m.declared = m.object.ID.Namespace
	if m.object.ID.Name == "" { // not an object that anything could be said about
		for _, p := range m.problems {
			p.Object = ID{}
			d.out.problems = append(d.out.problems, p)
		}
		return
	}
	d.out.items = append(d.out.items, m)
	if m.failed() {
		return
	}
	m.namespaceAt = encode.namespaceAt
	m.object.JSON = make([]byte, len(encode.out)) // exact: it lives as long as the commit
	copy(m.object.JSON, encode.out)
	m.local = stringAt(node, "metadata", "annotations", annotationLocalConfig) == "true"
	if text := lookup(node, "metadata", "annotations", annotationDependsOn); text != nil {
		m.dependencies(node, text.Value, report)
	}
	m.object.Uses = inNamespace(uses(m.object.ID, node), m.declared)
	d.judge(m, node, doc)
	if gvk.GroupKind() == (schema.GroupKind{Group: apiextensionsv1.GroupName, Kind: "CustomResourceDefinition"}) {
		m.define(node)
	}
}

func (m *manifest) failed() bool {
	return slices.ContainsFunc(m.problems, func(p Problem) bool { return p.Severity == Error })
}

// judge adds the verdict: the server's rules where they are linked, strict decoding for other built-in kinds, and metadata
// alone for custom ones.
func (d *decoder) judge(m *manifest, node *yaml.Node, doc int) {
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
		m.problems = append(m.problems, Problem{
			Origin: d.origin(doc, place(node, cause.Field)), Object: m.object.ID,
			Field: cause.Field, Reason: cause.Reason, Severity: Error, Message: cause.Message,
		})
	}
	for _, warning := range v.Warnings {
		field, message := splitWarning(warning)
		m.problems = append(m.problems, Problem{
			Origin: d.origin(doc, place(node, field)), Object: m.object.ID,
			Field: field, Reason: ReasonWarning, Severity: Warning, Message: message,
		})
	}
}

// splitWarning separates the field path that the server's warnings start with ("path.to.field: message").
func splitWarning(warning string) (field, message string) {
	field, message, ok := strings.Cut(warning, ": ")
	if !ok || strings.ContainsAny(field, " \t") {
		return "", warning
	}
	return field, message
}

// checkMetadata reports what no manifest may lack or hold, whatever its kind.
func checkMetadata(node *yaml.Node, report func(at *yaml.Node, field, reason, message string)) {
	key, metadata := entry(node, "metadata")
	if metadata == nil {
		report(node, "metadata", ReasonStructure, "metadata.name is missing")
		return
	}
	if metadata.Kind != yaml.MappingNode {
		report(key, "metadata", string(metav1.CauseTypeTypeInvalid), "must be a mapping")
		return
	}
	for i := 0; i+1 < len(metadata.Content); i += 2 {
		name, value := metadata.Content[i], metadata.Content[i+1]
		if slices.Contains(serverFields, name.Value) && !isNull(value) {
			report(name, "metadata."+name.Value, string(metav1.CauseTypeForbidden), "set by the server: remove it")
		}
	}
	nameKey, name := entry(metadata, "name")
	generateKey, _ := entry(metadata, "generateName")
	switch {
	case name == nil && generateKey != nil:
		report(generateKey, "metadata.generateName", ReasonStructure,
			"gives a new object at every apply: give a name instead, so that the same object is kept as Git says")
	case name == nil:
		report(key, "metadata.name", ReasonStructure, "missing")
	case stringAt(metadata, "name") == "":
		report(nameKey, "metadata.name", ReasonStructure, "must be a string that is not empty"+quoteHint(name))
	}
	if key, namespace := entry(metadata, "namespace"); namespace != nil && !isNull(namespace) && stringAt(metadata, "namespace") == "" {
		report(key, "metadata.namespace", ReasonStructure, "must be a string that is not empty, or be left out"+quoteHint(namespace))
	}
}

// serverFields are the fields of metadata that the server owns. What it merely ignores is left out instead (encoder.generated).
var serverFields = []string{
	"creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "managedFields", "resourceVersion", "uid",
}

// quoteHint is the way out for a name that YAML does not read as a string.
func quoteHint(node *yaml.Node) string {
	if s, err := resolve(node); err == nil && (s.kind == boolScalar || s.kind == numberScalar) {
		return fmt.Sprintf(": YAML reads %s as %s, so quote it", node.Value, s.kind)
	}
	return ""
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
