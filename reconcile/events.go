package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	"kilter.dev/kilter/reconcile/diff"
)

// maxEvents is how many objects one pass speaks of in Events; the Event of the Sync sums up the rest.
const maxEvents = 20

// The reasons of Events on objects; an Event on a Sync has the Reason of its Ready condition.
const (
	eventHistoryRewritten = "HistoryRewritten" // on the Sync

	eventAdopted        = "Adopted"
	eventApplyFailed    = "ApplyFailed"
	eventDrift          = "Drift"
	eventDriftCorrected = "DriftCorrected"
	eventPruneFailed    = "PruneFailed"
	eventPruned         = "Pruned"
	eventReplaced       = "Replaced"
	eventSuspended      = "Suspended"
	eventResumed        = "Resumed"
	eventUnhealthy      = "HealthCheckFailed"
)

// events returns the Events that news are worth, at most maxEvents of objects and one of the parent. What was applied because Git says so
// has none of its own: a first apply of a thousand objects would double its writes. Text is bounded and has no value of an object in it.
func events(all []news, parent corev1.ObjectReference) []*corev1.Event {
	var found []*corev1.Event
	for _, n := range all {
		reason, kind := "", corev1.EventTypeWarning
		switch {
		case n.pass != nil:
			continue
		case n.what == "rewritten":
			rewritten := newEvent(parent, kind, eventHistoryRewritten, n.text())
			found = append(found, rewritten)
			continue
		case n.what == "failed" && n.origin.File == "":
			reason = eventPruneFailed // what left Git has no file
		case n.what == "failed":
			reason = eventApplyFailed
		case n.what == "drift":
			reason = eventDrift
		case n.what == "unwell":
			reason = eventUnhealthy
		case n.what == done[diff.Update] && n.drift:
			reason, kind = eventDriftCorrected, corev1.EventTypeNormal
		case n.what == done[diff.Update] && strings.HasPrefix(n.why, endOfSuspension):
			reason, kind = eventResumed, corev1.EventTypeNormal
		case n.what == "suspended":
			reason, kind = eventSuspended, corev1.EventTypeNormal
		case n.what == done[diff.Adopt]:
			reason, kind = eventAdopted, corev1.EventTypeNormal
		case n.what == done[diff.Replace]:
			reason, kind = eventReplaced, corev1.EventTypeNormal
		case n.what == done[diff.Delete]:
			reason, kind = eventPruned, corev1.EventTypeNormal
		default:
			continue
		}
		if len(found) < maxEvents {
			event := newEvent(n.about(), kind, reason, n.text())
			event.Related = &parent // whoever reads Events of one Sync finds those of its objects
			found = append(found, event)
		}
	}
	for _, n := range all {
		if n.pass == nil {
			continue
		}
		kind := corev1.EventTypeNormal
		if n.level >= slog.LevelWarn {
			kind = corev1.EventTypeWarning
		}
		found = append(found, newEvent(parent, kind, string(n.pass.Reason()), n.pass.summary()))
	}
	return found
}

// about is the object that news speak of.
func (n news) about() corev1.ObjectReference {
	about := corev1.ObjectReference{Kind: n.object.Kind, Namespace: n.object.Namespace, Name: n.object.Name}
	if n.object.Group == "" {
		about.APIVersion = "v1"
	} else {
		about.APIVersion = n.object.Group // an Event's reader asks for kind, name and UID; no version is known of what left Git
	}
	if n.live != nil {
		about.UID = n.live.UID
	}
	return about
}

// text is what an Event says of an object: the place to mend first.
func (n news) text() string {
	if n.origin.File == "" {
		return oneLine(n.why)
	}
	return oneLine(n.origin.String() + ": " + n.why)
}

// summary is what the Event of a Sync says of a pass.
func (r *Result) summary() string {
	text := r.Attempted
	for _, op := range []diff.Op{diff.Create, diff.Adopt, diff.Update, diff.Replace, diff.Delete} {
		n := 0
		for _, c := range r.Changes {
			if c.Op == op && c.Failure == nil && !c.Same {
				n++
			}
		}
		if n > 0 {
			text += fmt.Sprintf(", %d %s", n, done[op])
		}
	}
	return oneLine(strings.TrimPrefix(text+": "+r.Message(), ": "))
}

func newEvent(about corev1.ObjectReference, kind, reason, text string) *corev1.Event {
	return &corev1.Event{
		InvolvedObject: about, Type: kind, Reason: reason, Message: text,
		Source: corev1.EventSource{Component: component}, ReportingController: component,
	}
}

// component names Kilter in Events.
const component = "kilter"

// Recorder writes Events. Repetitions are counted on the Event that is there, similar ones put together, and an object that has too many is
// passed over for a while: client-go's correlator decides. Events never hold up a pass: those that find the queue full are dropped.
type Recorder struct {
	client     typedcorev1.EventsGetter
	correlator *record.EventCorrelator
	clock      clock.PassiveClock
	queue      chan *corev1.Event
	log        *slog.Logger
}

// NewRecorder returns a Recorder that writes as Kilter itself. Nothing is written before Run.
func NewRecorder(c *Cluster, log *slog.Logger) *Recorder {
	return &Recorder{
		client: c.kubernetes.CoreV1(), correlator: record.NewEventCorrelator(clock.RealClock{}), clock: clock.RealClock{},
		queue: make(chan *corev1.Event, 1000), log: log,
	}
}

// Record hands Events over to Run.
func (r *Recorder) Record(all []*corev1.Event) {
	for _, event := range all {
		select {
		case r.queue <- event:
		default:
		}
	}
}

// Run writes Events until ctx is done, and then those that are still queued, within the time of one request. One that is on its way when ctx
// ends is not cut off.
func (r *Recorder) Run(ctx context.Context) {
	writing, cancel := outliving(ctx, requestTimeout)
	defer cancel()
	for {
		select {
		case event := <-r.queue:
			r.write(writing, event)
			continue
		case <-ctx.Done():
		}
		break
	}
	for {
		select {
		case event := <-r.queue:
			r.write(writing, event)
		default:
			return
		}
	}
}

// write creates an Event, or counts it on the one that says the same. An Event that cannot be written is lost: the log and the status
// have said the same.
func (r *Recorder) write(ctx context.Context, event *corev1.Event) {
	now := metav1.NewTime(r.clock.Now())
	event.Namespace = cmp.Or(event.InvolvedObject.Namespace, metav1.NamespaceDefault)
	event.Name = fmt.Sprintf("%s.%x", event.InvolvedObject.Name, now.UnixNano())
	event.InvolvedObject.Namespace = event.Namespace
	event.FirstTimestamp, event.LastTimestamp, event.Count = now, now, 1
	seen, err := r.correlator.EventCorrelate(event)
	if err != nil || seen.Skip {
		return
	}
	client := r.client.Events(seen.Event.Namespace)
	var stored *corev1.Event
	if seen.Event.Count > 1 {
		stored, err = client.Patch(ctx, seen.Event.Name, types.StrategicMergePatchType, seen.Patch, metav1.PatchOptions{})
	}
	if seen.Event.Count <= 1 || apierrors.IsNotFound(err) { // a counted one may have expired
		stored, err = client.Create(ctx, seen.Event, metav1.CreateOptions{})
	}
	if err != nil {
		r.log.Debug("event", "why", newFailure(err, "").Text)
		return
	}
	r.correlator.UpdateState(stored)
}
