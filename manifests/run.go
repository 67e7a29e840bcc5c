package manifests

import (
	"fmt"
	"slices"
	"strconv"
)

// Run says how a Job is run, as its annotations and its spec have it.
type Run struct {
	// Identity is a hex hash of what runs: equal ones are the same work. See verdict.Parsed.JobIdentity.
	Identity string
	// Indexes is how many an Indexed Job has, and Elastic whether a Job that exists may come to have as many. See verdict.Parsed.JobIndexes.
	Indexes int32
	Elastic bool
	Policy  RunPolicy
	Replace ReplacePolicy
	// OnConfig runs the Job again when a ConfigMap or Secret of the tree changes that it refers to.
	OnConfig bool
	// History is how many of its runs stay on record; at least 1.
	History int
}

// Follows reports whether the Job may run again for what else is in a commit, although it is the same itself. What is nil is no Job.
func (r *Run) Follows() bool { return r != nil && (r.Policy == RunOnCommit || r.OnConfig) }

// RunPolicy says when a Job that has run is run again.
type RunPolicy string

// The values of kilter.dev/run.
const (
	RunOnChange RunPolicy = "on-change" // when its Identity is another
	RunOnce     RunPolicy = "once"      // never after it has completed
	RunOnCommit RunPolicy = "on-commit" // with every commit
	RunManual   RunPolicy = "manual"    // when somebody asks for it
)

// ReplacePolicy says what becomes of a run that goes on when the next one is due.
type ReplacePolicy string

// The values of kilter.dev/replace.
const (
	ReplaceAfterFinish ReplacePolicy = "after-finish" // it is left to finish
	ReplaceImmediately ReplacePolicy = "immediately"  // it is deleted
	ReplaceNever       ReplacePolicy = "never"        // the Job stays as it is, finished or not
)

// RunAnnotation on a Job holds its RunPolicy.
const RunAnnotation = ours + "run"

const (
	annotationRerunOn = ours + "rerun-on"
	annotationReplace = ours + "replace"
	annotationHistory = ours + "history-limit"
	rerunOnConfig     = "config"
)

const (
	defaultHistory = 5
	maxHistory     = 100
)

// run reads how a Job is run. Annotations with a value that means nothing were refused.
func runOf(identity string, annotations map[string]string) *Run {
	r := &Run{
		Identity: identity, Policy: RunOnChange, Replace: ReplaceAfterFinish, History: defaultHistory,
		OnConfig: annotations[annotationRerunOn] == rerunOnConfig,
	}
	if policy := annotations[RunAnnotation]; policy != "" {
		r.Policy = RunPolicy(policy)
	}
	if policy := annotations[annotationReplace]; policy != "" {
		r.Replace = ReplacePolicy(policy)
	}
	if limit, err := strconv.Atoi(annotations[annotationHistory]); err == nil {
		r.History = limit
	}
	return r
}

// strict are the annotations whose value decides whether something runs again: another one than these is an error, where for the rest a
// warning is enough.
var strict = map[string]func(value string) string{
	RunAnnotation:     oneOf(string(RunOnChange), string(RunOnce), string(RunOnCommit), string(RunManual)),
	annotationRerunOn: oneOf(rerunOnConfig),
	annotationReplace: oneOf(string(ReplaceAfterFinish), string(ReplaceImmediately), string(ReplaceNever)),
	annotationHistory: func(value string) string {
		if limit, err := strconv.Atoi(value); err != nil || limit < 1 || limit > maxHistory {
			return fmt.Sprintf("must be a number from 1 to %d", maxHistory)
		}
		return ""
	},
}

func oneOf(values ...string) func(string) string {
	return func(value string) string {
		if slices.Contains(values, value) {
			return ""
		}
		return notOneOf(value, values)
	}
}
