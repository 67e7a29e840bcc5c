package reconcile

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/reconcile/health"
	"kilter.dev/kilter/reconcile/inventory"
)

// Workload is a DaemonSet or a StatefulSet as its controller counts its pods, with the judgement of Kilter on them.
type Workload struct {
	ID       manifests.ID
	Strategy string // RollingUpdate or OnDelete
	// Counts of pods, from its status.
	Desired, Current, Updated, Available int
	health.Rollout
}

// Workloads are those found, by namespace and name.
type Workloads struct {
	Found []Workload
	// Unread says what could not be read, and was done without.
	Unread []string
}

// DaemonSets judges the DaemonSets of a namespace, or of all where it is empty: those named or, without names, those that belong to a Sync.
func (c *Cluster) DaemonSets(ctx context.Context, namespace string, names []string, now time.Time) (Workloads, error) {
	list, err := c.kubernetes.AppsV1().DaemonSets(namespace).List(ctx, ofASync(names))
	if err != nil {
		return Workloads{}, fmt.Errorf("cannot list DaemonSets: %w", newFailure(err, c.host))
	}
	return judgeAll(ctx, c, names, now, list.Items, func(d *appsv1.DaemonSet) Workload {
		s := d.Status
		return Workload{
			ID:       manifests.ID{Group: daemonSetKind.Group, Kind: daemonSetKind.Kind, Namespace: d.Namespace, Name: d.Name},
			Strategy: string(d.Spec.UpdateStrategy.Type),
			Desired:  int(s.DesiredNumberScheduled), Current: int(s.CurrentNumberScheduled),
			Updated: int(s.UpdatedNumberScheduled), Available: int(s.NumberAvailable),
			Rollout: health.DaemonSetByStatus(d),
		}
	}, (*rolloutReader).daemonSet)
}

// StatefulSets judges StatefulSets, as DaemonSets does DaemonSets.
func (c *Cluster) StatefulSets(ctx context.Context, namespace string, names []string, now time.Time) (Workloads, error) {
	list, err := c.kubernetes.AppsV1().StatefulSets(namespace).List(ctx, ofASync(names))
	if err != nil {
		return Workloads{}, fmt.Errorf("cannot list StatefulSets: %w", newFailure(err, c.host))
	}
	return judgeAll(ctx, c, names, now, list.Items, func(s *appsv1.StatefulSet) Workload {
		rollout := health.StatefulSetByStatus(s)
		return Workload{
			ID:       manifests.ID{Group: statefulSetKind.Group, Kind: statefulSetKind.Kind, Namespace: s.Namespace, Name: s.Name},
			Strategy: string(s.Spec.UpdateStrategy.Type),
			Desired:  rollout.Pods, Current: int(s.Status.Replicas), Updated: int(s.Status.UpdatedReplicas), Available: int(s.Status.AvailableReplicas),
			Rollout: rollout,
		}
	}, (*rolloutReader).statefulSet)
}

// ofASync selects what belongs to any Sync, or everything when names will choose.
func ofASync(names []string) metav1.ListOptions {
	if len(names) > 0 {
		return metav1.ListOptions{}
	}
	return metav1.ListOptions{LabelSelector: inventory.PartOfLabel}
}

// judgeAll judges each item: by its status, and by its pods where that does not explain it.
func judgeAll[T any](
	ctx context.Context, c *Cluster, names []string, now time.Time, items []T,
	count func(*T) Workload, judge func(*rolloutReader, context.Context, *T) (health.Rollout, error),
) (Workloads, error) {
	var all Workloads
	reader := rolloutReader{cluster: c, now: now, refused: map[string]*Failure{}}
	for i := range items {
		w := count(&items[i])
		if len(names) > 0 && !slices.Contains(names, w.ID.Name) {
			continue
		}
		if unexplained(&diff.Live{ID: w.ID, Health: w.Health}) || w.Health.Reason == health.ReasonPartitioned {
			var err error
			if w.Rollout, err = judge(&reader, ctx, &items[i]); err != nil {
				return Workloads{}, fmt.Errorf("cannot judge %s: %w", w.ID, err)
			}
		}
		all.Found = append(all.Found, w)
	}
	slices.SortFunc(all.Found, func(a, b Workload) int {
		if c := strings.Compare(a.ID.Namespace, b.ID.Namespace); c != 0 {
			return c
		}
		return strings.Compare(a.ID.Name, b.ID.Name)
	})
	for _, resource := range slices.Sorted(maps.Keys(reader.refused)) {
		all.Unread = append(all.Unread, "judged without "+resource+": "+reader.refused[resource].Text)
	}
	return all, nil
}
