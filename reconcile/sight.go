package reconcile

import (
	"slices"
	"sync"

	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
)

// sight is what a loop knows of the cluster, as of one moment: the picture that a pass decides by, and later the one that it tells of. refresh
// brings it up to date by what has changed since, so it costs nothing that nothing moved. It belongs to the loop's goroutine, save for what is
// expected.
//
// The objects of the set are in a slice beside the set's own: a pass walks over both, and looks up none of them by name.
type sight struct {
	set     *manifests.Set
	objects []seen
	desired map[place]bool              // the places of the set
	others  map[manifests.ID]*diff.Live // that the set does not have

	own      map[manifests.ID]*diff.Live // records of runs
	foreign  map[manifests.ID]*diff.Live // those of other Syncs in the same namespaces
	recorded map[manifests.ID][]diff.Run // own by Job, the oldest first; see compareRuns
	taken    map[manifests.ID][]diff.Run // foreign by Job
	records  int                         // how often the records have changed

	mu sync.Mutex // of every seen.expected
}

// seen is one object of the set.
type seen struct {
	observed *diff.Live  // as the watches have it; nil when the cluster does not have it
	live     *diff.Live  // the same, or as its pods tell; see rollouts
	expected expectation // the zero value when nothing is known
}

func newSight() *sight {
	return &sight{
		others: map[manifests.ID]*diff.Live{}, own: map[manifests.ID]*diff.Live{}, foreign: map[manifests.ID]*diff.Live{},
		recorded: map[manifests.ID][]diff.Run{}, taken: map[manifests.ID][]diff.Run{},
	}
}

// follow makes another set the one to look at.
func (s *sight) follow(set *manifests.Set) {
	before, old := s.objects, s.set
	s.set, s.objects, s.desired = set, make([]seen, len(set.Objects)), placesOf(set)
	k := 0 // in before
	leave := func() {
		if live := before[k].observed; live != nil {
			s.others[live.ID] = live
		}
		k++
	}
	for i, object := range set.Objects { // both are sorted
		for k < len(before) && old.Objects[k] != object && old.Objects[k].ID.Compare(object.ID) < 0 {
			leave()
		}
		if k < len(before) && (old.Objects[k] == object || old.Objects[k].ID == object.ID) {
			s.objects[i] = before[k]
			k++
		} else if live, exists := s.others[object.ID]; exists {
			s.objects[i] = seen{observed: live, live: live}
			delete(s.others, object.ID)
		}
	}
	for k < len(before) {
		leave()
	}
}

// refresh takes over what the watches have seen since it was called last.
func (s *sight) refresh(o *observer) {
	o.news(func(id manifests.ID, live *diff.Live) {
		if id.GroupKind() == jobRunKind {
			s.putRecord(id, live, o.sync)
		} else {
			s.put(id, live)
		}
	})
}

// put takes over what is observed of an object; nil when it is gone.
func (s *sight) put(id manifests.ID, live *diff.Live) {
	if i, wanted := s.index(id); wanted {
		s.objects[i].observed, s.objects[i].live = live, live
	} else if live != nil {
		s.others[id] = live
	} else {
		delete(s.others, id)
	}
}

// putRecord takes over what is observed of a record; nil when it is gone.
func (s *sight) putRecord(id manifests.ID, live *diff.Live, sync string) {
	s.records++
	forget := func(records map[manifests.ID]*diff.Live, byJob map[manifests.ID][]diff.Run) {
		if known := records[id]; known != nil && known.Run != nil {
			job := jobID(id.Namespace, known.Run.Job)
			byJob[job] = slices.DeleteFunc(byJob[job], func(run diff.Run) bool { return run.Record == id.Name })
			if len(byJob[job]) == 0 {
				delete(byJob, job)
			}
		}
		delete(records, id)
	}
	forget(s.own, s.recorded)
	forget(s.foreign, s.taken)
	if live == nil {
		return
	}
	records, byJob := s.own, s.recorded
	if live.Run == nil || live.Run.Sync != sync {
		records, byJob = s.foreign, s.taken
	}
	records[id] = live
	if live.Run != nil {
		job := jobID(id.Namespace, live.Run.Job)
		byJob[job] = append(byJob[job], *live.Run)
		slices.SortFunc(byJob[job], compareRuns)
	}
}

// index returns the place of an object in the set, if the set has it.
func (s *sight) index(id manifests.ID) (int, bool) {
	if s.set == nil {
		return 0, false
	}
	return slices.BinarySearchFunc(s.set.Objects, id, func(o *manifests.Object, id manifests.ID) int { return o.ID.Compare(id) })
}

// of returns what is known of any object; nil when the cluster does not have it.
func (s *sight) of(id manifests.ID) *diff.Live {
	if i, wanted := s.index(id); wanted {
		return s.objects[i].live
	}
	return s.others[id]
}

// all yields everything that is observed, save records of runs.
func (s *sight) all(yield func(*diff.Live) bool) {
	for i := range s.objects {
		if live := s.objects[i].live; live != nil && !yield(live) {
			return
		}
	}
	for _, live := range s.others {
		if !yield(live) {
			return
		}
	}
}
