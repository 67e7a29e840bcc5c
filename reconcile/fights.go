package reconcile

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"kilter.dev/kilter/manifests"
)

// A fight is over after calm without an apply. Until then freeApplies of the same manifest go through at once, and later ones come ever
// more slowly, though never so slowly that the fight would seem over.
const (
	calm        = time.Minute
	slowest     = calm / 2
	freeApplies = 10
)

// fights remembers how often the same manifest was applied to the same object. Two that both insist on an object, be it two Syncs or a
// Sync and a controller, would otherwise answer each other as fast as the server allows, for ever.
type fights struct {
	mu sync.Mutex
	by map[manifests.ID]fight
}

type fight struct {
	hash    string
	applies int // in a row, less than calm apart
	last    time.Time
	others  string // who had changed what the last apply put right, as far as the server told
}

// applied notes an apply that succeeded, and who had made it necessary, in words.
func (f *fights) applied(object *manifests.Object, others []string, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	known := f.by[object.ID]
	if known.hash != object.Hash || now.Sub(known.last) >= calm {
		known = fight{hash: object.Hash}
	}
	if len(others) > 0 {
		known.others = strings.Join(others, "; ")
	}
	known.applies, known.last = known.applies+1, now
	f.by[object.ID] = known
}

// slowed returns a Failure while an object has to wait before the same manifest is applied to it once more.
func (f *fights) slowed(object *manifests.Object, now time.Time) *Failure {
	f.mu.Lock()
	defer f.mu.Unlock()
	known := f.by[object.ID]
	if known.hash != object.Hash || known.applies < freeApplies {
		return nil
	}
	if !now.Before(known.last.Add(backoff(time.Second, slowest, known.applies-freeApplies+1))) {
		return nil
	}
	last := "see who writes to it in its metadata.managedFields"
	if known.others != "" {
		last = "last seen: " + known.others
	}
	return &Failure{Class: Conflict, Reason: string(OwnershipConflict), Text: fmt.Sprintf(
		"somebody keeps changing it: it was applied %d times in a row, and is applied more slowly now; %s", known.applies, last)}
}

// ongoing counts the objects that have been applied again and again, the last time not long ago. It forgets those that have come to rest.
func (f *fights) ongoing(now time.Time) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.DeleteFunc(f.by, func(_ manifests.ID, known fight) bool { return now.Sub(known.last) >= calm })
	n := 0
	for _, known := range f.by {
		if known.applies >= freeApplies {
			n++
		}
	}
	return n
}

// keep forgets objects that are not in set.
func (f *fights) keep(set *manifests.Set) {
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.DeleteFunc(f.by, func(id manifests.ID, _ fight) bool {
		_, wanted := set.Find(id)
		return !wanted
	})
}
