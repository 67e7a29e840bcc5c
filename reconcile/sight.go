package reconcile

import (
	"slices"
	"sync"

	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/reconcile/health"
)

// sight is what a loop knows of the cluster, as of one moment: the picture that a pass decides by, and later the one that it tells of. refresh
// brings it up to date by what has changed since, so it costs nothing that nothing moved. It belongs to the loop's goroutine, save for what is
// expected.
//
// The objects of the set are in a slice beside the set's own. Most of them are at rest: a pass has decided that they are as Git says, and found
// them well and their runs on record. An object at rest stays so until something touches it, and a pass looks at none of them: it walks over
// those astir. The states of an object, and what changes them:
//
//	          touched: another manifest,     taken up     found at rest by
//	          observation or record          by a plan    the pass that decided
//	touched   touched                        decided      touched
//	decided   touched                        decided      resting
//	resting   touched                        –            –
//
// So what decides on an object has to be a part of its manifest, of what is observed of it, or of its records; whoever lets anything else decide
// keeps the object from resting (Loop.rests), or touches it.
type sight struct {
	set     *manifests.Set
	objects []seen
	astir   []int                       // places in objects of all that are not at rest; see stirring
	jobs    []int                       // places of all that have runs
	desired map[place]bool              // the places of the set
	others  map[manifests.ID]*diff.Live // that the set does not have

	own      map[manifests.ID]*diff.Live // records of runs
	foreign  map[manifests.ID]*diff.Live // those of other Syncs in the same namespaces
	recorded map[manifests.ID][]diff.Run // own by Job, the oldest first; see compareRuns
	taken    map[manifests.ID][]diff.Run // foreign by Job
	strays   map[manifests.ID]bool       // Jobs in recorded that the set does not have
	runs     int                         // how often recorded, or jobs, have changed
	ends     map[diff.Outcome]int        // runs whose outcome came on record since somebody took them from here

	mu sync.Mutex // of every seen.expected
}

// seen is one object of the set.
type seen struct {
	observed *diff.Live     // as the watches have it; nil when the cluster does not have it
	live     *diff.Live     // the same, or as its pods tell; see rollouts
	past     *health.Health // of a Job that is gone and at rest, by its record
	expected expectation    // the zero value when nothing is known
	state    state
	job      bool // it has runs
	follows  bool // it is a Job that may run again for what else is in a commit
}

// state is how far a pass is with an object; see sight.
type state uint8

const (
	touched state = iota
	decided
	resting
)

func newSight() *sight {
	return &sight{
		others: map[manifests.ID]*diff.Live{}, own: map[manifests.ID]*diff.Live{}, foreign: map[manifests.ID]*diff.Live{},
		recorded: map[manifests.ID][]diff.Run{}, taken: map[manifests.ID][]diff.Run{}, strays: map[manifests.ID]bool{}, ends: map[diff.Outcome]int{},
	}
}

// follow makes another set the one to look at. Objects that are the same rest on, save Jobs that run again for what else is in a commit.
func (s *sight) follow(set *manifests.Set) {
	before, old := s.objects, s.set
	s.set, s.objects = set, make([]seen, len(set.Objects))
	s.astir, s.jobs = s.astir[:0], s.jobs[:0]
	moved := s.desired == nil
	k := 0 // in before
	leave := func() {
		left := old.Objects[k].ID
		if live := before[k].observed; live != nil {
			s.others[left] = live
		}
		if before[k].job {
			s.runs++
			if len(s.recorded[left]) > 0 {
				s.strays[left] = true
			}
		}
		k++
		moved = true
	}
	for i, object := range set.Objects { // both are sorted
		for k < len(before) && old.Objects[k] != object && old.Objects[k].ID.Compare(object.ID) < 0 {
			leave()
		}
		at := &s.objects[i]
		switch {
		case k < len(before) && old.Objects[k] == object: // most are: they are not even looked into
			*at = before[k]
			k++
		case k < len(before) && old.Objects[k].ID == object.ID:
			*at = before[k]
			at.state, at.job, at.follows = touched, object.Run != nil, object.Run.Follows()
			k++
		default:
			*at = seen{observed: s.others[object.ID], live: s.others[object.ID], job: object.Run != nil, follows: object.Run.Follows()}
			delete(s.others, object.ID)
			if at.job {
				s.runs++
				delete(s.strays, object.ID)
			}
			moved = true
		}
		if at.job {
			s.jobs = append(s.jobs, i)
		}
		if at.follows {
			at.state = touched
		}
		if at.state != resting {
			s.astir = append(s.astir, i)
		}
	}
	for k < len(before) {
		leave()
	}
	if moved {
		s.desired = placesOf(set)
	}
}

// touch says that something which decides on the i-th object of the set has changed.
func (s *sight) touch(i int) {
	if s.objects[i].state == resting {
		s.astir = append(s.astir, i)
	}
	s.objects[i].state = touched
}

// touchAll says that something which decides on everything has changed.
func (s *sight) touchAll() {
	for i := range s.objects {
		s.touch(i)
	}
}

// stirring returns the places of all objects that are not at rest, in their order.
func (s *sight) stirring() []int {
	slices.Sort(s.astir) // it mostly is
	return s.astir
}

// rest lets those of the decided objects rest of which rests says so.
func (s *sight) rest(rests func(i int) bool) {
	s.astir = slices.DeleteFunc(s.astir, func(i int) bool {
		at := &s.objects[i]
		if at.state != decided || !rests(i) {
			return false
		}
		at.state = resting
		return true
	})
}

// restful returns the decision on an object at rest: that there is nothing to do. It is the zero Action for any other.
func (s *sight) restful(id manifests.ID) diff.Action {
	i, wanted := s.index(id)
	if !wanted || s.objects[i].state != resting {
		return diff.Action{}
	}
	return diff.Action{Op: diff.None, ID: id, Object: s.set.Objects[i], Live: s.objects[i].live, Past: s.objects[i].past}
}

// refresh takes over what the watches have seen since it was called last.
func (s *sight) refresh(o *observer) {
	o.news(func(id manifests.ID, live *diff.Live) { s.show(id, live, o.sync) })
}

// show takes over what is observed under one ID; nil when it is gone. The sync is the set's own name in records.
func (s *sight) show(id manifests.ID, live *diff.Live, sync string) {
	if id.GroupKind() == jobRunKind {
		s.putRecord(id, live, sync)
	} else {
		s.put(id, live)
	}
}

// put takes over what is observed of an object; nil when it is gone.
func (s *sight) put(id manifests.ID, live *diff.Live) {
	if i, wanted := s.index(id); wanted {
		s.touch(i)
		s.objects[i].observed, s.objects[i].live = live, live
	} else if live != nil {
		s.others[id] = live
	} else {
		delete(s.others, id)
	}
}

// putRecord takes over what is observed of a record; nil when it is gone.
func (s *sight) putRecord(id manifests.ID, live *diff.Live, sync string) {
	s.runs++
	if before, after := s.own[id], live; before != nil && after != nil && after.Run != nil && before.Run.Outcome == "" && after.Run.Outcome != "" {
		s.ends[after.Run.Outcome]++
	}
	s.forgetRecord(id, s.own, s.recorded)
	s.forgetRecord(id, s.foreign, s.taken)
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
		s.touchJob(job)
	}
}

func (s *sight) forgetRecord(id manifests.ID, records map[manifests.ID]*diff.Live, byJob map[manifests.ID][]diff.Run) {
	if known := records[id]; known != nil && known.Run != nil {
		job := jobID(id.Namespace, known.Run.Job)
		byJob[job] = slices.DeleteFunc(byJob[job], func(run diff.Run) bool { return run.Record == id.Name })
		if len(byJob[job]) == 0 {
			delete(byJob, job)
		}
		s.touchJob(job)
	}
	delete(records, id)
}

// touchJob says that the records of a Job's runs have changed.
func (s *sight) touchJob(job manifests.ID) {
	switch i, wanted := s.index(job); {
	case wanted:
		s.touch(i)
	case len(s.recorded[job]) > 0:
		s.strays[job] = true
	default:
		delete(s.strays, job)
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

// unsettled yields the Jobs whose records may want something: those of the set that are not at rest, and those that left Git.
func (s *sight) unsettled(yield func(manifests.ID) bool) {
	for _, i := range s.stirring() {
		if object := s.set.Objects[i]; object.Run != nil && !yield(object.ID) {
			return
		}
	}
	for id := range s.strays {
		if !yield(id) {
			return
		}
	}
}

// moving yields what is observed of the objects that are not at rest, and of all that the set does not have; no records of runs.
func (s *sight) moving(yield func(*diff.Live) bool) {
	for _, i := range s.stirring() {
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
