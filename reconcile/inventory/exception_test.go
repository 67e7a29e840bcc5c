package inventory

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestExceptionOf(t *testing.T) {
	const (
		suspend = `{"f:metadata":{"f:annotations":{"f:kilter.dev/suspended-until":{}}},"f:spec":{"f:suspend":{}}}`
		bare    = `{"f:metadata":{"f:annotations":{"f:kilter.dev/suspended-until":{}}}}`
		until   = "2026-01-02T14:00:00Z"
	)
	noon := time.Date(2026, time.January, 2, 12, 0, 0, 0, time.UTC)
	at := func(e metav1.ManagedFieldsEntry, applied time.Time) metav1.ManagedFieldsEntry {
		e.Time = &metav1.Time{Time: applied}
		return e
	}
	for _, c := range []struct {
		name  string
		until string
		entry metav1.ManagedFieldsEntry
		want  string // until when; "none" without an exception, "over" where it does not count any more
	}{
		{"in force", until, at(entryOf(ExceptionManager, apply, "", suspend), noon), until},
		{"in force in another zone", "2026-01-02T15:00:00+01:00", at(entryOf(ExceptionManager, apply, "", suspend), noon), until},
		{"no longer than the maximum", "2036-01-02T14:00:00Z", at(entryOf(ExceptionManager, apply, "", suspend), noon), "2026-01-09T12:00:00Z"},
		{"somebody took its field", until, at(entryOf(ExceptionManager, apply, "", bare), noon), "over"},
		{"no end", "", at(entryOf(ExceptionManager, apply, "", suspend), noon), "over"},
		{"an end that cannot be read", "tomorrow", at(entryOf(ExceptionManager, apply, "", suspend), noon), "over"},
		{"annotations alone", until, at(entryOf("kubectl-annotate", update, "", suspend), noon), "none"},
		{"an update under its name", until, at(entryOf(ExceptionManager, update, "", suspend), noon), "none"},
		{"Git's own", until, at(entryOf(FieldManager, apply, "", suspend), noon), "none"},
	} {
		object := &metav1.ObjectMeta{
			Annotations:   map[string]string{SuspendedUntilAnnotation: c.until, SuspendedReasonAnnotation: "because", SuspendedByAnnotation: "alice"},
			ManagedFields: []metav1.ManagedFieldsEntry{c.entry},
		}
		got := "none"
		if e := ExceptionOf(object); e != nil {
			got = "over"
			if !e.Until.IsZero() {
				got = e.Until.UTC().Format(time.RFC3339)
			}
			if e.Reason != "because" || e.By != "alice" {
				t.Errorf("%s: %+v", c.name, e)
			}
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
