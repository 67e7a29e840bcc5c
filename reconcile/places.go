package reconcile

import (
	"maps"

	"kilter.dev/kilter/manifests"
)

// placesOf returns the places of what is desired: few, however many objects there are.
func placesOf(set *manifests.Set) map[place]bool {
	places := map[place]bool{}
	var last place
	for _, object := range set.Objects {
		if at := placeOf(object.ID); at != last { // a set is sorted
			places[at], last = true, at
		}
	}
	return places
}

// covered returns the places of what is desired, of what is still there of the set, and of the Jobs that left Git and have records: these have to
// go as well, when the Job is gone.
func (s *sight) covered() map[place]bool {
	places := maps.Clone(s.desired)
	for id, live := range s.others {
		if live.Member {
			places[placeOf(id)] = true
		}
	}
	for id := range s.strays {
		places[place{jobKind, id.Namespace}] = true
	}
	return places
}
