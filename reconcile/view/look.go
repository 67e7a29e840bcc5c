package view

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/inventory"
)

// Sight is what a Reader saw of one set at about one time.
type Sight struct {
	Set     Set
	Members []*unstructured.Unstructured // what the Sync applied, sorted by ID
	Made    []*unstructured.Unstructured // what controllers made in their namespaces, whoever it is for, sorted by ID
	Runs    []v1alpha1.JobRun            // of the set's Jobs, the newest first
	Gaps    []Gap

	// Desired is what Git asks for at Revision, where somebody has read it; the Reader leaves these empty.
	Desired  []*manifests.Object
	Revision string
	Invalid  bool // some of its manifests are invalid, and not among Desired
}

// makes says what the controllers of the built-in kinds make, and what is made of that in turn.
var makes = map[schema.GroupKind][]schema.GroupKind{
	{Group: "apps", Kind: "DaemonSet"}:         {podKind},
	{Group: "apps", Kind: "Deployment"}:        {replicaSetKind, podKind},
	{Group: "apps", Kind: "ReplicaSet"}:        {podKind},
	{Group: "apps", Kind: "StatefulSet"}:       {podKind},
	{Group: "batch", Kind: "CronJob"}:          {jobKind, podKind},
	{Group: "batch", Kind: "Job"}:              {podKind},
	{Group: "", Kind: "ReplicationController"}: {podKind},
}

var (
	podKind        = schema.GroupKind{Kind: "Pod"}
	jobKind        = schema.GroupKind{Group: "batch", Kind: "Job"}
	replicaSetKind = schema.GroupKind{Group: "apps", Kind: "ReplicaSet"}
)

// custom is what a controller of any other kind may make: operators make workloads.
var custom = []schema.GroupKind{
	{Group: "apps", Kind: "DaemonSet"},
	{Group: "apps", Kind: "Deployment"},
	{Group: "apps", Kind: "StatefulSet"},
	{Group: "batch", Kind: "CronJob"},
	jobKind, replicaSetKind, podKind,
}

// concurrent is how many lists are on their way at once.
const concurrent = 8

// Look reads what belongs to a set, what was made of it, and how its Jobs ran: one list for each kind and namespace. What may not be read is a
// Gap; the error says that the server could not be asked.
func (r *Reader) Look(ctx context.Context, set Set) (*Sight, error) {
	s := &Sight{Set: set}
	var members []place
	for _, kind := range set.Contents.GroupKinds {
		members = append(members, r.places(kind, set.Contents.Namespaces)...)
	}
	found, err := r.lists(ctx, s, members, inventory.PartOfLabel+"="+set.ID())
	if err != nil {
		return nil, err
	}
	s.Members = slices.DeleteFunc(found, func(u *unstructured.Unstructured) bool { return !inventory.Member(set.ID(), u) })
	if s.Made, err = r.lists(ctx, s, madeBy(s.Members), ""); err != nil {
		return nil, err
	}
	return s, r.runsIn(ctx, s)
}

// places returns where objects of a kind may be.
func (r *Reader) places(kind schema.GroupKind, namespaces []string) []place {
	if mapping, err := r.kinds.RESTMapping(kind); err == nil && mapping.Scope.Name() == meta.RESTScopeNameRoot {
		return []place{{kind: kind}}
	}
	var all []place
	for _, namespace := range namespaces {
		all = append(all, place{kind, namespace})
	}
	return all
}

// madeBy returns where the controllers of some objects put what they make, sorted.
func madeBy(members []*unstructured.Unstructured) []place {
	found := map[place]bool{}
	for _, m := range members {
		gk, namespace := m.GroupVersionKind().GroupKind(), m.GetNamespace()
		made := makes[gk]
		if made == nil && namespace != "" && !scheme.Scheme.IsGroupRegistered(gk.Group) {
			made = custom
		}
		for _, kind := range made {
			found[place{kind, namespace}] = true
		}
	}
	return slices.SortedFunc(maps.Keys(found), func(a, b place) int { return strings.Compare(a.String(), b.String()) })
}

// lists reads places side by side, and returns what they hold sorted by ID. Those that may not be read, or whose kind is gone, become Gaps.
func (r *Reader) lists(ctx context.Context, s *Sight, places []place, selector string) ([]*unstructured.Unstructured, error) {
	var mu sync.Mutex
	var all []*unstructured.Unstructured
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(concurrent)
	for _, p := range places {
		group.Go(func() error {
			found, err := r.list(ctx, p, selector)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, found...)
			if err == nil || !answered(err) {
				return r.failed("list "+p.String(), err)
			}
			s.Gaps = append(s.Gaps, Gap{Place: p.String(), Why: r.cluster.Explain(err).Text})
			return nil
		})
	}
	err := group.Wait()
	sortByID(all)
	slices.SortFunc(s.Gaps, func(a, b Gap) int { return strings.Compare(a.Place, b.Place) })
	return all, err
}

// answered reports whether an error is the server's word that a place is not to be read, rather than its silence.
func answered(err error) bool {
	status := apierrors.APIStatus(nil)
	return meta.IsNoMatchError(err) || apierrors.IsForbidden(err) || apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) ||
		errors.As(err, &status) && status.Status().Code == http.StatusServiceUnavailable // of an aggregated API
}

// failed words an error of the server; nil stays nil.
func (r *Reader) failed(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("cannot %s: %w", doing, r.cluster.Explain(err))
}
