package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"kilter.dev/kilter/internal/phrase"
	"kilter.dev/kilter/reconcile"
	"kilter.dev/kilter/reconcile/health"
)

// workloadList is what kilter get daemonsets and statefulsets know; as JSON, its fields are those that docs/rollouts.md describes.
type workloadList struct {
	Items  []workload `json:"items"`
	Unread []string   `json:"unread,omitempty"` // what could not be read, and was done without
}

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
	return o.getWorkloads(ctx, "DaemonSet", o.cluster.DaemonSets)
}

func getStatefulSets(ctx context.Context, o *getOptions) error {
	return o.getWorkloads(ctx, "StatefulSet", o.cluster.StatefulSets)
}

func (o *getOptions) getWorkloads(
	ctx context.Context, kind string, read func(context.Context, string, []string, time.Time) (reconcile.Workloads, error),
) error {
	found, err := read(ctx, o.where(), o.names, time.Now())
	if err != nil {
		return err
	}
	list := workloadList{Items: []workload{}, Unread: found.Unread}
	for _, w := range found.Found {
		list.Items = append(list.Items, newWorkload(w))
	}
	if o.output == "json" {
		err = writeJSON(o.stdout, list)
	} else {
		err = o.writeWorkloads(kind, list)
	}
	if err == nil && len(found.Missing) > 0 {
		text := fmt.Sprintf("there is no %s %s", kind, strings.Join(found.Missing, ", "))
		if !o.allNamespaces {
			text += " in namespace " + o.namespace
		}
		return &exitError{code: exitProblems, err: errors.New(text)}
	}
	return err
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

// writeWorkloads writes a table, and what could not be read to stderr.
func (o *getOptions) writeWorkloads(kind string, list workloadList) error {
	for _, unread := range list.Unread {
		fmt.Fprintln(o.stderr, "kilter: "+phrase.Printable(unread))
	}
	if len(list.Items) == 0 && len(o.names) == 0 {
		where := "in any namespace"
		if !o.allNamespaces {
			where = "in namespace " + o.namespace
		}
		fmt.Fprintf(o.stderr, "kilter: no %s %s belongs to a Sync\n", kind, where)
		return nil
	}
	header := []string{"NAME", "DESIRED", "CURRENT", "UPDATED", "AVAILABLE", "OUTDATED", "STRATEGY", "STATE", "MESSAGE"}
	if o.allNamespaces {
		header = append([]string{"NAMESPACE"}, header...)
	}
	var rows [][]string
	for _, w := range list.Items {
		row := []string{w.Name}
		if o.allNamespaces {
			row = []string{w.Namespace, w.Name}
		}
		for _, n := range []int{w.Desired, w.Current, w.Updated, w.Available, w.Outdated} {
			row = append(row, strconv.Itoa(n))
		}
		rows = append(rows, append(row, w.Strategy, w.State, w.Message))
	}
	return writeTable(o.stdout, header, rows)
}
