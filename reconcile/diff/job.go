package diff

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/health"
)

// Identity tells one run of a Job from another, by the beginnings of three hashes. Its String is what Kilter keeps of it on the Job and in the
// run's record.
type Identity struct {
	Spec     string // hash of the spec after defaulting: manifests.Run.Identity
	Manifest string // hash of the manifest: the same text is the same run, even when another Kubernetes fills in other defaults
	Trigger  string // hash of what else makes it run again, such as the commit; empty when nothing does
	Indexes  int32  // how many an Indexed Job has, as it was applied last; 0 of any other, and where nobody noted it
}

// digits is how much of each hash an Identity keeps.
const digits = 16

// NewIdentity returns the Identity of whole hashes.
func NewIdentity(spec, manifest, trigger string) Identity {
	short := func(hash string) string { return hash[:min(len(hash), digits)] }
	return Identity{Spec: short(spec), Manifest: short(manifest), Trigger: short(trigger)}
}

// String returns the parts with dots between them; the fourth only of an Indexed Job.
func (i Identity) String() string {
	text := i.Spec + "." + i.Manifest + "." + i.Trigger
	if i.Indexes > 0 {
		text += "." + strconv.Itoa(int(i.Indexes))
	}
	return text
}

// ParseIdentity reads what String wrote; anything else is an Identity that no run has.
func ParseIdentity(text string) Identity {
	parts := strings.Split(text, ".")
	if len(parts) == 3 {
		parts = append(parts, "0")
	}
	if len(parts) != 4 {
		return Identity{}
	}
	indexes, err := strconv.ParseInt(parts[3], 10, 32)
	if err != nil {
		return Identity{}
	}
	return Identity{Spec: parts[0], Manifest: parts[1], Trigger: parts[2], Indexes: int32(indexes)}
}

// sameWork reports whether both run the same, for whatever reason and for however many indexes.
func (i Identity) sameWork(other Identity) bool {
	return i.Spec != "" && i.Spec == other.Spec || i.Manifest != "" && i.Manifest == other.Manifest
}

// Outcome is how a run ended, in the words of its record; empty while it goes on.
type Outcome string

// The outcomes; v1alpha1.JobRunOutcome says what each means.
const (
	Complete Outcome = "Complete"
	Failed   Outcome = "Failed"
	Replaced Outcome = "Replaced"
	Deleted  Outcome = "Deleted"
	Unknown  Outcome = "Unknown"
)

// JobState is what a live Job tells of its run.
type JobState struct {
	Record    string   // the name of its record; empty when the Job was not started by Kilter
	Identity  Identity // as Kilter marked it
	Indexes   int32    // how many an Indexed Job has now; 0 of any other
	Suspended bool     // and none of its pods is left

	Started, Finished               time.Time // zero before that
	Succeeded, Failed               int32     // pods
	CompletedIndexes, FailedIndexes string    // of an Indexed Job, such as "0-4,7"
	Outcome                         Outcome   // Complete, Failed or empty; final
	Reason, Message                 string    // of a failure, from the Job's condition; fit to be shown
}

// Runs is what is known of the runs of one Job that Git wants.
type Runs struct {
	Identity  Identity // of the run that Git asks for
	Asked     string   // the record that asks for one more run; empty when none does
	Last      *Run     // the newest on record that was begun; nil when there is none
	Completed bool     // a run on record has completed
}

// Run is one run on record: what a JobRun says, reduced to what decides.
type Run struct {
	Record   string // the JobRun's name
	Sync     string // "namespace/name" of the Sync that it is a run of
	Job      string // in the JobRun's namespace
	Number   int    // it is the Job's n-th run; 0 when the name does not tell
	Identity Identity
	Asked    bool // somebody asks for it, and it has not begun
	Outcome  Outcome
	Reason   string    // of a failure; fit to be shown
	Message  string    // how it ended, for people
	JobUID   types.UID // of the Job, as soon as it is known

	Created time.Time
	Started time.Time // as its Job has it; zero until that is on record
	Ended   time.Time // as its Job has it; zero until that is on record, and for a run whose end nobody saw
	Told    bool      // how its last container ended is on record
}

// job decides on a Job that Git wants. A Job is a run: one that has ended is not applied again, one that goes on is not torn down, and a change
// that the server does not make in place is a new run. Everything else about it is as for any object, as action has it already.
func (in Input) job(action *Action, runs *Runs) {
	run, live := action.Object.Run, action.Live
	switch {
	case action.Op == Conflict, live != nil && action.Object.CreateOnly:
	case live == nil:
		action.past(run, *runs, in.ReportDrift)
	case live.Health.Word == health.Terminating:
		action.leaving(run, *runs, *live)
	case live.Job != nil && live.Job.Record != "":
		action.again(run, *runs, *live)
	}
	// What is left was not started by Kilter. An apply tells whether it is what Git wants; see reconcile/rerun.go.
}

// leaving decides on a Job that is on its way out: as if it were gone, save that a successor has to wait for that. One that goes although its
// run has not ended is created again, as any object.
func (a *Action) leaving(run *manifests.Run, runs Runs, live Live) {
	if runs.Last == nil || live.Job == nil {
		return
	}
	last := *runs.Last
	if last.Outcome == "" && last.Record == live.Job.Record {
		last.Outcome, last.Reason, last.Message = live.Job.Outcome, live.Job.Reason, live.Job.Message
	}
	if last.Outcome == "" {
		return
	}
	runs.Last, runs.Completed = &last, runs.Completed || last.Outcome == Complete
	if a.past(run, runs, false); a.Op == Create {
		a.Op, a.Reason = Wait, "is being deleted; "+a.Reason
	}
}

// again decides whether a Job that exists has to make way for another run.
func (a *Action) again(run *manifests.Run, runs Runs, live Live) {
	job := live.Job
	due := runs.due(run, job.Identity)
	if due == "" && live.Applied != a.Object.Hash { // else what differs is somebody's edit, and no other run
		due = resized(run, job.Indexes)
	}
	switch {
	case runs.Asked != "":
		due = "asked for by JobRun " + runs.Asked
	case due == "":
		return // what differs is changed in place
	case run.Policy == manifests.RunOnce && (runs.Completed || job.Outcome == Complete):
		a.Op, a.Reason = Skip, due+", and it has completed: kilter.dev/run: once"
		return
	case run.Policy == manifests.RunManual:
		a.Op, a.Reason = Skip, due+"; it runs when somebody asks: kilter rerun job/"+live.ID.Name
		return
	case run.Replace == manifests.ReplaceNever:
		a.Op, a.Reason = Skip, due+", and stays as it is: kilter.dev/replace: never"
		return
	}
	a.Asked = runs.Asked
	switch {
	case job.Outcome != "" || job.Suspended, run.Replace == manifests.ReplaceImmediately:
		a.Op, a.Reason = Replace, due+", it will run again"
	default:
		a.Op, a.Reason = Wait, due+", it will run again when the run that goes on has finished"
	}
}

// past decides on a Job that the cluster does not have, by what is on record.
func (a *Action) past(run *manifests.Run, runs Runs, reportDrift bool) {
	last := runs.Last
	switch {
	case runs.Asked != "":
		a.Op, a.Reason, a.Asked = Create, "asked for by JobRun "+runs.Asked, runs.Asked
		return
	case last == nil && run.Policy == manifests.RunManual:
		a.Op, a.Reason, a.Past = None, "", &health.Health{
			Word: health.Current, Reason: health.ReasonNotRun, Message: "runs when somebody asks: kilter rerun job/" + a.ID.Name,
		}
		return
	case last == nil:
		return
	case last.Outcome == "":
		a.Op, a.Reason = Wait, "its run "+last.Record+" is gone; looking for how it ended"
		a.Past = &health.Health{Word: health.InProgress, Reason: health.ReasonNotObserved, Message: "gone; looking for how it ended"}
		return
	}
	due := cmp.Or(runs.due(run, last.Identity), resized(run, last.Identity.Indexes))
	interrupted := last.Outcome == Deleted || last.Outcome == Replaced
	switch {
	case due != "" && run.Policy == manifests.RunOnce && runs.Completed, due != "" && run.Policy == manifests.RunManual, due == "" && !interrupted:
		past := last.health()
		a.Op, a.Reason, a.Past = None, "", &past
	case due != "":
		a.Op, a.Reason = Create, due+", it will run again"
	case reportDrift && last.Outcome == Deleted:
		a.Op, a.Reason = Drift, "deleted before it had finished"
	default:
		a.Op, a.Reason = Create, "deleted before it had finished, it will run again"
	}
}

// due says why the run that Git asks for is another one than that of an Identity; empty when it is not.
func (r Runs) due(run *manifests.Run, of Identity) string {
	switch {
	case !r.Identity.sameWork(of):
		return "template changed"
	case r.Identity.Trigger == of.Trigger:
		return ""
	case run.Policy == manifests.RunOnCommit:
		return "new commit"
	}
	return "configuration changed"
}

// resized says why a Job with so many indexes could not come to have as many as Git asks for; empty when it could, or when it is not known how
// many it has.
func resized(run *manifests.Run, from int32) string {
	if from == 0 || run.Indexes == 0 || from == run.Indexes || run.Elastic {
		return ""
	}
	return fmt.Sprintf("completions changed from %d to %d, and parallelism is another number", from, run.Indexes)
}

// health is that of a Job which is gone, and whose run is on record.
func (r Run) health() health.Health {
	switch r.Outcome {
	case Complete:
		return health.Health{Word: health.Current, Reason: health.ReasonComplete, Message: "completed; " + r.Record + " is on record"}
	case Failed:
		return health.Health{
			Word: health.Failed, Reason: cmp.Or(r.Reason, health.ReasonJobFailed),
			Message: fmt.Sprintf("run %s failed: %s; it waits for a change in Git, or for kilter rerun", r.Record, r.Message),
		}
	}
	return health.Health{
		Word: health.Unknown, Reason: health.ReasonRunUnseen,
		Message: fmt.Sprintf("run %s is gone and nobody saw how it ended; kilter rerun runs it again", r.Record),
	}
}
