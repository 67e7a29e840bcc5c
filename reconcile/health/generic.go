package health

import (
	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Reasons of kinds that have no file of their own.
const (
	ReasonExists      = "Exists" // it says nothing about itself, so being there is all there is to it
	ReasonReady       = "Ready"
	ReasonNotReady    = "NotReady"
	ReasonReconciling = "Reconciling"
	ReasonStalled     = "Stalled"
)

// generic judges any other kind as kstatus does: a controller that lags behind the spec, then the conditions Stalled and Reconciling,
// which are there only when something is amiss or under way, then the rules of a few built-in kinds, such as ReplicaSet, then Ready. An
// object that has none of these is Current because it exists.
//
// Two things are judged with more care. A condition that speaks of an older generation says nothing about this one, although the status
// as a whole has no observedGeneration, as with cert-manager's Certificate. And of a status that is not of the shape that kstatus reads, what is of that
// shape counts: nobody promised that every list called conditions holds conditions.
func generic(u *unstructured.Unstructured) Health {
	conditions, generation := conditionsOf(u), u.GetGeneration()
	stalled, reconciling, ready := find(conditions, "Stalled"), find(conditions, "Reconciling"), find(conditions, "Ready")
	observed := number(u.Object, "status", "observedGeneration")
	for _, seen := range []int64{observed, stalled.Observed, reconciling.Observed, ready.Observed} {
		if seen != 0 && seen < generation {
			return notObserved(generation, seen)
		}
	}
	result, err := status.Compute(u)
	if err != nil {
		if result, err = status.Compute(conventional(u, conditions)); err != nil {
			return Health{Unknown, ReasonUnreadable, "the live object's status cannot be read"}
		}
	}
	switch {
	case result.Status == status.FailedStatus:
		return Health{Failed, ReasonStalled, stalled.says("stalled")}
	case result.Status == status.InProgressStatus && reconciling.Status == "True":
		return Health{InProgress, ReasonReconciling, reconciling.says("reconciling")}
	case result.Status != status.CurrentStatus:
		return Health{InProgress, ReasonNotReady, condition{Message: result.Message}.says("not ready")}
	case ready.Status == "True" || status.GetLegacyConditionsFn(u) != nil && u.Object["status"] != nil:
		return Health{Current, ReasonReady, "ready"}
	}
	return Health{Current, ReasonExists, "exists"}
}

// conventional returns the object reduced to what kstatus' generic rules read of it: nothing in it has another shape.
func conventional(u *unstructured.Unstructured, conditions []condition) *unstructured.Unstructured {
	kept := make([]any, 0, len(conditions))
	for _, c := range conditions {
		kept = append(kept, map[string]any{"type": c.Type, "status": c.Status, "message": c.Message})
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": u.GetAPIVersion(), "kind": u.GetKind(), "status": map[string]any{"conditions": kept},
	}}
}

// condition is one of status.conditions, as far as it follows metav1.Condition. The zero value is a condition that is not there.
type condition struct {
	Type, Status, Message string
	Observed              int64 // the generation it speaks of; 0 when it does not say
}

// says returns what is the case and, where the controller gave a message, that message.
func (c condition) says(what string) string {
	if text := oneLine(c.Message); text != "" {
		return what + ": " + text
	}
	return what
}

// conditionsOf returns the object's conditions; entries of another shape are left out, for nobody promised them to be conditions.
func conditionsOf(u *unstructured.Unstructured) []condition {
	status, _ := u.Object["status"].(map[string]any)
	entries, _ := status["conditions"].([]any)
	conditions := make([]condition, 0, len(entries))
	for _, entry := range entries {
		fields, _ := entry.(map[string]any)
		var c condition
		c.Type, _ = fields["type"].(string)
		c.Status, _ = fields["status"].(string)
		c.Message, _ = fields["message"].(string)
		c.Observed = number(fields, "observedGeneration")
		if c.Type != "" {
			conditions = append(conditions, c)
		}
	}
	return conditions
}

func find(conditions []condition, kind string) condition {
	for _, c := range conditions {
		if c.Type == kind {
			return c
		}
	}
	return condition{}
}

// number returns the integer at path; 0 where there is none.
func number(object map[string]any, path ...string) int64 {
	n, _, _ := unstructured.NestedInt64(object, path...)
	return n
}
