package view

import (
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/reconcile/health"
)

// State is how one Sync stands; an element of what `kilter get syncs -o json` and `kilter status -o json` print.
type State struct {
	Namespace  string                   `json:"namespace"`
	Name       string                   `json:"name"`
	Kind       string                   `json:"kind"`            // of the set's parent: Sync, or ConfigMap when the Sync is a file
	Ready      string                   `json:"ready,omitempty"` // True, False or Unknown; empty when the Sync is a file
	Reason     string                   `json:"reason,omitempty"`
	Message    string                   `json:"message,omitempty"`
	Suspended  bool                     `json:"suspended"`
	Created    metav1.Time              `json:"creationTime"`
	Attempted  string                   `json:"lastAttemptedRevision,omitempty"`
	Applied    string                   `json:"lastAppliedRevision,omitempty"`
	Objects    *v1alpha1.ObjectCounts   `json:"objects,omitempty"`
	Conditions []metav1.Condition       `json:"conditions,omitempty"`
	Problems   []v1alpha1.ObjectProblem `json:"problems,omitempty"`
	Blocked    []v1alpha1.BlockedObject `json:"blocked,omitempty"`
}

// State returns how the set's Sync stands, as its status tells. Of a file's Sync hardly more is known than that it is there.
func (s Set) State() State {
	state := State{Namespace: s.Namespace, Name: s.baseName(), Kind: s.Kind, Created: s.Created}
	if s.Sync == nil {
		return state
	}
	status := s.Sync.Status
	state.Suspended, state.Conditions = s.Sync.Spec.Suspend, status.Conditions
	state.Attempted, state.Applied = status.LastAttemptedRevision, status.LastAppliedRevision
	state.Problems, state.Blocked, state.Ready = status.Problems, status.Blocked, string(metav1.ConditionUnknown)
	if ready := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady); ready != nil {
		state.Ready, state.Reason, state.Message = string(ready.Status), ready.Reason, ready.Message
		state.Objects = &status.Objects
	}
	return state
}

// Count fills in the objects of a file's Sync by what was seen of them, since no status tells.
func (s *State) Count(tree *Tree) {
	if s.Objects != nil {
		return
	}
	counts := &v1alpha1.ObjectCounts{Total: len(tree.Objects)}
	for _, n := range tree.Objects {
		switch n.State {
		case health.Current:
			counts.Current++
		case health.InProgress:
			counts.InProgress++
		case health.Failed:
			counts.Failed++
		case health.Terminating:
			counts.Terminating++
		case health.NotFound:
			counts.NotFound++
		default:
			counts.Unknown++
		}
	}
	s.Objects = counts
}

// Well reports whether nobody has to look: the Sync is Ready or suspended or, where it is kept from a file, none of its objects has failed.
func (s State) Well() bool {
	if s.Kind != syncKind.Kind {
		return s.Objects == nil || s.Objects.Failed == 0
	}
	return s.Suspended || s.Ready == string(metav1.ConditionTrue)
}

// Summary says in one line how the Sync stands.
func (s State) Summary() string {
	switch {
	case s.Kind != syncKind.Kind:
		return "kept from a file; its state is told where kilter run -f runs"
	case s.Reason == "" && s.Suspended:
		return "suspended"
	case s.Reason == "":
		return "no pass has been made yet: check that Kilter runs and follows the namespace"
	case s.Reason == "ReconciliationSucceeded", strings.HasPrefix(s.Message, s.Reason):
		return s.Message
	}
	return s.Reason + ": " + s.Message
}
