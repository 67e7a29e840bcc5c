package reconcile

import "kilter.dev/kilter/manifests"

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

// left adds the places of what is still there of the set although nobody desires it.
func (s *sight) left(places map[place]bool) {
	for id, live := range s.others {
		if live.Member {
			places[placeOf(id)] = true
		}
	}
}
