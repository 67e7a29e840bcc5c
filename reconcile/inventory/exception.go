package inventory

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// ExceptionManager is the field manager of an exception from what Git says: under it somebody applies the field that is to be otherwise,
// and the annotations below. What it owns is an exception, and nothing else is.
const ExceptionManager = "kilter-exception"

// The annotations of an exception.
const (
	SuspendedUntilAnnotation  = "kilter.dev/suspended-until" // RFC 3339
	SuspendedReasonAnnotation = "kilter.dev/suspended-reason"
	SuspendedByAnnotation     = "kilter.dev/suspended-by"
)

// MaxException is the longest that an exception lasts. What is to be otherwise for longer belongs in Git.
const MaxException = 7 * 24 * time.Hour

// Suspend is the one field that an exception can be about.
var Suspend = fieldpath.MakePathOrDie("spec", "suspend")

// Exception is somebody's word against Git's, for a time.
type Exception struct {
	Until  time.Time // zero: it is over, since somebody has taken back its field, or its annotation
	Reason string
	By     string
}

// ExceptionOf reads the exception on an object; nil when there is none. None lasts longer than MaxException after it was applied, whatever
// somebody writes into the annotation.
func ExceptionOf(object metav1.Object) *Exception {
	isException := func(e metav1.ManagedFieldsEntry) bool {
		return e.Manager == ExceptionManager && e.Operation == metav1.ManagedFieldsOperationApply && e.Subresource == ""
	}
	i := slices.IndexFunc(object.GetManagedFields(), isException)
	if i < 0 {
		return nil
	}
	annotations := object.GetAnnotations()
	found := &Exception{Reason: annotations[SuspendedReasonAnnotation], By: annotations[SuspendedByAnnotation]}
	until, err := time.Parse(time.RFC3339, annotations[SuspendedUntilAnnotation])
	if err != nil || !slices.ContainsFunc(Owners(object, Suspend), isException) {
		return found
	}
	if applied := object.GetManagedFields()[i].Time; applied != nil && until.After(applied.Add(MaxException)) {
		until = applied.Add(MaxException)
	}
	found.Until = until
	return found
}
