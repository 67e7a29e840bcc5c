package manifests

import (
	"cmp"
	"reflect"
	"slices"

	"go.yaml.in/yaml/v3"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"kilter.dev/kilter/manifests/lint"
)

// neighbour is what an object tells the lint rules that look at a whole tree, with the places at which they may find something:
// the node tree is gone by then.
type neighbour struct {
	facts  *lint.Facts
	places []Origin // of facts.Fields()
}

// lint adds the remarks on an accepted object, given as it was written, and keeps what is needed to see it beside others.
func (d *decoder) lint(m *manifest, typed runtime.Object, node *yaml.Node, doc int) {
	for _, finding := range lint.Check(typed, lint.Options{Now: d.options.Now()}) {
		m.problems = append(m.problems, remark(m.object.ID, d.origin(doc, place(node, finding.Field)), finding))
	}
	if facts := lint.Gather(typed); facts != nil {
		m.object.neighbour = &neighbour{facts: facts}
		for _, field := range facts.Fields() {
			m.object.neighbour.places = append(m.object.neighbour.places, d.origin(doc, place(node, field)))
		}
	}
}

// remarks is what the lint says of a tree, kept until something that it looks at changes.
type remarks struct {
	load    int           // of the index, when they were right
	members []int         // the members' places in the index's order
	found   []lint.Remark // of members
}

// lint adds the remarks on objects beside each other.
func (a *assembly) lint(all *index) {
	r := &a.memory.remarks
	if !all.steady || r.load != all.loads-1 || slices.ContainsFunc(all.replaced, replacement.matters) {
		r.find(all)
	}
	r.load = all.loads
	for _, each := range r.found {
		o := all.order[r.members[each.Member]].object
		a.take(remark(o.ID, o.neighbour.place(each.Field, o.Origin), each.Finding))
	}
}

// matters reports whether the new object is another one to the lint, beside others.
func (r replacement) matters() bool {
	return !slices.Equal(r.old.DependsOn, r.new.DependsOn) || !reflect.DeepEqual(r.old.neighbour.known(), r.new.neighbour.known())
}

// known returns the facts of an object; nil when there are none.
func (n *neighbour) known() *lint.Facts {
	if n == nil {
		return nil
	}
	return n.facts
}

// find asks the lint about all objects.
func (r *remarks) find(all *index) {
	r.members = nil
	var members []lint.Member
	selected := slices.ContainsFunc(all.order, func(m *manifest) bool {
		return m.object.neighbour != nil && m.object.neighbour.facts.Selects()
	})
	for i, m := range all.order {
		o := m.object
		idle := o.neighbour == nil || !selected && o.neighbour.facts.Passive() // most of a tree of Jobs
		if idle && len(o.DependsOn) == 0 {
			continue
		}
		member := lint.Member{Name: lint.Name{Namespace: o.ID.Namespace, Kind: o.ID.Kind, Name: o.ID.Name}, Facts: o.neighbour.known()}
		for _, id := range o.DependsOn {
			if id.Group == batchv1.GroupName && id.Kind == "Job" {
				member.WaitsFor = append(member.WaitsFor, lint.Name{Namespace: id.Namespace, Kind: id.Kind, Name: id.Name})
			}
		}
		members, r.members = append(members, member), append(r.members, i)
	}
	r.found = lint.Tree(members)
}

// place returns where a field stands, or the object itself.
func (n *neighbour) place(field string, object Origin) Origin {
	for i, known := range n.facts.Fields() {
		if known == field {
			return cmp.Or(n.places[i], object)
		}
	}
	return object
}

// remark makes a Problem of a finding.
func remark(id ID, at Origin, finding lint.Finding) Problem {
	return Problem{
		Origin: at, Object: id, Field: finding.Field, Reason: ReasonLint, Rule: finding.Rule, Severity: Warning,
		Message: finding.Message,
	}
}
