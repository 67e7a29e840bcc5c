package diff

import (
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"kilter.dev/kilter/manifests"
)

// Deletions go in the reverse order of dependencies, and what comes later waits until what comes before is gone: an operator that cleans up
// after a custom resource still needs its Secret. Git no longer tells what depended on what, so the order comes from the objects themselves:
//
//	0            workloads and everything else
//	references   what workloads refer to: configuration, accounts, claims, roles, classes
//	definitions  CRDs, after the objects of their group
//	namespaces   after everything in them
//
// and what config.kubernetes.io/depends-on named on an object goes after that object, whatever its kind: its rank is higher by one. An object
// waits for those of a lower rank in its namespace; one that is in no namespace, for all.
const (
	references  = 1 << 10
	definitions = 1 << 20
	namespaces  = 1 << 30
)

// referred are the kinds that workloads refer to, apart from those of RBAC.
var referred = map[schema.GroupKind]bool{
	{Kind: "ConfigMap"}:                                 true,
	{Kind: "PersistentVolume"}:                          true,
	{Kind: "PersistentVolumeClaim"}:                     true,
	{Kind: "Secret"}:                                    true,
	{Kind: "ServiceAccount"}:                            true,
	{Group: "node.k8s.io", Kind: "RuntimeClass"}:        true,
	{Group: "scheduling.k8s.io", Kind: "PriorityClass"}: true,
	{Group: "storage.k8s.io", Kind: "StorageClass"}:     true,
	{Group: "networking.k8s.io", Kind: "IngressClass"}:  true,
}

func rankOf(id manifests.ID) int {
	switch {
	case isNamespace(id):
		return namespaces
	case isCRD(id):
		return definitions
	case referred[id.GroupKind()], id.Group == "rbac.authorization.k8s.io":
		return references
	}
	return 0
}

// hold fills in what each leaver has to wait for. Leavers come sorted; those that stay hold nobody up.
func hold(leaving []leaver) {
	going := make(map[manifests.ID]*leaver, len(leaving))
	dependents := map[manifests.ID][]manifests.ID{}
	for i := range leaving {
		if l := &leaving[i]; l.stays == "" {
			going[l.ID] = l
			for _, dependency := range l.DependsOn {
				dependents[dependency] = append(dependents[dependency], l.ID)
			}
		}
	}
	r := ranks{dependents: dependents, known: map[manifests.ID]int{}}
	all, in, of := first{}, map[string]*first{}, map[string]*first{}
	for i := range leaving {
		if l := &leaving[i]; going[l.ID] != nil {
			rank := r.of(l.ID)
			all.add(l.ID, rank)
			entry(in, l.ID.Namespace).add(l.ID, rank)
			entry(of, l.ID.Group).add(l.ID, rank)
		}
	}
	for _, l := range going {
		before := &all
		switch {
		case isNamespace(l.ID):
			before = entry(in, l.ID.Name)
		case isCRD(l.ID):
			_, group, _ := strings.Cut(l.ID.Name, ".") // a CRD is called <plural>.<group>
			before = entry(of, group)
		case l.ID.Namespace != "":
			before = entry(in, l.ID.Namespace)
		}
		if before.known && before.rank < r.of(l.ID) {
			l.after = &before.id
		}
		for _, dependent := range dependents[l.ID] {
			if going[dependent] != nil && r.of(dependent) < r.of(l.ID) {
				l.after = &dependent
				break
			}
		}
	}
}

// ranks computes the rank of leavers: higher than that of every leaver that depends on it.
type ranks struct {
	dependents map[manifests.ID][]manifests.ID
	known      map[manifests.ID]int
}

func (r ranks) of(id manifests.ID) int {
	if rank, ok := r.known[id]; ok {
		return rank
	}
	rank := rankOf(id)
	r.known[id] = rank // ends a cycle, which only somebody's edit in the cluster can make
	for _, dependent := range r.dependents[id] {
		rank = max(rank, r.of(dependent)+1)
	}
	r.known[id] = rank
	return rank
}

// first is the leaver that goes first of some: that of the lowest rank, and of those the first by ID.
type first struct {
	known bool
	rank  int
	id    manifests.ID
}

func (f *first) add(id manifests.ID, rank int) {
	if !f.known || rank < f.rank {
		*f = first{true, rank, id}
	}
}

func entry(in map[string]*first, key string) *first {
	if in[key] == nil {
		in[key] = &first{}
	}
	return in[key]
}
