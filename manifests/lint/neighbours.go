package lint

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/intstr"

	"kilter.dev/kilter/internal/phrase"
)

const strategyField = "spec.strategy"

// ttlOnDependency finds Jobs that delete themselves although others name them as done or not.
func ttlOnDependency(f *forest) {
	waiting := map[int][]int{}
	var jobs []int // in the order in which they are first named
	for i, m := range f.members {
		for _, name := range m.WaitsFor {
			if job, ok := f.find(name); ok && f.members[job].Facts.ttl != nil {
				if waiting[job] == nil {
					jobs = append(jobs, job)
				}
				waiting[job] = append(waiting[job], i)
			}
		}
	}
	slices.Sort(jobs)
	for _, job := range jobs {
		f.report(job, "spec.ttlSecondsAfterFinished", "%s waits for this Job, which deletes itself %d s after it ended: "+
			"Kilter has that on record, but whoever else asks the cluster later, kubectl wait or another tool, finds nothing, "+
			"or runs it again; remove the TTL",
			f.members[waiting[job][0]].Name, *f.members[job].Facts.ttl)
	}
}

// autoscaledReplicas finds replicas beside an autoscaler, which writes the same field.
func autoscaledReplicas(f *forest) {
	for _, m := range f.members {
		if m.Facts == nil || m.Facts.target == nil {
			continue
		}
		target := *m.Facts.target
		target.Namespace = m.Namespace
		if i, ok := f.find(target); ok && f.members[i].Facts.replicas != nil {
			f.report(i, "spec.replicas", "%s writes the same field: once it has scaled, Kilter leaves this number alone, and "+
				"whatever else applies it undoes the scaling: remove replicas", m.Name)
		}
	}
}

// overlappingSelectors finds workloads whose selector also selects another's pods; of two that select each other's, the second
// is named.
func overlappingSelectors(f *forest) {
	for i, m := range f.members {
		if m.Facts == nil || m.Facts.pods == nil || m.Facts.selects == nil {
			continue
		}
		other := slices.IndexFunc(f.chosen[i], func(w int) bool {
			return f.members[w].Facts.selects != nil && (w < i || !slices.Contains(f.chosen[w], i))
		})
		if other >= 0 {
			f.report(i, "spec.selector", "also selects the pods of %s: an autoscaler or a budget of one counts the pods of "+
				"both, and either may adopt a pod "+
				"that lost its owner; add a label that only these pods have", f.members[f.chosen[i][other]].Name)
		}
	}
}

// serviceSelectsJobPods finds Services whose selector means a server and catches a batch run as well.
func serviceSelectsJobPods(f *forest) {
	for i, m := range f.members {
		if m.Kind != "Service" || m.Facts == nil {
			continue
		}
		batch := slices.IndexFunc(f.chosen[i], func(w int) bool { return f.members[w].Facts.selects == nil })
		server := slices.IndexFunc(f.chosen[i], func(w int) bool { return f.members[w].Facts.selects != nil })
		if batch >= 0 && server >= 0 {
			f.report(i, "spec.selector", "selects the pods of %s and those of %s, which get a share of the traffic while they run: "+
				"add a label that only the server's pods have", f.members[f.chosen[i][server]].Name, f.members[f.chosen[i][batch]].Name)
		}
	}
}

// statefulSetService looks for the Service that gives the members of a StatefulSet their names. Where a namespace has no Service at all
// in the tree, they are kept elsewhere: a single file is a tree, too.
func statefulSetService(f *forest) {
	services := map[string]bool{} // by namespace
	for _, m := range f.members {
		if m.Kind == "Service" && m.Facts != nil {
			services[m.Namespace] = true
		}
	}
	for i, m := range f.members {
		if m.Facts == nil || m.Facts.serviceName == "" {
			continue
		}
		name := m.Facts.serviceName
		service, ok := f.find(Name{m.Namespace, "Service", name})
		switch {
		case !ok && !services[m.Namespace]:
		case !ok:
			f.report(i, "spec.serviceName", "no Service %s is in this tree, and without it the pods have no names such as %s-0.%s: "+
				"add one with clusterIP: None, or correct the name", name, m.Name.Name, name)
		case !f.members[service].Facts.headless:
			f.report(i, "spec.serviceName", "Service %s has an address of its own, so the pods have no names such as %s-0.%s: "+
				"name a Service with clusterIP: None here", name, m.Name.Name, name)
		}
	}
}

// rollingUpdateOneNode finds Deployments whose new pods need a volume that the old ones hold.
func rollingUpdateOneNode(f *forest) {
	for i, m := range f.members {
		if m.Facts == nil {
			continue
		}
		for _, claim := range m.Facts.claims {
			if c, ok := f.find(Name{m.Namespace, "PersistentVolumeClaim", claim}); ok && f.members[c].Facts.oneNode {
				f.report(i, strategyField, "an update starts a new pod before the old one ends, and PersistentVolumeClaim %s can "+
					"be used on one node at a "+
					"time: on another node the new pod waits for ever; set strategy.type to Recreate", claim)
			}
		}
	}
}

// budgetBlocks is the part of budget-blocks-drains that a budget alone shows.
func budgetBlocks(s *subject) {
	switch {
	case zero(s.budget.MaxUnavailable):
		s.report("spec.maxUnavailable", "no pod may ever be evicted, so draining a node under one of them never ends: allow at least 1")
	case is(s.budget.MinAvailable, "100%"):
		s.report("spec.minAvailable", "no pod may ever be evicted, so draining a node under one of them never ends: write "+
			"maxUnavailable: 1 instead")
	}
}

// budgetBlocksAll reckons what a budget leaves of the replicas that the tree asks for, as the disruption controller does:
// shares are rounded up. Where an autoscaler decides, or a pod has no scale, nothing is known.
func budgetBlocksAll(f *forest) {
	scaled := map[Name]bool{}
	for _, m := range f.members {
		if m.Facts != nil && m.Facts.target != nil {
			scaled[Name{m.Namespace, m.Facts.target.Kind, m.Facts.target.Name}] = true
		}
	}
	for i, m := range f.members {
		if m.Facts == nil || m.Facts.minAvailable == nil || is(m.Facts.minAvailable, "100%") {
			continue
		}
		total := int32(0)
		unknown := slices.ContainsFunc(f.chosen[i], func(w int) bool {
			facts := f.members[w].Facts
			if facts.replicas == nil {
				total++
			} else {
				total += *facts.replicas
			}
			return !facts.scalable || scaled[f.members[w].Name]
		})
		if unknown || total == 0 {
			continue
		}
		least, err := intstr.GetScaledValueFromIntOrPercent(m.Facts.minAvailable, int(total), true)
		if err == nil && least >= int(total) {
			f.report(i, "spec.minAvailable", "%s of %s must stay, so none may be evicted and draining a node under one of them "+
				"never ends: "+
				"add replicas, or write maxUnavailable: 1", m.Facts.minAvailable, phrase.Count(total, "replica"))
		}
	}
}

// budgetWithoutScale finds budgets that cannot be reckoned: the disruption controller asks the owner of each pod for its scale,
// and lets nothing be evicted when one has none.
func budgetWithoutScale(f *forest) {
	for i, m := range f.members {
		if m.Kind != "PodDisruptionBudget" || m.Facts == nil {
			continue
		}
		field := "spec.maxUnavailable"
		if m.Facts.maxUnavailable == nil {
			if m.Facts.minAvailable == nil || !strings.HasSuffix(m.Facts.minAvailable.StrVal, "%") {
				continue // a number needs no scale
			}
			field = "spec.minAvailable"
		}
		if w := slices.IndexFunc(f.chosen[i], func(w int) bool { return !f.members[w].Facts.scalable }); w >= 0 {
			f.report(i, field, "selects pods of %s, which has no scale to reckon %s from, so while there is one no pod may be "+
				"evicted: exclude them by a label, or write minAvailable as a number",
				f.members[f.chosen[i][w]].Name, strings.TrimPrefix(field, "spec."))
		}
	}
}
