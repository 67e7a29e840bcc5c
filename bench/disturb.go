package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// drift measures from a disturbance until a watcher has seen everything as it was. No object is disturbed twice: whoever is, is slowed down.
func (t *kilterTurn) drift(ctx context.Context) error {
	all := ofKind(t.work, "ConfigMap")
	next := func(n int) []object {
		taken := all[:n]
		all = all[n:]
		return taken
	}
	// 30 of 100 objects are ConfigMaps: enough for ten edits, ten deletions and three times one percent.
	for _, disturbance := range []struct {
		kind         string
		count, times int
		disturb      func(context.Context, *place, object) error
	}{
		{"edit", 1, t.samples, edit},
		{"delete", 1, t.samples, remove},
		{"many", t.n / 100, min(3, t.samples), edit},
	} {
		for range disturbance.times {
			some := next(disturbance.count)
			t.limits.repairer.arm(some)
			least, err := disturbed(ctx, t.limits.place, some, disturbance.disturb)
			if err != nil {
				return err
			}
			took, err := disturbed(ctx, t.place, some, disturbance.disturb)
			if err != nil {
				return fmt.Errorf("%w; kilter printed:\n%s", err, t.kilter.Output())
			}
			t.add("repair-"+disturbance.kind, subjectRaw, "", milliseconds(least))
			t.add("drift-"+disturbance.kind, subjectKilter, "", milliseconds(took))
		}
	}
	return nil
}

// disturbed disturbs some objects at once, and returns how long it took until they were as before.
func disturbed(ctx context.Context, p *place, some []object, disturb func(context.Context, *place, object) error) (time.Duration, error) {
	repaired := p.expectRepaired(some, firstValue)
	start := time.Now()
	group, sending := errgroup.WithContext(ctx)
	group.SetLimit(16)
	for _, o := range some {
		group.Go(func() error { return disturb(sending, p, o) })
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	end, err := repaired.wait(ctx)
	return end.Sub(start), err
}

// edit changes what Git says, as somebody with kubectl would.
func edit(ctx context.Context, p *place, o object) error {
	_, err := p.cluster.kubernetes.CoreV1().ConfigMaps(p.namespace).Patch(ctx, o.name, types.MergePatchType,
		[]byte(`{"data":{"value":"edited"}}`), metav1.PatchOptions{FieldManager: "somebody"})
	return err
}

// remove deletes it.
func remove(ctx context.Context, p *place, o object) error {
	return p.cluster.kubernetes.CoreV1().ConfigMaps(p.namespace).Delete(ctx, o.name, metav1.DeleteOptions{})
}

// updateStatuses writes 50 statuses a second, as controllers do: of CronJobs that have run, and of Deployments.
func (t *kilterTurn) updateStatuses(ctx context.Context) error {
	cronJobs, deployments := ofKind(t.work, "CronJob"), ofKind(t.work, "Deployment")
	ticker := time.NewTicker(time.Second / 50)
	defer ticker.Stop()
	end := time.Now().Add(t.window)
	for i := 0; time.Now().Before(end); i++ {
		now := metav1.NewTime(time.Now().Add(time.Duration(i-100_000) * time.Second))
		o, status := cronJobs[i/2%len(cronJobs)], any(map[string]any{"lastScheduleTime": now, "lastSuccessfulTime": now})
		if i%2 == 1 {
			o = deployments[i/2%len(deployments)]
			status = map[string]any{"conditions": []any{map[string]any{
				"type": "Benched", "status": "True", "reason": "Benched", "lastUpdateTime": now, "lastTransitionTime": now,
			}}}
		}
		body, err := json.Marshal(map[string]any{"status": status})
		if err != nil {
			return err
		}
		options := metav1.PatchOptions{FieldManager: "controller"}
		_, err = t.cluster.dynamic.Resource(o.resource).Namespace(t.namespace).Patch(ctx, o.name, types.StrategicMergePatchType, body, options, "status")
		if err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
