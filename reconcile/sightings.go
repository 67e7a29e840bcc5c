package reconcile

import (
	"slices"
	"time"

	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/source"
)

// Measures are what only metrics tell of a pass: how long things took that go on from pass to pass, and what has ended.
type Measures struct {
	AppliedAfter time.Duration        // from the look that found the commit until all of it was applied; zero unless this pass did the last of it
	DriftFound   []manifests.ID       // objects that somebody else has changed or deleted, found by this pass first
	Drifted      int                  // objects that are so still
	Repairs      []time.Duration      // from the pass that found a drift until the answer to the write that repaired it
	RunsEnded    map[diff.Outcome]int // runs of Jobs whose outcome is on record since the last pass
	LastRuns     []LastRun            // of each Job in Git that ever ran, sorted by ID
	Fights       int                  // objects that are applied again and again, since somebody else insists on them too
}

// LastRun is the newest run of a Job.
type LastRun struct {
	Job     manifests.ID
	Outcome diff.Outcome // empty while it goes on
	Start   time.Time    // zero before it
	End     time.Time    // zero while it goes on, and where nobody saw it
}

// sightings remember since when something has been the case that a pass alone cannot know. They belong to the loop's goroutine, and hold no
// more than a time for each object and each record.
type sightings struct {
	commit  source.Commit
	since   time.Time // when the look began that found commit; zero once it is applied, or when it was before we came
	changed bool      // something was changed since then
	settled bool      // a commit was applied as a whole

	drift    map[manifests.ID]time.Time
	lastRuns []LastRun // never changed, only replaced
	version  int       // of the sight's runs when they were found
}

// see takes note of the commit that a look found.
func (s *sightings) see(found *look, now time.Time) {
	if found.snapshot.Commit != s.commit {
		s.commit, s.since, s.changed = found.snapshot.Commit, now.Add(-found.took), false
	}
}

// measure fills in what the end of a pass tells.
func (s *sightings) measure(r *Result) {
	m := &r.Measures
	s.changed = s.changed || r.Changed()
	if r.Applied != "" && r.Applied == r.Attempted && !s.since.IsZero() {
		// The first commit after a start may have been applied long ago.
		if s.changed || s.settled {
			m.AppliedAfter = r.Finished.Sub(s.since)
		}
		s.since, s.settled = time.Time{}, true
	}
	if r.Plan.Actions != nil { // which may be none
		s.repairs(r)
	}
	m.Drifted = len(s.drift)
}

// repairs compares the drift that was planned for with what became of it.
func (s *sightings) repairs(r *Result) {
	before := s.drift
	s.drift = map[manifests.ID]time.Time{}
	for _, action := range r.Plan.Actions {
		if !action.Strayed() {
			continue
		}
		since, known := before[action.ID]
		if !known {
			since = r.Started
			r.Measures.DriftFound = append(r.Measures.DriftFound, action.ID)
		}
		s.drift[action.ID] = since
	}
	for _, change := range r.Changes {
		if since, drifted := s.drift[change.ID]; drifted && change.Tried && change.Failure == nil {
			r.Measures.Repairs = append(r.Measures.Repairs, change.Done.Sub(since))
			delete(s.drift, change.ID)
		}
	}
}

// runs tells which runs have ended, and what the last run of each Job is.
func (s *sightings) runs(r *Result, seen *sight) {
	if len(seen.ends) > 0 {
		r.Measures.RunsEnded, seen.ends = seen.ends, map[diff.Outcome]int{}
	}
	if s.version != seen.runs {
		s.version, s.lastRuns = seen.runs, nil
		for _, i := range seen.jobs {
			job := seen.set.Objects[i].ID
			for _, run := range slices.Backward(seen.recorded[job]) {
				if !run.Asked {
					s.lastRuns = append(s.lastRuns, LastRun{Job: job, Outcome: run.Outcome, Start: run.Started, End: run.Ended})
					break
				}
			}
		}
	}
	r.Measures.LastRuns = s.lastRuns
}
