package view

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/health"
)

// Tree is one Sync with its objects: what they wait for, and what was made of them. Its JSON is what `kilter tree -o json` prints.
type Tree struct {
	Sync     string  `json:"sync"` // namespace/name
	Kind     string  `json:"kind"` // of the set's parent: Sync, or ConfigMap when the Sync is a file
	Revision string  `json:"revision,omitempty"`
	Ready    string  `json:"ready,omitempty"`  // True, False or Unknown; empty when the Sync is a file
	Reason   string  `json:"reason,omitempty"` // of the condition Ready
	Message  string  `json:"message,omitempty"`
	Objects  []*Node `json:"objects"` // by namespace, kind and name
	Notes    []Note  `json:"notes,omitempty"`
	Gaps     []Gap   `json:"gaps,omitempty"`
}

// Note is something that a reader has to know about the whole tree.
type Note string

// Node is one object.
type Node struct {
	Ref
	State   health.Word `json:"state"`
	Reason  string      `json:"reason"` // CamelCase
	Message string      `json:"message"`

	// Where Git asks for it, as far as that is known.
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
	Revision string `json:"revision,omitempty"`
	LeftGit  bool   `json:"leftGit,omitempty"` // Git asks for it no longer

	After    []Ref   `json:"after,omitempty"`    // what config.kubernetes.io/depends-on names
	Uses     []Ref   `json:"uses,omitempty"`     // objects of the same Sync that it comes after by itself
	WaitsFor []Wait  `json:"waitsFor,omitempty"` // why it is not applied yet
	Made     []*Node `json:"made,omitempty"`     // what its controller made
}

// Ref names an object.
type Ref struct {
	Group     string `json:"group,omitempty"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// String returns "Kind namespace/name".
func (r Ref) String() string { return manifests.ID(r).String() }

// Wait is what an object waits for.
type Wait struct {
	By      string `json:"by"`      // "Kind namespace/name"
	Message string `json:"message"` // what has to become true
}

// Tree joins what was seen. It is pure: two equal Sights give equal trees.
func (s *Sight) Tree() *Tree {
	t := &Tree{Sync: s.Set.SyncName(), Kind: s.Set.Kind, Revision: s.Revision, Gaps: s.Gaps}
	if sync := s.Set.Sync; sync != nil {
		t.Revision = cmp.Or(Enforced(sync), s.Revision)
		if ready := meta.FindStatusCondition(sync.Status.Conditions, v1alpha1.ConditionReady); ready != nil {
			t.Ready, t.Reason, t.Message = string(ready.Status), ready.Reason, ready.Message
		}
	}
	j := newJoin(s)
	j.members()
	j.gone()
	j.desired()
	j.edges()
	j.blocked()
	t.Objects = slices.SortedFunc(maps.Values(j.nodes), func(a, b *Node) int { return manifests.ID(a.Ref).Compare(manifests.ID(b.Ref)) })
	return t
}

// Enforced returns the revision whose objects a Sync looks after, as its status tells: the one that was read last, unless that was refused.
func Enforced(sync *v1alpha1.Sync) string {
	ready := meta.FindStatusCondition(sync.Status.Conditions, v1alpha1.ConditionReady)
	if ready != nil && ready.Reason == "CommitRejected" {
		return sync.Status.LastAppliedRevision
	}
	return cmp.Or(sync.Status.LastAttemptedRevision, sync.Status.LastAppliedRevision)
}

// join builds the nodes of a tree.
type join struct {
	*Sight
	nodes   map[manifests.ID]*Node
	live    map[manifests.ID]*unstructured.Unstructured
	wanted  map[manifests.ID]*manifests.Object
	made    map[types.UID][]*unstructured.Unstructured // by owner
	records map[manifests.ID]*v1alpha1.JobRun          // the newest of each Job
}

func newJoin(s *Sight) *join {
	j := &join{
		Sight: s, nodes: map[manifests.ID]*Node{}, live: map[manifests.ID]*unstructured.Unstructured{},
		wanted: map[manifests.ID]*manifests.Object{}, made: map[types.UID][]*unstructured.Unstructured{},
		records: map[manifests.ID]*v1alpha1.JobRun{},
	}
	for _, o := range s.Desired {
		j.wanted[o.ID] = o
	}
	for _, u := range s.Made {
		if owner := ownerOf(u); owner != nil {
			j.made[owner.UID] = append(j.made[owner.UID], u)
		}
	}
	for i := range s.Runs {
		run := &s.Runs[i]
		if id := jobOf(run); j.records[id] == nil && !Waits(run) {
			j.records[id] = run
		}
	}
	return j
}

// jobOf returns the ID of the Job that a record is of.
func jobOf(run *v1alpha1.JobRun) manifests.ID {
	return manifests.ID{Group: jobKind.Group, Kind: jobKind.Kind, Namespace: run.Namespace, Name: run.Spec.Job}
}

// members adds what the Sync applied, with what was made of it.
func (j *join) members() {
	for _, u := range j.Members {
		id := idOf(u)
		j.live[id] = u
		j.nodes[id] = j.node(u)
		j.locate(j.nodes[id])
	}
}

// node returns a live object with what was made of it.
func (j *join) node(u *unstructured.Unstructured) *Node {
	found := judge(u)
	n := &Node{Ref: Ref(idOf(u)), State: found.Word, Reason: found.Reason, Message: found.Message}
	for _, made := range j.made[u.GetUID()] {
		if !retired(made) {
			n.Made = append(n.Made, j.node(made))
		}
	}
	return n
}

// locate says where Git asks for a member: by the manifest where Git was read, and otherwise by the record of a Job's run.
func (j *join) locate(n *Node) {
	id := manifests.ID(n.Ref)
	if object := j.wanted[id]; object != nil {
		n.File, n.Line, n.Revision = object.Origin.File, object.Origin.Line, j.Revision
	} else if run := j.records[id]; run != nil {
		n.File, n.Line = splitPlace(run.Spec.File)
		n.Revision = run.Spec.Revision
	}
	n.LeftGit = j.Desired != nil && !j.Invalid && j.wanted[id] == nil
}

// gone adds Jobs that exist no longer and whose run is on record: their TTL has deleted them, and they count as they ended.
func (j *join) gone() {
	for id, run := range j.records {
		if j.nodes[id] != nil || j.Desired != nil && j.wanted[id] == nil {
			continue
		}
		n := &Node{Ref: Ref(id), State: health.NotFound, Reason: string(run.Status.Outcome), Message: "the Job is gone; " + runText(run)}
		switch run.Status.Outcome {
		case v1alpha1.RunComplete:
			n.State = health.Current
		case v1alpha1.RunFailed:
			n.State = health.Failed
		case "":
			n.Reason = health.ReasonNotFound
		}
		j.locate(n)
		j.nodes[id] = n
	}
}

// desired adds what Git asks for and nobody has applied.
func (j *join) desired() {
	for id := range j.wanted {
		if j.nodes[id] == nil {
			n := &Node{Ref: Ref(id), State: health.NotFound, Reason: health.ReasonNotFound, Message: "not applied yet"}
			j.locate(n)
			j.nodes[id] = n
		}
	}
}

// edges says what each object comes after: as Git asks or, where Git was not read, as the live objects tell.
func (j *join) edges() {
	if j.Desired != nil {
		before := manifests.Before(j.Desired)
		for id, object := range j.wanted {
			j.connect(id, object.DependsOn, before(object))
		}
		return
	}
	for id, u := range j.live {
		explicit := manifests.References(u.GetAnnotations()[manifests.DependsOnAnnotation])
		used := manifests.UsesOf(id, u.Object)
		if id.Namespace != "" {
			used = append(used, manifests.ID{Kind: "Namespace", Name: id.Namespace})
		}
		j.connect(id, explicit, append(used, j.definedBy(id.GroupKind())...))
	}
}

// connect notes what an object comes after: all that it names, and what it uses in the same Sync.
func (j *join) connect(id manifests.ID, explicit, used []manifests.ID) {
	n := j.nodes[id]
	for _, other := range explicit {
		n.After = append(n.After, Ref(other))
	}
	for _, other := range used {
		if ref := Ref(other); j.nodes[other] != nil && other != id && !slices.Contains(n.After, ref) && !slices.Contains(n.Uses, ref) {
			n.Uses = append(n.Uses, ref)
		}
	}
	compare := func(a, b Ref) int { return manifests.ID(a).Compare(manifests.ID(b)) }
	slices.SortFunc(n.After, compare)
	slices.SortFunc(n.Uses, compare)
}

// definedBy returns the CRDs of the set that define a kind: one or none.
func (j *join) definedBy(gk schema.GroupKind) []manifests.ID {
	for id, u := range j.live {
		if id.Kind != "CustomResourceDefinition" {
			continue
		}
		group, _, _ := unstructured.NestedString(u.Object, "spec", "group")
		kind, _, _ := unstructured.NestedString(u.Object, "spec", "names", "kind")
		if group == gk.Group && kind == gk.Kind {
			return []manifests.ID{id}
		}
	}
	return nil
}

// blocked says what waits for what: as the Sync's status has it, and for what Git asks for and nobody has applied, by the state of what it comes
// after.
func (j *join) blocked() {
	told := map[string]bool{}
	if j.Set.Sync != nil {
		for _, b := range j.Set.Sync.Status.Blocked {
			told[b.Object] = true
			n := j.named(b.Object)
			n.WaitsFor = append(n.WaitsFor, Wait{By: b.By, Message: b.Message})
		}
	}
	for id, n := range j.nodes {
		if told[id.String()] || j.live[id] != nil || j.records[id] != nil {
			continue
		}
		for _, before := range slices.Concat(n.After, n.Uses) {
			if other := j.nodes[manifests.ID(before)]; other == nil {
				n.WaitsFor = append(n.WaitsFor, Wait{By: before.String(), Message: "not in this Sync"})
			} else if !(health.Health{Word: other.State, Reason: other.Reason}).Unblocks() {
				n.WaitsFor = append(n.WaitsFor, Wait{By: before.String(), Message: other.Message})
			}
		}
	}
}

// named returns the node of "Kind namespace/name"; a new one where nobody has applied it.
func (j *join) named(text string) *Node {
	var found *Node
	for id, n := range j.nodes {
		if id.String() == text && (found == nil || n.Group < found.Group) {
			found = n
		}
	}
	if found != nil {
		return found
	}
	kind, name, _ := strings.Cut(text, " ")
	id := manifests.ID{Kind: kind, Name: name}
	if namespace, bare, ok := strings.Cut(name, "/"); ok {
		id.Namespace, id.Name = namespace, bare
	}
	for _, gk := range j.Set.Contents.GroupKinds { // which are listed before anything of them is applied
		if gk.Kind == kind {
			id.Group = gk.Group
		}
	}
	n := &Node{Ref: Ref(id), State: health.NotFound, Reason: health.ReasonNotFound, Message: "not applied yet"}
	j.nodes[id] = n
	return n
}
