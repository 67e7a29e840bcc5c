// Package health answers one question about one live object: is it where it should be?
//
// Compute is a pure function of the object as the API server last sent it. It has no clock, no client and no memory: whether
// InProgress has lasted too long and whether a CronJob is late are for those who have a clock. DaemonPods and StatefulPods judge
// by pods, nodes and the time as well, which their caller has read; see Rollout. There is one file per kind; generic.go judges every kind that has no file, as
// kstatus does.
//
// The words divide by what a rollout should do next:
//
//	Word         the object                                     a rollout
//	Current      is where its spec says, or will not move       is done with it; see Health.Unblocks
//	             until somebody acts
//	InProgress   is on its way; its controller is at work       waits for the next event
//	Failed       has stopped short, says its controller         reports it, blocks its dependents
//	Terminating  is being deleted                               waits for it to be gone
//	NotFound     is not in the cluster                          creates it
//	Unknown      cannot be read as the kind it claims to be     reports it, blocks its dependents
//
// Waiting must be able to end. So nothing is InProgress only because a person has yet to act: a suspended Job, outdated pods
// under OnDelete and a claim without a consumer are Current, and Reason and Message tell what is outstanding. The exception is a
// paused Deployment with a rollout to finish: its pods are not what its spec says, and no field that Git holds need say so.
package health

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Word is where an object stands, in kstatus' vocabulary.
type Word string

// The words; the package comment says what each asks of a rollout.
const (
	Current     Word = "Current"
	InProgress  Word = "InProgress"
	Failed      Word = "Failed"
	Terminating Word = "Terminating"
	NotFound    Word = "NotFound"
	Unknown     Word = "Unknown"
)

// Health is the judgement on one object.
type Health struct {
	Word    Word
	Reason  string // CamelCase, from a closed set per kind: fit for a metric label
	Message string // one line for people, such as "3 of 8 completions, 2 running"; shows no value of a spec's or Secret's data
}

// Unblocks reports whether what depends on the object may go ahead. Every Current object does, save three Jobs: a suspended one is
// where its spec wants it, yet its work is not done; nor is that of one which runs only when asked; and one that has met its success
// criteria may still have pods at work.
func (h Health) Unblocks() bool {
	return h.Word == Current && h.Reason != ReasonSuspended && h.Reason != ReasonSuccessMet && h.Reason != ReasonNotRun
}

// Reasons that any kind may have. Those of one kind stand in its file.
const (
	ReasonNotFound    = "NotFound"
	ReasonUnreadable  = "Unreadable"
	ReasonDeleting    = "Deleting"
	ReasonNotObserved = "GenerationNotObserved" // the controller has not yet acted on the newest spec
)

// Reasons that the kinds which keep pods running share.
const (
	ReasonAvailable       = "Available"       // every pod wanted runs the newest template and is available
	ReasonUpdating        = "Updating"        // pods of the newest template are still to be created
	ReasonPodsUnavailable = "PodsUnavailable" // they exist and are not all available
	ReasonApplied         = "Applied"         // OnDelete: the spec is seen, no pod is outdated
	ReasonOutdatedPods    = "OutdatedPods"    // OnDelete: some pods keep an older template until somebody deletes them
)

// Compute judges one object. A nil object is NotFound. The object is not changed, and two equal objects get equal answers.
func Compute(u *unstructured.Unstructured) Health {
	if u == nil {
		return Absent()
	}
	if u.GetDeletionTimestamp() != nil {
		return deleting(u.GetFinalizers())
	}
	switch u.GroupVersionKind().GroupKind() {
	case schema.GroupKind{Group: batchv1.GroupName, Kind: "Job"}:
		return typed(u, job)
	case schema.GroupKind{Group: batchv1.GroupName, Kind: "CronJob"}:
		return typed(u, cronJob)
	case schema.GroupKind{Group: appsv1.GroupName, Kind: "DaemonSet"}:
		return typed(u, daemonSet)
	case schema.GroupKind{Group: appsv1.GroupName, Kind: "Deployment"}:
		return typed(u, deployment)
	case schema.GroupKind{Group: appsv1.GroupName, Kind: "StatefulSet"}:
		return typed(u, statefulSet)
	case schema.GroupKind{Group: corev1.GroupName, Kind: "Pod"}:
		return typed(u, pod)
	case schema.GroupKind{Group: corev1.GroupName, Kind: "PersistentVolumeClaim"}:
		return typed(u, claim)
	case schema.GroupKind{Group: corev1.GroupName, Kind: "Namespace"}:
		return typed(u, namespace)
	case schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}:
		return crd(u)
	case schema.GroupKind{Group: "apiregistration.k8s.io", Kind: "APIService"}:
		return apiService(u)
	}
	return generic(u)
}

// Of judges an object in whatever form a client decoded it: unstructured, as metadata alone, or as its Go type, which then has to name its
// apiVersion and kind. The answer is that of Compute.
func Of(object metav1.Object) Health {
	switch o := object.(type) {
	case *unstructured.Unstructured:
		return Compute(o)
	case *metav1.PartialObjectMetadata:
		return OfMetadata(o)
	}
	if object.GetDeletionTimestamp() != nil {
		return deleting(object.GetFinalizers())
	}
	switch o := object.(type) {
	case *batchv1.Job:
		return job(o)
	case *batchv1.CronJob:
		return cronJob(o)
	case *appsv1.DaemonSet:
		return daemonSet(o)
	case *appsv1.Deployment:
		return deployment(o)
	case *appsv1.StatefulSet:
		return statefulSet(o)
	case *corev1.Pod:
		return pod(o)
	case *corev1.PersistentVolumeClaim:
		return claim(o)
	case *corev1.Namespace:
		return namespace(o)
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return Health{Unknown, ReasonUnreadable, fmt.Sprintf("%T cannot be read", object)}
	}
	return Compute(&unstructured.Unstructured{Object: content})
}

// InMetadata reports whether the metadata of a built-in kind tells all about its health, so that the rest need not be read: see
// OfMetadata. Of kinds that are not built in nobody knows.
func InMetadata(kind schema.GroupKind) bool {
	switch kind {
	case schema.GroupKind{Group: batchv1.GroupName, Kind: "Job"}, schema.GroupKind{Group: batchv1.GroupName, Kind: "CronJob"},
		schema.GroupKind{Group: appsv1.GroupName, Kind: "DaemonSet"}, schema.GroupKind{Group: appsv1.GroupName, Kind: "Deployment"},
		schema.GroupKind{Group: appsv1.GroupName, Kind: "StatefulSet"}, schema.GroupKind{Group: appsv1.GroupName, Kind: "ReplicaSet"},
		schema.GroupKind{Kind: "Pod"}, schema.GroupKind{Kind: "PersistentVolumeClaim"}, schema.GroupKind{Kind: "Namespace"},
		schema.GroupKind{Group: "policy", Kind: "PodDisruptionBudget"}:
		return false
	}
	return true
}

// typed gives judge the object as its Go type, or answers Unknown where it has not that shape. The conversion's own error is
// withheld: it may quote values.
func typed[T any](u *unstructured.Unstructured, judge func(*T) Health) Health {
	var object T
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.UnstructuredContent(), &object); err != nil {
		return Health{Unknown, ReasonUnreadable, fmt.Sprintf("the live object does not have the fields of %s %s",
			u.GetAPIVersion(), u.GetKind())}
	}
	return judge(&object)
}

// Absent is the judgement on an object that the cluster does not have.
func Absent() Health { return Health{NotFound, ReasonNotFound, "not in the cluster"} }

func deleting(finalizers []string) Health {
	message := "being deleted"
	if len(finalizers) > 0 {
		message += "; waits for finalizers " + oneLine(strings.Join(finalizers, ", "))
	}
	return Health{Terminating, ReasonDeleting, message}
}

func notObserved(generation, observed int64) Health {
	return Health{
		InProgress, ReasonNotObserved,
		fmt.Sprintf("its controller has seen generation %d of %d", observed, generation),
	}
}

// maxForeign bounds, in bytes, text that a controller wrote: a condition's message may be 32 KiB.
const maxForeign = 300

// oneLine makes text that others wrote fit for a terminal and a status: one line, printable, at most maxForeign bytes.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == utf8.RuneError, !unicode.IsPrint(r):
			return -1
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if len(text) <= maxForeign {
		return text
	}
	cut := maxForeign - len("…")
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}
