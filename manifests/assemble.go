package manifests

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"slices"
)

// assembly puts the manifests of all files together: scope and namespace, duplicates, dependencies.
type assembly struct {
	tree      fs.FS
	target    Target
	manifests []*manifest
	problems  []Problem
	set       *Set
}

func newAssembly(tree fs.FS, target Target) *assembly {
	return &assembly{tree: tree, target: target, set: &Set{}}
}

func (a *assembly) add(file *parsed) {
	a.manifests = append(a.manifests, file.items...)
	a.problems = append(a.problems, file.problems...)
}

// addBuilt takes over what a kustomization builds. What is wrong with a base is said once, however many use it.
func (a *assembly) addBuilt(out *parsed) {
	a.manifests = append(a.manifests, out.items...)
	for _, p := range out.problems {
		if !slices.Contains(a.problems, p) {
			a.problems = append(a.problems, p)
		}
	}
}

// tooMuch reports the file with which the tree exceeds a limit.
func (a *assembly) tooMuch(file, message string) {
	a.problems = append(a.problems, Problem{
		Origin: Origin{File: file}, Reason: ReasonLimit, Severity: Error,
		Message: "the manifests up to this file " + message +
			": split the tree, list what is no manifest in " + ignoreFile + ", or raise the limit",
	})
}

// finish decides what can only be decided beside all other objects.
func (a *assembly) finish() *Set {
	scope := newScope(a.manifests, a.target)
	local := map[ID]bool{}
	var objects []*Object
	for _, m := range a.manifests {
		a.settle(m, scope)
		switch {
		case m.local:
			local[m.object.ID] = true
			a.set.Skipped = append(a.set.Skipped, Skip{
				Origin: m.object.Origin, Object: m.object.ID, Reason: "marked " + annotationLocalConfig + ": \"true\"",
			})
		default:
			objects = append(objects, m.object)
			a.report(m)
		}
	}
	slices.SortStableFunc(objects, func(x, y *Object) int { return x.ID.Compare(y.ID) })
	objects = a.unique(objects)
	a.dependencies(objects, local)
	a.set.Problems = sortProblems(a.problems)
	a.set.Objects = a.valid(objects)
	return a.set
}

// settle gives a manifest its final ID and JSON, now that the scope of its kind is known.
func (a *assembly) settle(m *manifest, scope scope) {
	gvk := m.object.GroupVersionKind()
	namespaced, known := scope.of(gvk)
	switch {
	case !known:
		m.setNamespace(m.declared)
		if !m.local {
			a.problem(m.object, m.object.Origin, "", ReasonUnknown, Error, unknownKind(gvk, a.target.Scope != nil))
		}
	case namespaced:
		m.setNamespace(cmp.Or(m.declared, a.target.namespace()))
	default:
		m.setNamespace("")
		if m.declared != "" {
			a.problem(m.object, a.locate(m.object, "metadata.namespace"), "metadata.namespace", ReasonWarning, Warning,
				fmt.Sprintf("%s is cluster-scoped, and the namespace has no effect: remove it", gvk.Kind))
		}
	}
}

// setNamespace makes the object one of that namespace. Objects are never changed once they are handed out: a new one replaces it.
func (m *manifest) setNamespace(namespace string) {
	old := m.object
	if old.ID.Namespace == namespace && (old.Hash != "" || old.JSON == nil) {
		return
	}
	object := *old
	object.ID.Namespace, object.Uses = namespace, inNamespace(old.Uses, namespace)
	if old.JSON != nil && old.ID.Namespace != namespace {
		at := m.namespaceAt
		object.JSON = slices.Concat(old.JSON[:at], namespaceEntry(namespace), old.JSON[at+len(namespaceEntry(old.ID.Namespace)):])
	}
	if object.JSON != nil {
		sum := sha256.Sum256(object.JSON)
		object.Hash = hex.EncodeToString(sum[:])
	}
	m.object = &object
}

// namespaceEntry is metadata's entry, with the comma that parts it from the name before it; empty for no namespace.
func namespaceEntry(namespace string) []byte {
	if namespace == "" {
		return nil
	}
	return appendString([]byte(`,"namespace":`), namespace)
}

// report takes over a manifest's own problems, with the object's final ID.
func (a *assembly) report(m *manifest) {
	for _, p := range m.problems {
		p.Object = m.object.ID
		a.problems = append(a.problems, p)
	}
}

func (a *assembly) problem(o *Object, at Origin, field, reason string, severity Severity, message string) {
	a.problems = append(a.problems, Problem{
		Origin: at, Object: o.ID, Field: field, Reason: reason, Severity: severity, Message: message,
	})
}

func (a *assembly) locate(o *Object, field string) Origin { return Locate(a.tree, o.Origin, field) }

// unique reports every object but the first of the same ID, and leaves it out.
func (a *assembly) unique(sorted []*Object) []*Object {
	var firstOf *Object
	return slices.DeleteFunc(sorted, func(o *Object) bool {
		if firstOf == nil || firstOf.ID != o.ID {
			firstOf = o
			return false
		}
		a.problem(o, o.Origin, "", ReasonDuplicate, Error,
			fmt.Sprintf("given twice, first in %s%s: remove one", firstOf.Origin, firstOf.Origin.Built()))
		return true
	})
}

// dependencies reports depends-on targets that are not in the tree, and cycles.
func (a *assembly) dependencies(objects []*Object, local map[ID]bool) {
	exists := make(map[ID]bool, len(objects))
	for _, o := range objects {
		exists[o.ID] = true
	}
	byID := map[ID]*Object{}
	for _, o := range objects {
		byID[o.ID] = o
		for _, id := range o.DependsOn {
			if !exists[id] {
				a.problem(o, a.locate(o, dependsOnField), dependsOnField, ReasonNoTarget, Error, missing(id, local[id], elsewhere(objects, id)))
			}
		}
	}
	for _, cycle := range cycles(objects, Dependencies(objects)) {
		explicit := slices.IndexFunc(cycle, func(id ID) bool { return len(byID[id].DependsOn) > 0 })
		o := byID[cycle[max(explicit, 0)]] // no cycle without an annotation: that is what to mend
		a.problem(o, a.locate(o, dependsOnField), dependsOnField, ReasonCycle, Error, cycleMessage(cycle))
	}
}

// elsewhere lists the namespaces that hold an object of the same kind and name.
func elsewhere(objects []*Object, id ID) []string {
	var namespaces []string
	for _, o := range objects {
		if o.ID.Group == id.Group && o.ID.Kind == id.Kind && o.ID.Name == id.Name && o.ID.Namespace != "" {
			namespaces = append(namespaces, o.ID.Namespace)
		}
	}
	return namespaces
}

// valid returns the objects that have no error.
func (a *assembly) valid(objects []*Object) []*Object {
	wrong := map[ID]bool{}
	for _, p := range a.set.Problems {
		if p.Severity == Error {
			wrong[p.Object] = true
		}
	}
	return slices.DeleteFunc(objects, func(o *Object) bool { return wrong[o.ID] || o.JSON == nil })
}

// sortProblems orders errors before warnings, and each by file, document and place.
func sortProblems(problems []Problem) []Problem {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(a.Severity, b.Severity), // "error" < "warning"
			cmp.Compare(a.Origin.File, b.Origin.File),
			cmp.Compare(a.Origin.Line, b.Origin.Line),
			cmp.Compare(a.Origin.Column, b.Origin.Column),
			cmp.Compare(a.Field, b.Field),
		)
	})
	return problems
}
