package manifests

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"kilter.dev/kilter/internal/phrase"
	"kilter.dev/kilter/manifests/verdict"
)

// What a reference to an object that is not in the tree means, nobody can tell who does not see the cluster: it may be a slip of the pen,
// or name what an administrator or an operator has put there. So it is a warning, and it is given once for each object that is missing,
// at the first place that names it. It is not given when the object starts without it (optional), when it is always there
// (wellKnown), when a StatefulSet's claim template makes it, when a custom resource of the tree names it (then that most likely makes
// it, as certificates and sealed secrets do), when it would be in a namespace that the tree does not fill, and when
// a file of the tree could not be read, so that nobody knows what is missing.
//
// A key that a ConfigMap or Secret of the tree does not have keeps the pod from starting: that is a warning at every place. An object
// without any key is there for someone else to fill.

// finding is what is wrong with one reference.
type finding struct {
	gap     *gap   // what is missing; nil for a missing key
	field   string // where
	message string // of a missing key
}

// gap is an object that is not in the tree. Those of a tree are kept until objects come or go.
type gap struct {
	id        ID
	explained bool
	text      string // empty when nothing is to be said

	// In the current load:
	load  int
	first *manifest // that refers to it
	field string    // there
	users int
}

// references reports references that lead nowhere. What was found for an object is kept as long as nothing that it depends on has changed.
func (a *assembly) references(x *index, local map[ID]bool) {
	again := x.fresh
	if !x.sameIDs || a.memory.gaps == nil || slices.ContainsFunc(x.fresh, isReferred) || !maps.Equal(local, a.memory.local) {
		again, a.memory.gaps, a.memory.local = x.order, map[ID]*gap{}, local
	}
	keys := keysOf{}
	for _, m := range again {
		m.loose = a.dangling(x, m, keys)
	}
	var gaps []*gap
	for _, m := range x.order {
		for i := range m.loose {
			f := &m.loose[i]
			g := f.gap
			switch {
			case g == nil:
				a.problem(m, f.field, Problem{Reason: ReasonNoKey, Severity: Warning, Message: f.message})
			case g.load == x.loads:
				g.users++
			default:
				g.load, g.first, g.field, g.users = x.loads, m, f.field, 1
				gaps = append(gaps, g)
			}
		}
	}
	x.explain(gaps, local)
	for _, g := range gaps {
		if g.text == "" {
			continue
		}
		text := g.text
		if g.users > 1 {
			text += " (named by " + phrase.Count(g.users-1, "more object") + ")"
		}
		a.problem(g.first, g.field, Problem{Reason: ReasonNoReference, Severity: Warning, Message: text})
	}
}

// isReferred reports whether what a manifest says matters for the references of others, beyond its being there.
func isReferred(m *manifest) bool {
	switch m.object.ID.GroupKind() {
	case corev1.SchemeGroupVersion.WithKind("ConfigMap").GroupKind(), corev1.SchemeGroupVersion.WithKind("Secret").GroupKind(),
		schema.GroupKind{Group: "apps", Kind: "StatefulSet"}:
		return true
	}
	return !verdict.BuiltinGroup(m.object.ID.Group)
}

// dangling returns what is wrong with the references of an object: each missing object once, each missing key.
func (a *assembly) dangling(x *index, m *manifest, keys keysOf) []finding {
	var found []finding
	for _, r := range m.references {
		if r.optional || wellKnown(r.to) || len(found) >= maxProblems {
			continue
		}
		id := r.to
		if id.Namespace == "" && id.Kind != "ClusterRole" {
			id.Namespace = m.object.ID.Namespace
		}
		target := x.byID[id]
		switch {
		case target == nil && r.name != "":
			g := a.memory.gaps[id]
			if g == nil {
				g = &gap{id: id}
				a.memory.gaps[id] = g
			}
			if !slices.ContainsFunc(found, func(f finding) bool { return f.gap == g }) {
				found = append(found, finding{gap: g, field: r.at + "." + r.name})
			}
		case target != nil && r.key != "":
			if has := keys.of(target); len(has) > 0 && !slices.Contains(has, r.key) {
				found = append(found, finding{field: r.at + ".key", message: noKey(id, r.key, has)})
			}
		}
	}
	return found
}

// noKey says which key is missing, and which ones there are. Keys are no secrets; what they hold is.
func noKey(id ID, key string, has []string) string {
	message := fmt.Sprintf("%s has no key %q, and the pod will not start without it", id, key)
	if near := verdict.Nearest(key, has); near != "" {
		return message + ": did you mean " + near + "?"
	}
	return message + ": it has " + phrase.Few(has, 10)
}

// wellKnown reports whether an object is in every cluster, or in every namespace, by itself.
func wellKnown(id ID) bool {
	switch id.Kind {
	case "ServiceAccount":
		return id.Name == "default"
	case "ConfigMap":
		return id.Name == "kube-root-ca.crt" || id.Name == "openshift-service-ca.crt"
	case "ClusterRole":
		return slices.Contains([]string{"admin", "cluster-admin", "edit", "view"}, id.Name) || strings.HasPrefix(id.Name, "system:")
	case "Role":
		return strings.HasPrefix(id.Name, "system:") || id.Name == "extension-apiserver-authentication-reader"
	}
	return false
}

// keysOf remembers the keys of ConfigMaps and Secrets.
type keysOf map[*manifest][]string

// of returns an object's keys, sorted; none when they are not known or somebody else fills them in.
func (k keysOf) of(m *manifest) []string {
	has, known := k[m]
	if known || m.object.JSON == nil {
		return has
	}
	var content struct {
		Type                         corev1.SecretType
		Data, BinaryData, StringData map[string]json.RawMessage
	}
	if json.Unmarshal(m.object.JSON, &content) == nil && content.Type != corev1.SecretTypeServiceAccountToken {
		has = slices.Concat(slices.Collect(maps.Keys(content.Data)), slices.Collect(maps.Keys(content.BinaryData)),
			slices.Collect(maps.Keys(content.StringData)))
		slices.Sort(has)
	}
	k[m] = has
	return has
}

// Bounds on what is said of a tree's missing objects, and on the work for it.
const (
	maxMissing     = 1000
	maxSuggestions = 20
)

// explain says of each missing object that it is missing, unless nothing is to be said.
func (x *index) explain(gaps []*gap, local map[ID]bool) {
	gaps = slices.DeleteFunc(slices.Clone(gaps), func(g *gap) bool { return g.explained })
	if len(gaps) == 0 {
		return
	}
	made := x.mentioned(gaps)
	siblings := map[schema.GroupKind][]ID{}
	filled := map[string]bool{"": true}
	for _, m := range x.order {
		id := m.object.ID
		siblings[id.GroupKind()] = append(siblings[id.GroupKind()], id)
		filled[id.Namespace] = true
	}
	for n, g := range gaps {
		g.explained = true
		if n < maxMissing && !made[g.id] && filled[g.id.Namespace] && !x.claimed(g.id) {
			g.text = absent(g.id, local[g.id], siblings[g.id.GroupKind()], n < maxSuggestions)
		}
	}
}

// absent words what is known of an object that is not in the tree; siblings are the objects of its kind.
func absent(id ID, local bool, siblings []ID, suggest bool) string {
	const otherwise = "it has to exist in the cluster already"
	if local {
		return fmt.Sprintf("%s is marked %s and never applied: %s", id, annotationLocalConfig, otherwise)
	}
	var names, namespaces []string
	for _, other := range siblings {
		switch {
		case other.Namespace == id.Namespace:
			names = append(names, other.Name)
		case other.Name == id.Name:
			namespaces = append(namespaces, other.Namespace)
		}
	}
	if suggest {
		if near := verdict.Nearest(id.Name, names); near != "" {
			return fmt.Sprintf("%s is not in this tree: did you mean %s? Otherwise %s", id, near, otherwise)
		}
	}
	if len(namespaces) > 0 {
		return fmt.Sprintf("%s is not in this tree (there is one in namespace %s): %s", id, phrase.Few(namespaces, 5), otherwise)
	}
	return fmt.Sprintf("%s is not in this tree: %s", id, otherwise)
}

// mentioned returns those of the objects that a custom resource of their namespace, or of none, names somewhere.
func (x *index) mentioned(gaps []*gap) map[ID]bool {
	byName := map[string][]ID{}
	for _, g := range gaps {
		byName[g.id.Name] = append(byName[g.id.Name], g.id)
	}
	made := map[ID]bool{}
	for _, m := range x.order {
		if verdict.BuiltinGroup(m.object.ID.Group) {
			continue
		}
		for word := range bytes.SplitSeq(m.object.JSON, []byte{'"'}) {
			for _, id := range byName[string(word)] {
				made[id] = made[id] || m.object.ID.Namespace == id.Namespace || m.object.ID.Namespace == ""
			}
		}
	}
	return made
}

// claimed reports whether an object is a claim that a StatefulSet's template makes: "<template>-<StatefulSet>-<number>".
func (x *index) claimed(id ID) bool {
	if id.Kind != "PersistentVolumeClaim" {
		return false
	}
	pod := strings.LastIndexByte(id.Name, '-')
	if pod < 0 || strings.Trim(id.Name[pod+1:], "0123456789") != "" {
		return false
	}
	for i, c := range id.Name[:pod] {
		if c == '-' && x.byID[ID{Group: "apps", Kind: "StatefulSet", Namespace: id.Namespace, Name: id.Name[i+1 : pod]}] != nil {
			return true
		}
	}
	return false
}

// elsewhere lists the namespaces that hold an object of the same kind and name.
func (x *index) elsewhere(id ID) []string {
	var namespaces []string
	for _, m := range x.order {
		o := m.object
		if o.ID.Group == id.Group && o.ID.Kind == id.Kind && o.ID.Name == id.Name && o.ID.Namespace != "" {
			namespaces = append(namespaces, o.ID.Namespace)
		}
	}
	return namespaces
}
