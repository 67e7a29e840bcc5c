// Package inventory knows what Kilter owns: it speaks the ApplySet conventions (KEP-3659), so that kubectl and other tools can read
// our marks, and it decides ownership. It is pure: it reads and returns values, and never talks to a cluster.
//
// Every object carries the label PartOfLabel, written in the same request as the object itself, so no crash can orphan one. The
// parent (a Sync, or a ConfigMap when Kilter runs from a file) lists in its annotations which kinds and namespaces may hold such
// objects. That list is widened before anything is applied and narrowed only after deletions are confirmed; so whatever carries
// the label is always within it.
package inventory

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// The ApplySet's labels and annotations, as KEP-3659 names them.
const (
	IDLabel              = "applyset.kubernetes.io/id"
	PartOfLabel          = "applyset.kubernetes.io/part-of"
	ToolingAnnotation    = "applyset.kubernetes.io/tooling"
	GroupKindsAnnotation = "applyset.kubernetes.io/contains-group-kinds"
	NamespacesAnnotation = "applyset.kubernetes.io/additional-namespaces"
)

// Tooling names this program and the version of its conventions; other tools leave the sets of others alone.
const Tooling = "kilter/v1"

// FieldManager is the name under which Kilter applies everything.
const FieldManager = "kilter"

// ParentFieldManager is the name under which Kilter writes the inventory to the parent. A Sync may itself come from Git, applied by
// another Sync as FieldManager; under one name each apply would take away what the other wrote.
const ParentFieldManager = "kilter-inventory"

// Parent names the object that stands for the set.
type Parent struct {
	GroupVersion schema.GroupVersion
	Kind         string
	Namespace    string
	Name         string
}

// ID returns the set's ID, the value of PartOfLabel on its members: a function of the parent's identity, per KEP-3659.
func (p Parent) ID() string {
	sum := sha256.Sum256([]byte(strings.Join([]string{p.Name, p.Namespace, p.Kind, p.GroupVersion.Group}, ".")))
	return "applyset-" + base64.RawURLEncoding.EncodeToString(sum[:]) + "-v1"
}

// String returns "Kind namespace/name".
func (p Parent) String() string { return p.Kind + " " + p.Namespace + "/" + p.Name }

// Contents says where members may be: the kinds and namespaces that the parent's annotations list, both sorted.
// An empty namespace stands for the cluster scope and is not written down.
type Contents struct {
	GroupKinds []schema.GroupKind
	Namespaces []string
}

// ContentsOf returns the contents that cover the given kinds and namespaces.
func ContentsOf(kinds []schema.GroupKind, namespaces []string) Contents {
	c := Contents{GroupKinds: slices.Clone(kinds), Namespaces: slices.Clone(namespaces)}
	slices.SortFunc(c.GroupKinds, func(a, b schema.GroupKind) int { return strings.Compare(a.String(), b.String()) })
	c.GroupKinds = slices.Compact(c.GroupKinds)
	c.Namespaces = slices.DeleteFunc(c.Namespaces, func(ns string) bool { return ns == "" })
	slices.Sort(c.Namespaces)
	c.Namespaces = slices.Compact(c.Namespaces)
	return c
}

// Union returns contents that cover both.
func (c Contents) Union(other Contents) Contents {
	return ContentsOf(slices.Concat(c.GroupKinds, other.GroupKinds), slices.Concat(c.Namespaces, other.Namespaces))
}

// Equal reports whether both cover the same kinds and namespaces.
func (c Contents) Equal(other Contents) bool {
	return slices.Equal(c.GroupKinds, other.GroupKinds) && slices.Equal(c.Namespaces, other.Namespaces)
}

// Labels returns the parent's labels.
func (p Parent) Labels() map[string]string { return map[string]string{IDLabel: p.ID()} }

// Annotations renders the contents as the parent's annotations. The parent's own namespace is implied, per KEP-3659.
func (p Parent) Annotations(c Contents) map[string]string {
	kinds := make([]string, len(c.GroupKinds))
	for i, gk := range c.GroupKinds {
		kinds[i] = gk.String()
	}
	others := slices.DeleteFunc(slices.Clone(c.Namespaces), func(ns string) bool { return ns == p.Namespace })
	return map[string]string{
		ToolingAnnotation:    Tooling,
		GroupKindsAnnotation: strings.Join(kinds, ","),
		NamespacesAnnotation: strings.Join(others, ","),
	}
}

// Read returns the contents that the parent's annotations list, and whether they list any.
func (p Parent) Read(annotations map[string]string) (Contents, bool) {
	text, ok := annotations[GroupKindsAnnotation]
	if !ok {
		return Contents{}, false
	}
	var kinds []schema.GroupKind
	for _, kind := range split(text) {
		kinds = append(kinds, schema.ParseGroupKind(kind))
	}
	return ContentsOf(kinds, append(split(annotations[NamespacesAnnotation]), p.Namespace)), true
}

func split(list string) []string {
	return slices.DeleteFunc(strings.Split(list, ","), func(s string) bool { return s == "" })
}

// Member reports whether a live object is a member of the set: it carries the set's label, Kilter applied it, and no controller
// made it. The label alone proves nothing: controllers copy labels from their owners to what they create.
func Member(setID string, object metav1.Object) bool {
	return object.GetLabels()[PartOfLabel] == setID && Entry(object) != nil && metav1.GetControllerOf(object) == nil
}

// Entry returns the managedFields entry of Kilter's server-side apply, or nil.
func Entry(object metav1.Object) *metav1.ManagedFieldsEntry {
	fields := object.GetManagedFields()
	for i := range fields {
		if isOurs(&fields[i]) {
			return &fields[i]
		}
	}
	return nil
}

func isOurs(e *metav1.ManagedFieldsEntry) bool {
	return e.Manager == FieldManager && e.Operation == metav1.ManagedFieldsOperationApply && e.Subresource == "" && e.FieldsV1 != nil
}

// keepAnnotations are the values that forbid deletion, by the conventions of three tools and ours.
var keepAnnotations = []struct{ key, value string }{
	{"kilter.dev/prune", "disabled"},
	{"client.lifecycle.config.k8s.io/deletion", "detach"},
	{"cli-utils.sigs.k8s.io/on-remove", "keep"},
}

// Cascades reports whether the annotations allow the deletion of what takes others along: a Namespace, or a CRD.
func Cascades(annotations map[string]string) bool {
	return annotations["kilter.dev/prune"] == "cascade"
}

// Kept returns the annotation, as "key: value", that forbids deleting the object when it leaves Git, or "".
func Kept(annotations map[string]string) string {
	for _, keep := range keepAnnotations {
		if annotations[keep.key] == keep.value {
			return keep.key + ": " + keep.value
		}
	}
	return ""
}
