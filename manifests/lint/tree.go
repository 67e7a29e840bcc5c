package lint

import (
	"cmp"
	"fmt"
	"slices"
)

// Name names an object among its neighbours.
type Name struct {
	Namespace, Kind, Name string
}

// String returns "Kind namespace/name".
func (n Name) String() string { return n.Kind + " " + n.Namespace + "/" + n.Name }

func (n Name) compare(other Name) int {
	return cmp.Or(cmp.Compare(n.Namespace, other.Namespace), cmp.Compare(n.Kind, other.Kind), cmp.Compare(n.Name, other.Name))
}

// Member is one object of a tree. Objects that have no facts and wait for no Job may be left out.
type Member struct {
	Name
	WaitsFor []Name // the Jobs that it depends on
	Facts    *Facts // nil when it has none
}

// Remark is a Finding on a member of a tree.
type Remark struct {
	Member int // its index
	Finding
}

// Tree returns what the rules say about objects beside each other, in the order of Rules and members, without what each
// ignores. Members come sorted by namespace, kind and name.
func Tree(members []Member) []Remark {
	f := &forest{members: members}
	f.choose()
	for _, rule := range rules {
		if rule.tree != nil {
			f.rule = rule.ID
			rule.tree(f)
		}
	}
	return f.remarks
}

// forest is a tree of objects under inspection.
type forest struct {
	members []Member
	chosen  [][]int // by member: the workloads whose pods a workload, a Service or a budget selects, by index

	rule    string // that is looking
	remarks []Remark
}

// report adds a finding of the rule that is looking, unless the member ignores it.
func (f *forest) report(member int, field, format string, args ...any) {
	if !f.members[member].Facts.ignored(f.rule) {
		f.remarks = append(f.remarks, Remark{member, Finding{f.rule, field, fmt.Sprintf(format, args...)}})
	}
}

// find returns the index of a member that has facts. Kinds of other API groups may share its name; they have none.
func (f *forest) find(name Name) (int, bool) {
	i, _ := slices.BinarySearchFunc(f.members, name, func(m Member, name Name) int { return m.Name.compare(name) })
	for ; i < len(f.members) && f.members[i].Name == name; i++ {
		if f.members[i].Facts != nil {
			return i, true
		}
	}
	return 0, false
}
