package view

import (
	"cmp"
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"kilter.dev/kilter/manifests"
)

// Event is one thing that was said of an object; an element of what `kilter events -o json` prints.
type Event struct {
	First   time.Time `json:"firstTime"`
	Last    time.Time `json:"lastTime"`
	Count   int32     `json:"count"` // how often it was said
	Type    string    `json:"type"`  // Normal or Warning
	Reason  string    `json:"reason"`
	Object  Ref       `json:"object"`
	Source  string    `json:"source"`  // the program that said it, such as kilter or job-controller
	Message string    `json:"message"` // Kilter's begin with file and line where there is one
}

// component names Kilter in Events.
const component = "kilter"

var eventKind = schema.GroupKind{Kind: "Event"}

// Events returns what was said of a set: by Kilter of the Sync and its objects, those that are gone included, and by others of the objects,
// and of what controllers made of them. The oldest come first. The server keeps Events for an hour, unless it was told otherwise.
func (r *Reader) Events(ctx context.Context, s *Sight) ([]Event, error) {
	known := s.family(s.Members)
	known[s.Set.UID] = true
	return r.events(ctx, s, slices.Concat(s.Set.Contents.Namespaces, []string{s.Set.Namespace, clusterEvents}), func(e *corev1.Event) bool {
		ours := e.Source.Component == component && e.Related != nil && e.Related.UID == s.Set.UID
		return ours || known[e.InvolvedObject.UID]
	})
}

// EventsOf returns what was said of one object and of what was made of it, as far as that is in the Sight.
func (r *Reader) EventsOf(ctx context.Context, s *Sight, id manifests.ID) ([]Event, error) {
	var top []*unstructured.Unstructured
	for _, u := range slices.Concat(s.Members, s.Made) {
		if idOf(u) == id {
			top = append(top, u)
		}
	}
	known := s.family(top)
	namespace := cmp.Or(id.Namespace, clusterEvents)
	return r.events(ctx, s, []string{namespace}, func(e *corev1.Event) bool {
		about := e.InvolvedObject
		return known[about.UID] || about.Kind == id.Kind && about.Name == id.Name && about.GroupVersionKind().Group == id.Group
	})
}

// clusterEvents is the namespace of Events on objects that are in none.
const clusterEvents = metav1.NamespaceDefault

// family returns the UIDs of some objects and of all that was made of them.
func (s *Sight) family(top []*unstructured.Unstructured) map[types.UID]bool {
	known := map[types.UID]bool{}
	for _, u := range top {
		known[u.GetUID()] = true
	}
	for grown := true; grown; {
		grown = false
		for _, u := range s.Made {
			if owner := ownerOf(u); owner != nil && known[owner.UID] && !known[u.GetUID()] {
				known[u.GetUID()], grown = true, true
			}
		}
	}
	return known
}

// events lists the Events of some namespaces that are wanted, the oldest first. Places that may not be read become Gaps of the Sight.
func (r *Reader) events(ctx context.Context, s *Sight, namespaces []string, wanted func(*corev1.Event) bool) ([]Event, error) {
	slices.Sort(namespaces)
	var places []place
	for _, namespace := range slices.Compact(namespaces) {
		places = append(places, place{eventKind, namespace})
	}
	found, err := r.lists(ctx, s, places, "")
	if err != nil {
		return nil, err
	}
	all := []Event{}
	for _, u := range found {
		var e corev1.Event
		if runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &e) == nil && wanted(&e) {
			all = append(all, newEvent(&e))
		}
	}
	slices.SortFunc(all, func(a, b Event) int {
		return cmp.Or(a.Last.Compare(b.Last), manifests.ID(a.Object).Compare(manifests.ID(b.Object)), cmp.Compare(a.Reason, b.Reason),
			cmp.Compare(a.Message, b.Message))
	})
	return all, nil
}

// newEvent reads an Event of either of the two shapes that programs write: with count and timestamps, or with a series and eventTime.
func newEvent(e *corev1.Event) Event {
	first, last, count := e.FirstTimestamp.Time, e.LastTimestamp.Time, max(e.Count, 1)
	if first.IsZero() {
		first = e.EventTime.Time
	}
	if first.IsZero() {
		first = e.CreationTimestamp.Time
	}
	if e.Series != nil {
		last, count = e.Series.LastObservedTime.Time, max(e.Series.Count, count)
	}
	if last.IsZero() {
		last = first
	}
	about := e.InvolvedObject
	group := about.GroupVersionKind().Group
	if group == "" && about.APIVersion != "v1" {
		group = about.APIVersion // Kilter leaves the version out where it knows none
	}
	return Event{
		First: first.UTC(), Last: last.UTC(), Count: count, Type: e.Type, Reason: e.Reason,
		Object: Ref{Group: group, Kind: about.Kind, Namespace: about.Namespace, Name: about.Name},
		Source: cmp.Or(e.Source.Component, e.ReportingController), Message: e.Message,
	}
}
