package health

import "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

// Reasons of kinds that have no file of their own.
const (
	ReasonExists      = "Exists" // it says nothing about itself, so being there is all there is to it
	ReasonReady       = "Ready"
	ReasonNotReady    = "NotReady"
	ReasonReconciling = "Reconciling"
	ReasonStalled     = "Stalled"
)

// generic judges any other kind by kstatus' conventions: a controller that lags behind the spec, then the conditions Stalled and
// Reconciling, which are there only when something is amiss or under way, then Ready. An object that has none of these, such as a
// ConfigMap or anything read as metadata only, is Current because it exists.
func generic(u *unstructured.Unstructured) Health {
	generation := u.GetGeneration()
	if observed, ok := number(u.Object, "status", "observedGeneration"); ok && observed < generation {
		return notObserved(generation, observed)
	}
	conditions := conditionsOf(u)
	stalled, reconciling, ready := find(conditions, "Stalled"), find(conditions, "Reconciling"), find(conditions, "Ready")
	for _, c := range []condition{stalled, reconciling, ready} {
		if c.Observed != 0 && c.Observed < generation {
			return notObserved(generation, c.Observed)
		}
	}
	switch {
	case stalled.Status == "True":
		return Health{Failed, ReasonStalled, stalled.says("stalled")}
	case reconciling.Status == "True":
		return Health{InProgress, ReasonReconciling, reconciling.says("reconciling")}
	case ready.Status == "True":
		return Health{Current, ReasonReady, "ready"}
	case ready.Type != "":
		return Health{InProgress, ReasonNotReady, ready.says("not ready")}
	}
	return Health{Current, ReasonExists, "exists"}
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
		c.Observed, _ = number(fields, "observedGeneration")
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

// number returns the integer at path, and whether there is one.
func number(object map[string]any, path ...string) (int64, bool) {
	n, found, err := unstructured.NestedInt64(object, path...)
	return n, found && err == nil
}
