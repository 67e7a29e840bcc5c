package reconcile

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/reconcile/health"
)

// Rollout is a DaemonSet or StatefulSet that is not simply up to date, judged by its pods and nodes.
type Rollout struct {
	Origin manifests.Origin
	Object manifests.ID
	health.Rollout
}

// The times between two looks at the pods of the same rollout. Its status changes with nearly everything that matters, and then it is looked
// at again at once; but not for more than a twentieth of the time, however many nodes there are.
const (
	firstLook   = 10 * time.Second // after which a rollout is looked at again although its status is the same: a node may have been cordoned
	longestLook = 5 * time.Minute  // until which that time doubles
	lookGap     = time.Second      // between two looks at least
	lookShare   = 20
	askAgain    = 10 * time.Minute // after which what may not be read is asked for again
)

// rollouts is what the loop knows of DaemonSets and StatefulSets beyond their status. Nothing is read of those that are simply up to date.
type rollouts struct {
	by      map[manifests.ID]rolloutSeen
	refused map[string]time.Time // what may not be read, and when it is asked for again
}

// rolloutSeen is what the last look at one rollout found.
type rolloutSeen struct {
	uid    types.UID
	status health.Health // by the status alone, which the look explains
	found  health.Rollout
	same   int           // how many looks there were while the status stayed the same
	at     time.Time     // when the look began
	took   time.Duration // how long it took
	next   time.Time     // when to look again although the status stays the same; zero: never
}

// holds reports whether what was seen still explains what is observed.
func (s rolloutSeen) holds(live *diff.Live) bool { return s.uid == live.UID && s.status == live.Health }

// byPods looks at the pods and nodes of every rollout that its status does not explain, unless that was done before. Whatever cannot be
// read leaves the judgement by status in force.
func (l *Loop) byPods(ctx context.Context, r *Result) {
	now := l.clock()
	reader := rolloutReader{cluster: l.cluster, now: now, refused: map[string]*Failure{}}
	for resource, until := range l.rollouts.refused {
		if now.Before(until) {
			reader.refused[resource] = nil
		}
	}
	kept := map[manifests.ID]rolloutSeen{}
	for _, i := range l.sight.stirring() {
		observed := l.sight.objects[i].observed
		if observed == nil || !unexplained(observed) {
			continue
		}
		seen, known := l.rollouts.by[observed.ID]
		same := known && seen.holds(observed)
		soonest := seen.at.Add(max(lookGap, lookShare*seen.took))
		switch {
		case same && (seen.next.IsZero() || now.Before(seen.next)), ctx.Err() != nil:
		case reader.failed: // one request that hangs is enough for a pass; the look that failed comes again, and these with it
		case known && !same && now.Before(soonest):
			seen.next = soonest
		default:
			start := l.clock()
			seen = seen.look(ctx, &reader, observed, same)
			seen.took = l.clock().Sub(start)
		}
		kept[observed.ID] = seen
	}
	l.rollouts.by = kept
	l.rollouts.note(reader.refused, now, l.log)
	l.rollouts.overlay(l.sight, r)
}

// unexplained reports whether there is more to say of an object than its status does.
func unexplained(live *diff.Live) bool {
	return judgedByPods(live.ID) && slices.Contains([]string{
		health.ReasonUpdating, health.ReasonPodsUnavailable, health.ReasonOutdatedPods, health.ReasonMisscheduled,
	}, live.Health.Reason)
}

func judgedByPods(id manifests.ID) bool {
	return id.GroupKind() == daemonSetKind || id.GroupKind() == statefulSetKind
}

// look returns what a look now finds. same says that the last one was at the same status.
func (s rolloutSeen) look(ctx context.Context, reader *rolloutReader, live *diff.Live, same bool) rolloutSeen {
	next := rolloutSeen{uid: live.UID, status: live.Health, at: reader.now, same: 1}
	if same {
		next.same = s.same + 1
	}
	found, err := reader.read(ctx, live.ID)
	if err != nil {
		found.Health, reader.failed = live.Health, true
	}
	next.found = found
	if err != nil || found.Health.Word == health.InProgress || len(found.Excused) > 0 {
		next.next = reader.now.Add(backoff(firstLook, longestLook, next.same))
	}
	if until := found.Until; !until.IsZero() && until.Before(next.next) {
		next.next = until
	}
	return next
}

// note keeps what may not be read, and says so when it is new.
func (k *rollouts) note(refused map[string]*Failure, now time.Time, log *slog.Logger) {
	for _, resource := range slices.Sorted(maps.Keys(refused)) {
		if failure := refused[resource]; failure != nil {
			if _, told := k.refused[resource]; !told {
				log.LogAttrs(context.Background(), slog.LevelWarn, "unread",
					slog.String("why", "rollouts are judged without "+resource+": "+failure.Text))
			}
			k.refused[resource] = now.Add(askAgain)
		}
	}
}

// overlay puts the judgement by pods in the place of that by status, and hands both on in r.
func (k *rollouts) overlay(s *sight, r *Result) {
	r.Rollouts = nil
	for _, i := range s.stirring() { // what is unexplained never rests
		at := &s.objects[i]
		at.live = at.observed
		if len(k.by) == 0 || at.observed == nil {
			continue
		}
		if seen, known := k.by[at.observed.ID]; known && seen.holds(at.observed) {
			at.live = with(at.observed, func(live *diff.Live) { live.Health = seen.found.Health })
			r.Rollouts = append(r.Rollouts, Rollout{Origin: s.set.Objects[i].Origin, Object: at.observed.ID, Rollout: seen.found})
		}
	}
}

// next returns when the first look after a time is due although nothing happens; zero when none is.
func (k *rollouts) next(after time.Time) time.Time {
	var first time.Time
	for _, seen := range k.by {
		if seen.next.After(after) && (first.IsZero() || seen.next.Before(first)) {
			first = seen.next
		}
	}
	return first
}
