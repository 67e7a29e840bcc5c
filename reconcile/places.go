package reconcile

import (
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
)

// placesOf returns the places of what is desired and of what is still there of the set: few, however many objects there are.
func placesOf(set *manifests.Set, live map[manifests.ID]diff.Live) map[place]bool {
	places := map[place]bool{}
	var last place
	add := func(id manifests.ID) {
		if at := placeOf(id); at != last { // a set is sorted
			places[at], last = true, at
		}
	}
	for _, object := range set.Objects {
		add(object.ID)
	}
	for id, observed := range live {
		if observed.Member {
			add(id)
		}
	}
	return places
}

// inhabited reports whether anything of the set was seen there.
func (w *placeWatch) inhabited() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, live := range w.live {
		if live.Member {
			return true
		}
	}
	return false
}
