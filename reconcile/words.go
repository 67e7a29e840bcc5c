package reconcile

import (
	"sync"
	"time"

	"kilter.dev/kilter/manifests"
)

// wordsGap is how long the new words of a judgement wait for more of their kind before they are worth a pass.
const wordsGap = 2 * time.Second

// words are what decides when the judgement on an object is the same, and only its words are new: "3 of 8 completions", or the message of
// a controller that counts its attempts. Nothing depends on them but text; so they are worth a pass only where the status quotes them, and
// then one for all of them in a while.
type words struct {
	mu     sync.Mutex
	quoted map[manifests.ID]bool
	due    bool // a pass is on its way
}

// quotes notes of which objects a Result repeats the words.
func (w *words) quotes(r *Result) {
	quoted := map[manifests.ID]bool{}
	for _, trouble := range r.Unwell {
		quoted[trouble.Object] = true
	}
	for _, blocked := range r.Blocked {
		quoted[blocked.By] = true
	}
	for _, rollout := range r.Rollouts {
		quoted[rollout.Object] = true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.quoted = quoted
}

// changed is called when only the words on an object are new. It signals worth after wordsGap if somebody reads them.
func (w *words) changed(id manifests.ID, worth chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.quoted[id] || w.due {
		return
	}
	w.due = true
	time.AfterFunc(wordsGap, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.due = false
		signal(worth)
	})
}
