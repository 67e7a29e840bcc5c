package health

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"kilter.dev/kilter/internal/phrase"
)

// Reasons of a DaemonSet that its nodes give.
const (
	ReasonMisscheduled = "Misscheduled"      // rolled out, and pods are left on nodes that it does not want any more, or not now
	ReasonNotWaitedFor = "NodesNotWaitedFor" // rolled out but for nodes that are not ready, cordoned or tainted
	ReasonHeldByNodes  = "HeldByNodes"       // nodes that are not ready, cordoned or tainted use up what may be unavailable
)

// DaemonPods is all that the judgement on a DaemonSet by its nodes depends on.
type DaemonPods struct {
	DaemonSet *appsv1.DaemonSet
	Revision  string // of the newest template: the hash that its pods carry; empty when it is not known
	Pods      []Pod
	Nodes     []Node // every node of the cluster; nil when it may not be read, and then no node is excused
	Now       time.Time
	Grace     time.Duration // how long a node that is not ready is waited for
}

// DaemonSetByStatus judges a DaemonSet whose pods may not be read.
func DaemonSetByStatus(d *appsv1.DaemonSet) Rollout {
	s := d.Status
	return Rollout{
		Health: daemonSet(d), Pods: int(s.DesiredNumberScheduled), Done: int(min(s.UpdatedNumberScheduled, s.NumberAvailable)),
		OutdatedPods: int(max(0, s.CurrentNumberScheduled-s.UpdatedNumberScheduled)),
	}
}

// Judge judges the DaemonSet node by node. It excuses: where the status alone says InProgress, and all that is missing is on nodes that
// are not waited for, the rollout is done. It never says less than the status, which knows of no pod that was not counted yet.
//
//	node                              its pod is not updated and available
//	gone, cordoned, tainted           not waited for
//	not ready, for longer than Grace  not waited for
//	not ready, for less               waited for until the grace ends, where the controller counts the node
//	any other                         waited for
//
// The controller deletes an outdated pod on a dead node, and then counts it against maxUnavailable for as long as the node is there
// (rollingUpdate in k8s.io/kubernetes/pkg/controller/daemon/update.go). So one such node can keep all others outdated; the message says so.
func (in DaemonPods) Judge() Rollout {
	d := in.DaemonSet
	r := DaemonSetByStatus(d)
	if d.Generation > d.Status.ObservedGeneration {
		return r
	}
	r.Pods, r.Done, r.OutdatedPods = 0, 0, 0
	if r.Health.Word == Current {
		in.Grace = 0 // the controller has stopped waiting already
	}
	run := daemonRun{DaemonPods: in, fit: newNodeFit(d)}
	run.limit, run.surge = rolloutLimit(d)
	run.assess(&r)
	r.OutdatedPods = len(r.Outdated)
	onDelete := d.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType
	switch {
	case onDelete:
		// Pods move when somebody deletes them, whatever their nodes are like.
		r.Waits, r.Excused, r.Until = nil, nil, time.Time{}
		if len(r.Outdated) > 0 {
			r.Health = Health{Current, ReasonOutdatedPods, fmt.Sprintf("%d of %s outdated until deleted (OnDelete), %d available; outdated on %s",
				len(r.Outdated), phrase.Count(r.Pods, "pod"), run.available, few(r.Outdated, outdatedOn))}
		}
	case r.Health.Word == Current:
		r.Waits, r.Until = nil, time.Time{}
		if len(r.Excused) > 0 {
			r.Health = Health{Current, ReasonNotWaitedFor, r.progress() + r.excuses()}
		}
	case len(r.Waits)+run.pending == 0 && len(r.Excused) > 0:
		r.Health = Health{Current, ReasonNotWaitedFor, r.progress() + r.excuses()}
	default:
		run.inProgress(&r)
	}
	return r
}

// daemonRun is one judgement.
type daemonRun struct {
	DaemonPods
	fit       nodeFit
	surge     bool // two pods may be on one node; otherwise none
	limit     int  // how many nodes may be so at a time
	taken     int  // how many are
	available int  // nodes with an available pod, of whatever template
	pending   int  // nodes that are waited for, and whose outdated pod is available: their turn is still to come
}

// assess goes over the nodes that the DaemonSet wants pods on or has pods on, in the order of their names.
func (run *daemonRun) assess(r *Rollout) {
	pods := map[string][]Pod{}
	for _, p := range run.Pods {
		pods[p.Node] = append(pods[p.Node], p)
	}
	nodes := map[string]Node{}
	for _, n := range run.Nodes {
		nodes[n.Name] = n
		if run.fit.wants(n) && run.fit.taint(n) == "" && pods[n.Name] == nil {
			pods[n.Name] = nil // it has none, and should
		}
	}
	for _, name := range slices.Sorted(maps.Keys(pods)) {
		node, known := nodes[name]
		if known && !run.fit.wants(node) {
			continue // its controller deletes the pod
		}
		r.Pods++
		if known && !node.NotReady.IsZero() {
			pods[name] = unready(pods[name])
		}
		place, done := run.place(name, pods[name])
		if done {
			r.Done++
			continue
		}
		excused := false
		if run.Nodes != nil && name != "" {
			excused = run.excuse(r, &place, node, known)
		}
		if place.State == Outdated {
			r.Outdated = append(r.Outdated, place)
		}
		switch {
		case excused:
			r.Excused = append(r.Excused, place)
		case place.State == Outdated && place.Why == "":
			run.pending++
		default:
			r.Waits = append(r.Waits, place)
		}
	}
}

// unready returns the pods of a node that is not ready: what they said last of themselves does not count, even before the node's controller
// has written that down.
func unready(pods []Pod) []Pod {
	pods = slices.Clone(pods)
	for i := range pods {
		pods[i].Trouble = cmp.Or(pods[i].Trouble, "its node is NotReady")
	}
	return pods
}

// excuse reports whether a node that is not done is not waited for, and gives the place what is the matter with its node as the reason.
func (run *daemonRun) excuse(r *Rollout, place *Place, node Node, known bool) bool {
	var why string
	excused := true
	taint, notReady := run.fit.taint(node), node.notReady(run.Now)
	switch {
	case !known:
		why = "the node is gone"
	case notReady != "":
		why = notReady
		if until := node.NotReady.Add(run.Grace); run.Now.Before(until) && !node.Cordoned && taint == "" {
			excused = false
			if r.Until.IsZero() || until.Before(r.Until) {
				r.Until = until
			}
		}
	case node.Cordoned:
		why = "cordoned"
	case taint != "":
		why = "tainted " + taint
	default:
		return false
	}
	if place.State == Leaving {
		why += ", its pod is Terminating"
	}
	place.Why = why
	return excused
}

// place judges the pods on one node; done when a pod of the newest template is available. While the controller surges there are two.
func (run *daemonRun) place(node string, pods []Pod) (place Place, done bool) {
	minReady := run.DaemonSet.Spec.MinReadySeconds
	place = Place{Node: node, State: Missing}
	var newest, old *Pod
	for i := range pods {
		switch p := &pods[i]; {
		case p.Terminating:
			place.Pod, place.State = p.Name, Leaving
		case run.updated(p):
			newest = p
		default:
			old = p
		}
	}
	oldServes := old != nil && old.available(minReady, run.Now)
	var served bool
	switch {
	case newest != nil && newest.available(minReady, run.Now):
		run.available++
		return Place{}, true
	case newest != nil:
		place = Place{Node: node, Pod: newest.Name, State: Unavailable, Why: newest.unavailable(minReady)}
		if oldServes {
			place.Why += ", its predecessor still runs"
		}
		served = oldServes
	case old != nil:
		place = Place{Node: node, Pod: old.Name, State: Outdated}
		if !oldServes {
			place.Why = "outdated, " + old.unavailable(minReady)
		}
		served = oldServes
	default:
		served = false
	}
	if served {
		run.available++
	}
	if run.surge && newest != nil && old != nil || !run.surge && !served {
		run.taken++
	}
	return place, false
}

// updated follows IsPodUpdated of k8s.io/kubernetes/pkg/controller/daemon/util: a template that was put back is the same revision again,
// though not the same generation.
func (run *daemonRun) updated(p *Pod) bool {
	generation, counted := run.DaemonSet.Annotations[appsv1.DeprecatedTemplateGeneration]
	return run.Revision != "" && p.Revision == run.Revision || counted && p.Generation == generation
}

// inProgress words a rollout that goes on.
func (run *daemonRun) inProgress(r *Rollout) {
	text := r.Health.Message
	if run.Nodes != nil && len(r.Waits)+run.pending > 0 { // otherwise the status has yet to follow
		text = r.progress()
	}
	if run.pending > 0 {
		text += fmt.Sprintf(", %d outdated", run.pending)
	}
	if len(r.Waits) > 0 {
		text += "; waits for " + few(r.Waits, Place.byNode)
	}
	text += r.excuses()
	if len(r.Excused) > 0 && run.pending > 0 && run.taken >= run.limit {
		name := "maxUnavailable"
		if run.surge {
			name = "maxSurge"
		}
		r.Health.Reason = ReasonHeldByNodes
		text += fmt.Sprintf("; that uses up %s (%d), so no other node is updated: delete a Node that does not come back, or raise %[1]s", name, run.limit)
	}
	r.Health.Message = text
}

// rolloutLimit returns on how many nodes an update may go on at a time, and whether it makes the new pod before the old one goes
// (updatedDesiredNodeCounts in k8s.io/kubernetes/pkg/controller/daemon/update.go).
func rolloutLimit(d *appsv1.DaemonSet) (limit int, surge bool) {
	maxUnavailable, maxSurge := intstr.FromInt32(1), intstr.FromInt32(0)
	if u := d.Spec.UpdateStrategy.RollingUpdate; u != nil {
		maxUnavailable, maxSurge = *cmp.Or(u.MaxUnavailable, &maxUnavailable), *cmp.Or(u.MaxSurge, &maxSurge)
	}
	desired := int(d.Status.DesiredNumberScheduled)
	// The server has validated both.
	if n, _ := intstr.GetScaledValueFromIntOrPercent(&maxSurge, desired, true); n > 0 {
		return n, true
	}
	n, _ := intstr.GetScaledValueFromIntOrPercent(&maxUnavailable, desired, true)
	return max(1, n), false
}

func (r *Rollout) progress() string {
	return fmt.Sprintf("%d of %s updated and available", r.Done, phrase.Count(r.Pods, "pod"))
}

func (r *Rollout) excuses() string {
	if len(r.Excused) == 0 {
		return ""
	}
	return "; not waited for: " + few(r.Excused, Place.byNode)
}

// outdatedOn names the node of an outdated pod, with what else is the matter there.
func outdatedOn(p Place) string {
	if why := strings.TrimPrefix(p.Why, "outdated, "); why != "" {
		return p.Node + " (" + why + ")"
	}
	return p.Node
}
