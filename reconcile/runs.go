package reconcile

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/reconcile/health"
)

// ledger is what a loop knows of the runs of its Jobs beside what is observed. It belongs to the loop's goroutine, save for the mutex's part.
//
// A run goes through these states, each of which survives the death of Kilter at any moment:
//
//	on record, no Job    the record comes first; if the Job is not there, the cluster's events tell whether it ever was
//	on record, Job       the Job names its record
//	Job ended or gone    observed; the outcome is written by the next pass
//	outcome on record    decides from then on, whatever becomes of the Job
type ledger struct {
	records

	mu      sync.Mutex
	telling map[manifests.ID]bool // records whose last container has been asked for
	asking  sync.WaitGroup

	since     map[manifests.ID]time.Time // when it was first found that a run's Job is gone, and how it ended is not known
	lookAgain time.Time                  // when the cluster's events may tell of a run what they do not tell yet; zero when nothing is awaited
}

func newLedger(own *Cluster, sync string) *ledger {
	return &ledger{records: records{cluster: own, sync: sync}, telling: map[manifests.ID]bool{}, since: map[manifests.ID]time.Time{}}
}

// compareRuns orders the runs of a Job, the oldest first: those that have ended by when they began, and then the others.
func compareRuns(a, b diff.Run) int {
	// Numbers come last: people may call the run that they ask for anything.
	return cmp.Or(cmp.Compare(open(a), open(b)),
		began(a).Compare(began(b)), cmp.Compare(a.Number, b.Number), cmp.Compare(a.Record, b.Record))
}

// open is 0 of a run that has ended, and 1 of any other.
func open(run diff.Run) int {
	if run.Outcome == "" {
		return 1
	}
	return 0
}

// began is when a run began, as far as it is known. One that was asked for is on record before.
func began(run diff.Run) time.Time {
	if run.Started.IsZero() {
		return run.Created
	}
	return run.Started
}

func jobID(namespace, name string) manifests.ID {
	return manifests.ID{Group: jobKind.Group, Kind: jobKind.Kind, Namespace: namespace, Name: name}
}

// runs returns what is known of the runs of a Job of the set. Those that are ended are as the Jobs were seen last.
func (l *Loop) runs(object *manifests.Object, ended map[manifests.ID]*diff.Live) *diff.Runs {
	runs := &diff.Runs{Identity: l.identity(object)}
	for _, run := range l.sight.recorded[object.ID] {
		if last, gone := ended[jobRunID(object.ID.Namespace, run.Record)]; gone && run.Outcome == "" {
			run.Outcome, run.Message = endOf(last)
			run.Reason = last.Job.Reason
		}
		switch {
		case run.Asked:
			runs.Asked = cmp.Or(runs.Asked, run.Record)
		default:
			runs.Last = &run
			runs.Completed = runs.Completed || run.Outcome == diff.Complete
		}
	}
	return runs
}

// endOf says how the run of a Job ended that is gone, as it was seen last.
func endOf(last *diff.Live) (diff.Outcome, string) {
	if last.Job.Outcome != "" {
		return last.Job.Outcome, last.Job.Message
	}
	return diff.Deleted, "deleted before it had finished: " + last.Health.Message
}

// identity is that of the run which Git asks for.
func (l *Loop) identity(object *manifests.Object) diff.Identity {
	triggers := sha256.New()
	some := false
	add := func(text string) {
		some = true
		_, _ = io.WriteString(triggers, text+"\n") // a hash takes everything
	}
	if object.Run.Policy == manifests.RunOnCommit {
		add(string(l.commit))
	}
	if object.Run.OnConfig {
		for _, used := range object.Uses {
			if config, ok := l.set.Find(used); ok && (used.Kind == "ConfigMap" || used.Kind == "Secret") && used.Group == "" {
				add(config.Hash)
			}
		}
	}
	trigger := ""
	if some {
		trigger = hex.EncodeToString(triggers.Sum(nil))
	}
	identity := diff.NewIdentity(object.Run.Identity, object.Hash, trigger)
	identity.Indexes = object.Run.Indexes
	return identity
}

// setLookAgain notes when the cluster's events are to be read again; zero when they are not.
func (g *ledger) setLookAgain(at time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if at.IsZero() || g.lookAgain.IsZero() || at.Before(g.lookAgain) {
		g.lookAgain = at
	}
}

// missed returns when a run was first looked for.
func (g *ledger) missed(record manifests.ID, now time.Time) time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.since[record]; !ok {
		g.since[record] = now
	}
	return g.since[record]
}

// found says that a run is not looked for any more.
func (g *ledger) found(record manifests.ID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.since, record)
}

// keepRecords brings the records up to what was observed: runs that have started or ended, Jobs that are gone, and records that are one too many.
func (l *Loop) keepRecords(ctx context.Context, whole bool) error {
	known, others, ended := l.sight.own, l.sight.foreign, l.observer.ended()
	running := map[manifests.ID]*diff.Live{} // by record
	var due []func() error
	later := func(job manifests.ID, do func() error) {
		l.sight.touchJob(job) // it may fail
		due = append(due, do)
	}
	for job := range l.sight.moving {
		if job.Job == nil || job.Job.Record == "" {
			continue
		}
		record := jobRunID(job.ID.Namespace, job.Job.Record)
		running[record] = job
		_, recorded := known[record]
		_, foreign := others[record]
		if !recorded && !foreign && job.Health.Word != health.Terminating && l.observer.watches[placeOf(record)] != nil {
			later(job.ID, func() error { return l.restore(ctx, job.ID, *job.Job) })
		}
	}
	for record := range ended {
		if _, exists := known[record]; !exists {
			l.observer.settled(record)
		}
	}
	l.ledger.setLookAgain(time.Time{})
	for job := range l.sight.unsettled {
		runs := l.sight.recorded[job]
		gone := sync.OnceValue(func() bool { return l.sight.of(job) == nil && l.listed[placeOf(job)] })
		var removed map[string]bool
		for _, run := range surplus(runs, l.keeps(job), func() bool { return whole && gone() }) {
			if removed == nil {
				removed = map[string]bool{}
			}
			removed[run.Record] = true
			later(job, func() error { return l.ledger.remove(ctx, job.Namespace, run.Record) })
		}
		for _, run := range runs {
			id := jobRunID(job.Namespace, run.Record)
			at, exists := running[id]
			last, went := ended[id]
			switch {
			case removed[run.Record]:
				l.observer.settled(id)
			case run.Asked:
			case exists:
				if run.Identity != at.Job.Identity { // it has grown in place
					later(job, func() error { return l.reidentify(ctx, id, at.Job.Identity) })
				}
				if status, news := newsOfRun(run, at); news {
					later(job, func() error { return l.settle(ctx, id, status) })
				}
				l.tell(ctx, id, run, at)
			case went && run.Outcome == "":
				outcome, message := endOf(last)
				status := statusOf(last)
				status.Outcome, status.Message = v1alpha1.JobRunOutcome(outcome), message
				later(job, func() error { return l.settle(ctx, id, status) })
				l.tell(ctx, id, run, last) // its pods may go later than it
			case went:
				l.observer.settled(id)
			case run.Outcome == "" && gone():
				later(job, func() error { return l.witness(ctx, id, run, runs) })
			}
		}
	}
	return l.inParallel(ctx, due)
}

// unrecorded reports whether a Job has ended, or is about to, and its record does not say so. The event that told, or will, starts the next
// pass.
func (l *Loop) unrecorded() bool {
	for job := range l.sight.moving {
		if l.unrecordedEnd(job) {
			return true
		}
	}
	return false
}

// unrecordedEnd reports that of one object.
func (l *Loop) unrecordedEnd(live *diff.Live) bool {
	if live.Job == nil {
		return false
	}
	ends := live.Health.Reason == health.ReasonSuccessMet || live.Health.Word == health.Failed
	if live.Job.Outcome == "" && !ends {
		return false
	}
	record, ok := l.sight.own[jobRunID(live.ID.Namespace, live.Job.Record)]
	return ok && record.Run.Outcome == ""
}

// newsOfRun returns what a Job tells that is not on its run's record.
func newsOfRun(run diff.Run, live *diff.Live) (v1alpha1.JobRunStatus, bool) {
	started := run.Started.IsZero() && !live.Job.Started.IsZero()
	// A run that was to be replaced, and was left alone since Git took that back, comes to another end than the one on record.
	finished := live.Job.Outcome != "" && run.Outcome != live.Job.Outcome
	return statusOf(live), started || finished
}

// statusOf is what a Job tells of its run, as its record has it.
func statusOf(live *diff.Live) v1alpha1.JobRunStatus {
	job := live.Job
	status := v1alpha1.JobRunStatus{
		JobUID: live.UID, Outcome: v1alpha1.JobRunOutcome(job.Outcome), Reason: job.Reason, Message: job.Message,
		Succeeded: job.Succeeded, Failed: job.Failed, CompletedIndexes: job.CompletedIndexes, FailedIndexes: job.FailedIndexes,
	}
	if !job.Started.IsZero() {
		status.StartTime = &metav1.Time{Time: job.Started}
	}
	if !job.Finished.IsZero() {
		status.CompletionTime = &metav1.Time{Time: job.Finished}
	}
	return status
}

// keeps returns the desired object of a Job; nil when Git does not have it.
func (l *Loop) keeps(job manifests.ID) *manifests.Object {
	object, _ := l.set.Find(job)
	return object
}

// surplus returns the records that need not be kept: the oldest beyond the limit of a Job that Git has, and all of one that has left Git, once
// it is gone and a whole commit tells so. The runs come with the oldest first. That a Job which runs once has completed is never forgotten.
func surplus(runs []diff.Run, object *manifests.Object, gone func() bool) []diff.Run {
	if object == nil || object.Run == nil {
		if gone() {
			return runs
		}
		return nil
	}
	if len(runs) <= object.Run.History {
		return nil
	}
	finished := slices.DeleteFunc(slices.Clone(runs), func(r diff.Run) bool { return r.Outcome == "" })
	old, kept := finished[:max(0, len(finished)-object.Run.History)], finished[max(0, len(finished)-object.Run.History):]
	completed := func(r diff.Run) bool { return r.Outcome == diff.Complete }
	if object.Run.Policy == manifests.RunOnce && !slices.ContainsFunc(kept, completed) {
		if i := slices.IndexFunc(old, completed); i >= 0 {
			old = slices.Delete(old, i, i+1)
		}
	}
	return old
}

// settle writes a run's status, and takes the answer as observed.
func (l *Loop) settle(ctx context.Context, record manifests.ID, status v1alpha1.JobRunStatus) error {
	written, err := l.ledger.settle(ctx, record.Namespace, record.Name, status)
	switch {
	case apierrors.IsNotFound(err): // somebody has deleted it; that of a Job which is there is written anew
		l.observer.settled(record)
		return nil
	case err != nil:
		return fmt.Errorf("cannot write the record of run %s/%s: %w", record.Namespace, record.Name, newFailure(err, l.cluster.host))
	}
	l.observer.wrote(written)
	if status.Outcome != "" {
		l.observer.settled(record)
	}
	return nil
}

// reidentify puts on record what a run has become by a change in place, so that it is known when its Job is gone.
func (l *Loop) reidentify(ctx context.Context, record manifests.ID, identity diff.Identity) error {
	written, err := l.ledger.patch(ctx, record.Namespace, record.Name, map[string]any{"spec": map[string]any{"identity": identity.String()}})
	switch {
	case apierrors.IsNotFound(err): // somebody has deleted it
		return nil
	case err != nil:
		return fmt.Errorf("cannot write the record of run %s/%s: %w", record.Namespace, record.Name, newFailure(err, l.cluster.host))
	}
	l.observer.wrote(written)
	return nil
}

// restore writes the record of a Job anew that somebody has deleted.
func (l *Loop) restore(ctx context.Context, job manifests.ID, run diff.JobState) error {
	b := begun{job: job, record: run.Record, identity: run.Identity, revision: l.revision, reason: "its record was deleted"}
	if object := l.keeps(job); object != nil {
		b.origin = object.Origin
	}
	written, err := l.ledger.begin(ctx, b)
	if err != nil {
		return fmt.Errorf("cannot write the record of run %s/%s again: %w", job.Namespace, run.Record, newFailure(err, l.cluster.host))
	}
	l.observer.wrote(written)
	signal(l.observer.changed)
	return nil
}

// takeBack undoes the record of a run that has never begun; what somebody has asked for is asked for still.
func (l *Loop) takeBack(ctx context.Context, record manifests.ID, asked bool) error {
	if asked {
		written, err := l.ledger.release(ctx, record.Namespace, record.Name)
		if err != nil {
			return fmt.Errorf("cannot write the record of run %s/%s: %w", record.Namespace, record.Name, newFailure(err, l.cluster.host))
		}
		l.observer.wrote(written)
		return nil
	}
	if err := l.ledger.remove(ctx, record.Namespace, record.Name); err != nil {
		return fmt.Errorf("cannot remove the record of run %s/%s: %w", record.Namespace, record.Name, newFailure(err, l.cluster.host))
	}
	l.observer.forget(record)
	return nil
}

// inParallel does what is due, a few at a time, and returns what failed.
func (l *Loop) inParallel(ctx context.Context, due []func() error) error {
	errs := make([]error, len(due))
	var doing sync.WaitGroup
	for i, do := range due {
		if err := l.cluster.throttle.take(ctx); err != nil {
			errs[i] = err
			break
		}
		doing.Go(func() {
			start := l.clock()
			errs[i] = do()
			l.cluster.throttle.give(l.clock().Sub(start))
		})
	}
	doing.Wait()
	return errors.Join(errs...)
}
