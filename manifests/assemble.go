package manifests

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"kilter.dev/kilter/manifests/document"
	"kilter.dev/kilter/manifests/verdict"
)

// assembly puts the manifests of all files together: scope and namespace, duplicates, custom resources, references, dependencies.
type assembly struct {
	tree      fs.FS
	target    Target
	manifests []*manifest
	problems  []Problem
	unplaced  []unplaced // problems whose line is not known yet
	wrong     map[ID]int // why an object is refused: byRules, otherwise
	found     tally      // of all problems, those that are not listed included
	unlisted  int        // warnings of files that were not kept
	ended     []Problem  // why nothing more was read
	set       *Set
	memory    *memory
}

// memory is what a Loader keeps of the last tree as a whole.
type memory struct {
	index   index
	customs customs
	gaps    map[ID]*gap
	local   map[ID]bool // of the load that found the gaps
	remarks remarks
	kinds   kinds
}

func newAssembly(tree fs.FS, target Target, m *memory, files int) *assembly {
	return &assembly{tree: tree, target: target, set: &Set{}, memory: m, wrong: map[ID]int{}, manifests: make([]*manifest, 0, files)}
}

func (a *assembly) add(m memo) {
	if m.only != nil {
		a.manifests = append(a.manifests, m.only)
		return
	}
	a.manifests = append(a.manifests, m.file.items...)
	a.takeAll(m.file)
}

// addBuilt takes over what a kustomization builds. What is wrong with a base is said once, however many use it.
func (a *assembly) addBuilt(out *parsed) {
	a.manifests = append(a.manifests, out.items...)
	a.unlisted += out.unlisted
	for _, p := range out.problems {
		if !slices.Contains(a.problems, p) {
			a.take(p)
		}
	}
}

// takeAll takes what belongs to no object of a file.
func (a *assembly) takeAll(file *parsed) {
	a.unlisted += file.unlisted
	for _, p := range file.problems {
		a.take(p)
	}
}

// tooMuch reports the file with which the tree exceeds a limit.
func (a *assembly) tooMuch(file, message string) {
	a.stop(Problem{
		Origin: Origin{File: file}, Reason: ReasonLimit, Severity: Error,
		Message: "the manifests up to this file " + message +
			": split the tree, list what is no manifest in " + ignoreFile + ", or raise the limit",
	})
}

// finish decides what can only be decided beside all other objects. The error is the context's.
func (a *assembly) finish(ctx context.Context) (*Set, error) {
	whole := len(a.problems)+len(a.ended) == 0 // every file could be read, and all that is in the tree is known
	scope := newScope(a.manifests, a.target)
	local := map[ID]bool{}
	applied := make([]*manifest, 0, len(a.manifests))
	settled := a.memory.kinds.update(a.manifests, scope, a.target.namespace())
	unserved := false
	for _, m := range a.manifests {
		if m.settled != settled || m.remarked {
			a.settle(m, scope)
			m.settled = settled
		}
		unserved = unserved || m.unserved
		if !m.local {
			applied = append(applied, m)
			a.report(m)
			continue
		}
		local[m.object.ID] = true
		a.set.Skipped = append(a.set.Skipped, Skip{
			Origin: m.object.Origin, Object: m.object.ID, Version: m.object.Version,
			Reason: "marked " + annotationLocalConfig + ": \"true\"",
		})
	}
	index := &a.memory.index
	index.update(applied)
	if unserved || len(index.duplicates) > 0 {
		a.duplicates(index)
	}
	if err := a.judgeCustom(ctx, index, scope); err != nil {
		return nil, err
	}
	a.dependencies(index, local)
	if whole {
		a.references(index, local)
	} else {
		a.memory.gaps = nil // nobody follows what comes and goes now
	}
	a.place()
	a.lint(index)
	a.set.Problems = a.listed()
	a.set.Objects, a.set.Refused = a.divide(index)
	return a.set, nil
}

// settle gives a manifest its final ID and JSON, now that the scope of its kind is known.
func (a *assembly) settle(m *manifest, scope *scope) {
	gvk := m.object.GroupVersionKind()
	namespaced, known := scope.of(gvk)
	m.unserved = !known
	m.remarked = !known || !namespaced && m.declared != "" // something is to be said at every load
	switch {
	case !known:
		m.setNamespace(m.declared)
		if !m.local {
			a.problem(m, "", Problem{Reason: ReasonUnknown, Severity: Error, Message: scope.unknown(gvk)})
		}
	case namespaced:
		m.setNamespace(cmp.Or(m.declared, a.target.namespace()))
	default:
		m.setNamespace("")
		if m.declared != "" {
			a.problem(m, "metadata.namespace", Problem{
				Reason: ReasonWarning, Severity: Warning,
				Message: gvk.Kind + " is cluster-scoped, and the namespace has no effect: remove it",
			})
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
	return document.AppendString([]byte(`,"namespace":`), namespace)
}

// report takes over a manifest's own problems, with the object's final ID.
func (a *assembly) report(m *manifest) {
	for _, p := range m.problems {
		p.Object, p.Version = m.object.ID, m.object.Version
		a.take(p)
	}
}

// problem reports something about a field of the manifest's object, or about the object when field is empty.
func (a *assembly) problem(m *manifest, field string, p Problem) {
	p.Origin, p.Object, p.Version, p.Field = m.object.Origin, m.object.ID, m.object.Version, field
	if a.take(p) && field != "" {
		a.unplaced = append(a.unplaced, unplaced{problem: len(a.problems) - 1, manifest: m})
	}
}

// duplicates reports every object but the first of the same ID, and those that are the same to the server because one API replaced the
// other.
func (a *assembly) duplicates(x *index) {
	for _, m := range x.all {
		first := x.duplicates[m]
		if _, replacement, removed := removedAPI(m); removed && first == nil {
			id := m.object.ID
			id.Group, id.Kind = replacement.Group, replacement.Kind
			if first = x.byID[id]; first == m {
				first = nil
			}
		}
		if first == nil {
			continue
		}
		as := ""
		if one, other := m.object.GroupVersionKind().GroupVersion(), first.object.GroupVersionKind().GroupVersion(); one != other {
			as = "as " + other.String() + " "
		}
		a.problem(m, "", Problem{
			Reason: ReasonDuplicate, Severity: Error,
			Message: fmt.Sprintf("the same object is also given %sin %s%s: remove one",
				as, a.target.origin(first.object.Origin), first.object.Origin.Built()),
		})
	}
}

// removedAPI returns what replaces the API version that a manifest uses, if the server no longer has it.
func removedAPI(m *manifest) (release string, replacement schema.GroupVersionKind, removed bool) {
	if m.unserved {
		return verdict.Removed(m.object.GroupVersionKind())
	}
	return "", schema.GroupVersionKind{}, false
}

// dependencies reports depends-on targets that are not in the tree, and circles. A circle is a Problem of every annotation along it: any one
// of them may be the wrong one, and its author should see it in the file that was just written.
func (a *assembly) dependencies(x *index, local map[ID]bool) {
	var annotated []*Object
	told := 0
	for _, m := range x.annotated {
		annotated = append(annotated, m.object)
		for _, id := range m.object.DependsOn {
			if x.byID[id] != nil || told == maxMissing {
				continue
			}
			told++
			a.problem(m, dependsOnField, Problem{
				Reason: ReasonNoTarget, Severity: Error,
				Message: missing(id, local[id], x.elsewhere(id)),
			})
		}
	}
	closes := map[ID]bool{} // one circle is enough for each annotation
	for _, circle := range cycles(annotated, func(id ID) *Object { return x.byID[id].object }, x.edges) {
		for i, s := range circle {
			if s.why == asAsked && !closes[s.id] {
				closes[s.id] = true
				a.problem(x.byID[s.id], dependsOnField, Problem{Reason: ReasonCycle, Severity: Error, Message: circle.message(i)})
			}
		}
	}
}

// divide returns the objects that have no error, and those that only the API server's rules refuse.
func (a *assembly) divide(x *index) (valid, refused []*Object) {
	valid = make([]*Object, 0, len(x.order))
	for _, m := range x.order {
		switch {
		case len(a.wrong) == 0: // then every object has its JSON
			valid = append(valid, m.object)
		case m.object.JSON == nil:
		case a.wrong[m.object.ID] == 0:
			valid = append(valid, m.object)
		case a.wrong[m.object.ID] == byRules:
			refused = append(refused, m.object)
		}
	}
	return valid, refused
}

// sortProblems orders errors before warnings, and each by file, document and place. How many more there are comes last.
func sortProblems(problems []Problem) []Problem {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(a.Severity, b.Severity), // "error" < "warning"
			cmp.Compare(a.last(), b.last()),
			cmp.Compare(a.Origin.File, b.Origin.File),
			cmp.Compare(a.Origin.Line, b.Origin.Line),
			cmp.Compare(a.Origin.Column, b.Origin.Column),
			cmp.Compare(a.Field, b.Field),
		)
	})
	return problems
}
