package reconcile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/reconcile/inventory"
)

// A field that Git names may be somebody else's to decide for a time. The object is then applied as its manifest without that field would be,
// and every other field still follows Git.
//
//	field          is decided by       from                             until
//	spec.replicas  an autoscaler       its first scaling (scaled)       there is no autoscaler any more
//	spec.suspend   an exception        somebody applies it (Exception)  its time is over, or somebody ends it
//	spec.suspend   a queue of Jobs     it sets it (SuspendTaken)        the Job leaves the queue

// wanted returns what Git wants, may be looked at and is not at rest, each object as it is to be applied, with all that is known of it.
func (l *Loop) wanted(ctx context.Context) ([]diff.Wanted, error) {
	scaled, err := l.scaled(ctx)
	if err != nil {
		return nil, err
	}
	compiled, setID := sync.OnceValue(newFieldSets), l.parent.ID()
	ended := l.observer.ended()
	now := l.clock()
	if len(l.blind) > 0 || l.unrecordable {
		l.sight.touchAll() // what is not looked at does not rest
	}
	stirring := l.sight.stirring()
	all := make([]diff.Wanted, 0, len(stirring))
	for _, i := range stirring {
		object := l.set.Objects[i]
		if l.invisible(object) {
			continue
		}
		l.sight.objects[i].state = decided
		wanted := diff.Wanted{Object: object, Live: l.sight.objects[i].live}
		if wanted.Live != nil {
			applied, ceded := cede(object, wanted.Live, scaled[object.ID], now)
			if wanted.Object = applied; ceded != (diff.Ceded{}) {
				wanted.Ceded = &ceded
			}
		}
		wanted.Expected = l.sight.expectedOf(i, wanted.Object, setID, compiled)
		wanted.Refused = l.attempts.conflict(wanted.Object, now)
		if object.Run != nil {
			wanted.Runs = l.runs(wanted.Object, ended)
		}
		all = append(all, wanted)
	}
	return all, nil
}

// adoptable returns an object as it is to be applied to one that exists and was not observed before.
func (l *Loop) adoptable(ctx context.Context, object *manifests.Object, live *diff.Live) (*manifests.Object, error) {
	scaled, err := l.scaledAnyway(ctx, object, live)
	if err != nil {
		return object, err
	}
	wanted, _ := cede(object, live, scaled, l.clock())
	return wanted, nil
}

// cede returns an object as it is to be applied, and why it is not, or not any more, as it was applied before.
func cede(object *manifests.Object, live *diff.Live, scaled bool, now time.Time) (*manifests.Object, diff.Ceded) {
	if scaled {
		return without(object, inventory.Replicas), diff.Ceded{Before: object.Hash, Reason: "an autoscaler has taken over its replicas"}
	}
	e := live.Exception
	switch {
	case e == nil && live.SuspendTaken && !object.CreateOnly && names(object, inventory.Suspend):
		return without(object, inventory.Suspend), diff.Ceded{Before: object.Hash, Reason: "a queue has taken over spec.suspend"}
	case e == nil && live.Applied == object.Hash:
		return object, diff.Ceded{}
	case e == nil:
		for _, field := range []fieldpath.Path{inventory.Replicas, inventory.Suspend} {
			if names(object, field) {
				return object, diff.Ceded{Before: without(object, field).Hash, Reason: field.String()[1:] + " is Git's again"}
			}
		}
		return object, diff.Ceded{}
	case !e.Until.After(now):
		return object, diff.Ceded{Before: without(object, inventory.Suspend).Hash, Reason: ended(e), Over: true}
	case names(object, inventory.Suspend) && !suspends(object):
		return without(object, inventory.Suspend), diff.Ceded{Before: object.Hash, Reason: "spec.suspend is left to an exception"}
	}
	return object, diff.Ceded{} // Git says the same, or leaves it open
}

// suspendedBy words an exception in force.
func suspendedBy(e *diff.Exception) string {
	text := "suspended"
	if e.By != "" {
		text += " by " + oneLine(e.By)
	}
	text += " until " + e.Until.UTC().Format(time.RFC3339)
	if e.Reason != "" {
		text += ": " + oneLine(e.Reason)
	}
	return text
}

// endOfSuspension begins the reason of an update that ends an exception.
const endOfSuspension = "its suspension"

func ended(e *diff.Exception) string {
	text := endOfSuspension
	if e.By != "" {
		text += " by " + oneLine(e.By)
	}
	if e.Until.IsZero() {
		return text + " was taken back"
	}
	return fmt.Sprintf("%s until %s is over", text, e.Until.UTC().Format(time.RFC3339))
}

// value returns what a manifest says of a field, and whether it says anything.
func value(object *manifests.Object, field fieldpath.Path) (any, bool) {
	var content map[string]any
	if err := json.Unmarshal(object.JSON, &content); err != nil {
		return nil, false
	}
	found, ok, err := unstructured.NestedFieldNoCopy(content, keys(field)...)
	return found, ok && err == nil && found != nil
}

// names reports whether a manifest says anything of a field.
func names(object *manifests.Object, field fieldpath.Path) bool {
	_, ok := value(object, field)
	return ok
}

// suspends reports whether Git itself suspends an object.
func suspends(object *manifests.Object) bool {
	said, _ := value(object, inventory.Suspend)
	return said == true
}

// without returns the object as it would be read from a manifest that does not name a field.
func without(object *manifests.Object, field fieldpath.Path) *manifests.Object {
	var content map[string]any
	if err := json.Unmarshal(object.JSON, &content); err != nil {
		return object
	}
	unstructured.RemoveNestedField(content, keys(field)...)
	left, err := json.Marshal(content)
	if err != nil {
		return object
	}
	changed := *object
	changed.JSON = left
	sum := sha256.Sum256(left)
	changed.Hash = hex.EncodeToString(sum[:])
	return &changed
}

func keys(field fieldpath.Path) []string {
	var all []string
	for _, element := range field {
		all = append(all, *element.FieldName)
	}
	return all
}
