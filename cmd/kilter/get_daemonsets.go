package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"kilter.dev/kilter/internal/phrase"
	"kilter.dev/kilter/reconcile"
	"kilter.dev/kilter/reconcile/health"
)

// workload is what kilter get daemonsets and statefulsets know of one; its JSON is what docs/rollouts.md describes.
type workload struct {
	Kind         string  `json:"kind"`
	Namespace    string  `json:"namespace"`
	Name         string  `json:"name"`
	Strategy     string  `json:"strategy"` // RollingUpdate or OnDelete
	Desired      int     `json:"desired"`  // pods, as its controller counts them
	Current      int     `json:"current"`
	Updated      int     `json:"updated"`
	Available    int     `json:"available"`
	Outdated     int     `json:"outdated"` // pods of an older template, as Kilter counts them: on nodes that are not ready as well
	State        string  `json:"state"`    // Current, InProgress, Terminating or Unknown
	Reason       string  `json:"reason"`   // a CamelCase word from a closed set
	Message      string  `json:"message"`
	OutdatedPods []place `json:"outdatedPods"`
	WaitsFor     []place `json:"waitsFor"`
	NotWaitedFor []place `json:"notWaitedFor"`
}

// place is a node of a DaemonSet, or a pod of a StatefulSet, that is not as wanted.
type place struct {
	Node  string `json:"node,omitempty"`
	Pod   string `json:"pod,omitempty"`
	State string `json:"state"` // Outdated, Missing, Unavailable or Terminating
	Why   string `json:"why,omitempty"`
}

func getDaemonSets(ctx context.Context, o *getOptions) error {
	return o.getWorkloads(ctx, "daemonsets", o.cluster.DaemonSets)
}

func getStatefulSets(ctx context.Context, o *getOptions) error {
	return o.getWorkloads(ctx, "statefulsets", o.cluster.StatefulSets)
}

func (o *getOptions) getWorkloads(
	ctx context.Context, kind string, read func(context.Context, string, []string, time.Time) (reconcile.Workloads, error),
) error {
	found, err := read(ctx, o.where(), o.names, o.now)
	if err != nil {
		return err
	}
	rows := make([]workload, len(found.Found))
	for i, w := range found.Found {
		rows[i] = newWorkload(w)
	}
	for _, unread := range found.Unread {
		fmt.Fprintln(o.stderr, "kilter: "+phrase.Printable(unread))
	}
	return show(o, listing[workload]{
		kind: kind, rows: rows,
		key:    func(w workload) (namespace, name string) { return w.Namespace, w.Name },
		header: []string{"NAME", "DESIRED", "CURRENT", "UPDATED", "AVAILABLE", "OUTDATED", "STRATEGY", "STATE", "MESSAGE"},
		cells: func(w workload) []string {
			return []string{
				w.Name, strconv.Itoa(w.Desired), strconv.Itoa(w.Current), strconv.Itoa(w.Updated), strconv.Itoa(w.Available),
				strconv.Itoa(w.Outdated), w.Strategy, w.State, w.Message,
			}
		},
	})
}

func newWorkload(w reconcile.Workload) workload {
	return workload{
		Kind: w.ID.Kind, Namespace: w.ID.Namespace, Name: w.ID.Name, Strategy: w.Strategy,
		Desired: w.Desired, Current: w.Current, Updated: w.Updated, Available: w.Available, Outdated: w.Rollout.OutdatedPods,
		State: string(w.Health.Word), Reason: w.Health.Reason, Message: w.Health.Message,
		OutdatedPods: places(w.Rollout.Outdated), WaitsFor: places(w.Waits), NotWaitedFor: places(w.Excused),
	}
}

func places(all []health.Place) []place {
	list := make([]place, len(all))
	for i, p := range all {
		list[i] = place{Node: p.Node, Pod: p.Pod, State: string(p.State), Why: p.Why}
	}
	return list
}
