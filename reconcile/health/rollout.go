package health

import (
	"time"

	"kilter.dev/kilter/internal/phrase"
)

// Rollout is the judgement on a DaemonSet or StatefulSet by its pods and nodes: what its status alone cannot tell.
type Rollout struct {
	Health Health // what Compute says, unless the pods and nodes tell more
	Pods   int    // how many are wanted
	Done   int    // of them, run the newest template and are available
	// OutdatedPods is how many pods are of an older template; Outdated names them where the pods may be read.
	OutdatedPods int
	Outdated     []Place
	// Waits is what the rollout waits for; an outdated pod whose turn is still to come is not listed.
	Waits []Place
	// Excused are the nodes that are not waited for, although they have no pod that is updated and available.
	Excused []Place
	// Until is when time alone may change the judgement; zero: never.
	Until time.Time
}

// Place is where a rollout is not done: a node of a DaemonSet, or a pod of a StatefulSet.
type Place struct {
	Node  string // empty when the pod has none
	Pod   string // empty when there is none
	State State
	Why   string // in words; empty when the state says it all
}

// State is how a place differs from what is wanted.
type State string

// The states.
const (
	Outdated    State = "Outdated"    // the pod is of an older template
	Missing     State = "Missing"     // there is no pod
	Unavailable State = "Unavailable" // the pod is of the newest template, and not ready, or not for long enough
	Leaving     State = "Terminating" // the pod is being deleted, and in the way of its successor
)

// why returns the reason, or else the state as a word.
func (p Place) why() string {
	switch {
	case p.Why != "":
		return p.Why
	case p.State == Outdated:
		return "outdated"
	case p.State == Missing:
		return "no pod"
	}
	return string(p.State)
}

// fewPlaces bounds how many places a message names.
const fewPlaces = 5

// few names places: "node-1 (CrashLoopBackOff), node-2 (no pod) and 3 more".
func few(places []Place, name func(Place) string) string {
	texts := make([]string, len(places))
	for i, p := range places {
		texts[i] = name(p)
	}
	return phrase.Few(texts, fewPlaces)
}

// byNode names the node with the reason.
func (p Place) byNode() string { return p.Node + " (" + p.why() + ")" }

// byPod names a pod with the reason.
func (p Place) byPod() string { return p.Pod + " (" + p.why() + ")" }
