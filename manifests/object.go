package manifests

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// ID names an object independently of the API version that a manifest happens to use.
type ID struct {
	Group     string // API group; empty for the core group
	Kind      string
	Namespace string // empty for cluster-scoped objects
	Name      string
}

// String returns "Kind namespace/name", or "Kind name" for cluster-scoped objects. The group is left out: use it where
// people read, and the ID itself where things are compared.
func (id ID) String() string {
	if id.Namespace == "" {
		return id.Kind + " " + id.Name
	}
	return id.Kind + " " + id.Namespace + "/" + id.Name
}

// GroupKind returns the object's group and kind.
func (id ID) GroupKind() schema.GroupKind { return schema.GroupKind{Group: id.Group, Kind: id.Kind} }

// Compare orders IDs by namespace, kind, name and group: the order of everything that is printed.
func (id ID) Compare(other ID) int {
	return cmp.Or(
		cmp.Compare(id.Namespace, other.Namespace),
		cmp.Compare(id.Kind, other.Kind),
		cmp.Compare(id.Name, other.Name),
		cmp.Compare(id.Group, other.Group),
	)
}

// Origin is a place in a snapshot. Line and Column count from 1, Document from 0; zero Line means the whole file.
type Origin struct {
	File     string // its name in the repository
	Document int
	Line     int
	Column   int

	// BuiltBy is the kustomization file whose build made the object; empty for an object that is as it is written.
	BuiltBy string
}

// String returns "file:line:column", or only "file" where no line is known.
func (o Origin) String() string {
	switch {
	case o.Line == 0:
		return o.File
	case o.Column == 0:
		return o.File + ":" + strconv.Itoa(o.Line)
	}
	return fmt.Sprintf("%s:%d:%d", o.File, o.Line, o.Column)
}

// written is the place without the kustomization that built what stands there.
func (o Origin) written() Origin {
	o.BuiltBy = ""
	return o
}

// Built returns " (built by kustomization)" for a built object, to be put after a message; and nothing for others.
func (o Origin) Built() string {
	if o.BuiltBy == "" {
		return ""
	}
	return " (built by " + o.BuiltBy + ")"
}

// Object is one desired object, as a manifest states it. It is never changed: a Loader hands out the same Object again as long as
// its file and namespace stay the same.
type Object struct {
	ID      ID
	Version string // the API version the manifest uses, without the group: "v1"
	Origin  Origin // where the document's first key stands
	Hash    string // hex SHA-256 of JSON: equal hashes mean the same request to the server
	// JSON is the manifest as compact JSON with sorted keys, its namespace filled in, and without what generators add and the server
	// ignores: status, null creationTimestamps, metadata.generation, metadata.selfLink, the namespace of a cluster-scoped object.
	JSON []byte

	// CreateOnly is set by client.lifecycle.config.k8s.io/mutation: ignore. The object is created where it is missing, and never changed.
	CreateOnly bool
	// DependsOn lists what config.kubernetes.io/depends-on names, sorted.
	DependsOn []ID
	// Uses lists what the object refers to and cannot work without, sorted: ConfigMaps, Secrets, claims and the ServiceAccount of
	// its pods, the role of a binding. They need not be in the same tree.
	Uses []ID
	// Run says how a Job is run; nil for every other kind.
	Run *Run
	// Defines is set for a CustomResourceDefinition: the group and kind that exists once it is established.
	Defines *schema.GroupKind

	neighbour *neighbour // for the lint; nil when no rule cares for it beside others
}

// GroupVersionKind returns the object's full type.
func (o *Object) GroupVersionKind() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: o.ID.Group, Version: o.Version, Kind: o.ID.Kind}
}

// Set is what one commit asks for: every object that no error Problem names, sorted by ID, each exactly once. A Set that is
// Rejected does not hold all that the commit asks for: the missing ones are the Objects of its Problems, where their files
// could be read that far.
type Set struct {
	Objects  []*Object
	Refused  []*Object // what only the linked rules of the API server refuse, sorted: its own server may see that otherwise (Overrule)
	Problems []Problem // errors first, then warnings, each in the order of files and lines
	Skipped  []Skip    // documents that are deliberately not objects
	Files    int       // files read as manifests
}

// Skip is a document that was read and is not applied, with the reason in words.
type Skip struct {
	Origin  Origin
	Object  ID     // zero for a whole file or directory
	Version string // the API version that the object's manifest uses, without the group
	Reason  string
}

// Rejected reports whether any problem is an error.
func (s *Set) Rejected() bool { return len(s.Problems) > 0 && s.Problems[0].Severity == Error }

// Find returns the object with an ID, if the set has it.
func (s *Set) Find(id ID) (*Object, bool) {
	i, found := slices.BinarySearchFunc(s.Objects, id, func(o *Object, id ID) int { return o.ID.Compare(id) })
	if !found {
		return nil, false
	}
	return s.Objects[i], true
}
