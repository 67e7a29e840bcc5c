package reconcile

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/inventory"
)

// Owner is a set that objects in the cluster are members of.
type Owner struct {
	Set     string         // its ID
	Parent  string         // "Kind namespace/name"; empty when there is none, or none where one may look
	Object  bool           // the parent is a Sync in the cluster, and not the ConfigMap of one in a file
	Sync    *v1alpha1.Sync // defaulted; of one in a file nothing but the name is known; nil without a parent
	Members []manifests.ID // of what was asked for, sorted
}

// Manifests are files that are no commit of anybody.
type Manifests struct {
	Tree   fs.FS
	Path   string
	Loader *manifests.Loader
	// Namespace goes to namespaced objects that name none.
	Namespace string
	// Guessed says that Namespace is a guess: what has it may be in any other.
	Guessed bool
}

// Owners returns the sets that the live objects of these manifests are members of, those with the most first. Manifests that are invalid,
// and kinds that the cluster does not know, are passed over. One LIST of metadata is sent for each kind, or where that is not allowed for each
// kind and namespace; and one or two for each set. The error says that the files or the cluster could not be read.
func (c *Cluster) Owners(ctx context.Context, of Manifests) ([]Owner, error) {
	scope := c.scope()
	set, err := of.Loader.Load(ctx, of.Tree, manifests.Target{Paths: []string{of.Path}, DefaultNamespace: of.Namespace, Scope: scope.of})
	switch {
	case scope.err != nil:
		return nil, scope.err
	case err != nil:
		return nil, err
	}
	var found membership
	for kind, objects := range byKind(set.Objects) {
		live, err := c.members(ctx, kind, objects, of)
		if err != nil {
			return nil, err
		}
		found.add(of, objects, live)
	}
	sets := found.sets()
	owners := make([]Owner, 0, len(sets))
	for _, id := range slices.Sorted(maps.Keys(sets)) {
		owner := Owner{Set: id, Members: sets[id]}
		slices.SortFunc(owner.Members, manifests.ID.Compare)
		if err := c.findParent(ctx, &owner, of.Namespace); err != nil {
			return nil, err
		}
		owners = append(owners, owner)
	}
	slices.SortStableFunc(owners, func(a, b Owner) int { return len(b.Members) - len(a.Members) })
	return owners, nil
}

func byKind(objects []*manifests.Object) map[schema.GroupKind][]*manifests.Object {
	kinds := map[schema.GroupKind][]*manifests.Object{}
	for _, o := range objects {
		kinds[o.ID.GroupKind()] = append(kinds[o.ID.GroupKind()], o)
	}
	return kinds
}

// membership is which sets hold objects that manifests mean, by the sets' IDs.
type membership struct {
	exact   map[string][]manifests.ID // found under their own namespace, or in the cluster scope
	guessed map[string][]manifests.ID // found under another, when their own was a guess
	guesses int                       // how many objects might be in any namespace
}

// add takes in the live objects of one kind.
func (m *membership) add(of Manifests, wanted []*manifests.Object, live []metav1.PartialObjectMetadata) {
	if m.exact == nil {
		m.exact, m.guessed = map[string][]manifests.ID{}, map[string][]manifests.ID{}
	}
	for _, object := range wanted {
		guess := of.Guessed && object.ID.Namespace == of.Namespace
		if guess {
			m.guesses++
		}
		for _, each := range live {
			id, set := object.ID, each.Labels[inventory.PartOfLabel]
			switch {
			case each.Name != id.Name:
			case each.Namespace == id.Namespace:
				m.exact[set] = append(m.exact[set], id)
			case guess:
				id.Namespace = each.Namespace
				m.guessed[set] = append(m.guessed[set], id)
			}
		}
	}
}

// sets returns the sets that may be meant. Where no namespace is certain, that is the one with most of the objects: names such as "settings" are
// in use everywhere, so one that has less than half of them has only names in common.
func (m *membership) sets() map[string][]manifests.ID {
	if len(m.exact) > 0 {
		for set, ids := range m.exact {
			m.exact[set] = append(ids, m.guessed[set]...)
		}
		return m.exact
	}
	most := 0
	for _, ids := range m.guessed {
		most = max(most, len(ids))
	}
	maps.DeleteFunc(m.guessed, func(_ string, ids []manifests.ID) bool { return len(ids) < most || 2*len(ids) < m.guesses })
	return m.guessed
}

// members lists the objects of one kind that are members of any set of Kilter's, wherever the manifests may mean them.
func (c *Cluster) members(
	ctx context.Context, kind schema.GroupKind, objects []*manifests.Object, of Manifests,
) ([]metav1.PartialObjectMetadata, error) {
	target, err := c.resolve(kind, "")
	if meta.IsNoMatchError(err) {
		return nil, nil // its CRD comes with it
	} else if err != nil {
		return nil, newFailure(err, c.host)
	}
	namespaces := map[string]bool{}
	for _, o := range objects {
		namespaces[o.ID.Namespace] = true
	}
	in := slices.Sorted(maps.Keys(namespaces))
	var found []metav1.PartialObjectMetadata
	if of.Guessed && namespaces[of.Namespace] {
		found, err = c.marked(ctx, target, inventory.PartOfLabel, metav1.NamespaceAll)
	}
	if !of.Guessed || !namespaces[of.Namespace] || apierrors.IsForbidden(err) {
		found, err = c.marked(ctx, target, inventory.PartOfLabel, in...)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot look for the owner of %s: %w", kind, newFailure(err, c.host))
	}
	return slices.DeleteFunc(found, func(o metav1.PartialObjectMetadata) bool {
		return !inventory.Member(o.Labels[inventory.PartOfLabel], &o)
	}), nil
}

// marked lists what a selector finds in some namespaces.
func (c *Cluster) marked(ctx context.Context, target resource, selector string, namespaces ...string) ([]metav1.PartialObjectMetadata, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var found []metav1.PartialObjectMetadata
	for _, namespace := range namespaces {
		list, err := c.object(target, namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
		if err != nil {
			return nil, err
		}
		found = append(found, list.Items...)
	}
	return found, nil
}

// findParent fills in the parent of a set: one anywhere, or where one may look only into single namespaces in those of its members and one more.
func (c *Cluster) findParent(ctx context.Context, owner *Owner, namespace string) error {
	namespaces := []string{namespace}
	for _, id := range owner.Members {
		namespaces = append(namespaces, id.Namespace)
	}
	slices.Sort(namespaces)
	namespaces = slices.DeleteFunc(slices.Compact(namespaces), func(ns string) bool { return ns == "" })
	selector := inventory.IDLabel + "=" + owner.Set
	for _, parentOf := range []func(namespace, name string) (inventory.Parent, resource){syncParent, fileParent} {
		parent, target := parentOf("", "")
		found, err := c.marked(ctx, target, selector, metav1.NamespaceAll)
		if apierrors.IsForbidden(err) {
			found, err = c.marked(ctx, target, selector, namespaces...)
		}
		switch {
		case apierrors.IsNotFound(err), apierrors.IsForbidden(err): // the cluster has no Syncs, or hides them
			continue
		case err != nil:
			return fmt.Errorf("cannot look for the parent of set %s: %w", owner.Set, newFailure(err, c.host))
		}
		for _, each := range found {
			if parent.Namespace, parent.Name = each.Namespace, each.Name; parent.ID() == owner.Set { // others may copy labels
				return c.setParent(ctx, owner, parent)
			}
		}
	}
	return nil
}

// setParent fills in what is known of a set by its parent.
func (c *Cluster) setParent(ctx context.Context, owner *Owner, parent inventory.Parent) error {
	if parent.Kind == v1alpha1.SyncKind {
		sync, err := c.Sync(ctx, parent.Namespace, parent.Name)
		if sync != nil { // else it is gone by now
			owner.Parent, owner.Object, owner.Sync = parent.String(), true, sync
		}
		return err
	}
	owner.Parent = parent.String()
	owner.Sync = &v1alpha1.Sync{ObjectMeta: metav1.ObjectMeta{
		Namespace: parent.Namespace, Name: strings.TrimPrefix(parent.Name, fileParentPrefix),
	}}
	owner.Sync.Spec.Default()
	return nil
}

// Sync returns a Sync in the cluster, defaulted; nil when there is none of this name, or the cluster has no Syncs at all.
func (c *Cluster) Sync(ctx context.Context, namespace, name string) (*v1alpha1.Sync, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	_, target := syncParent(namespace, name)
	live, err := c.dynamic.Resource(target.gvr).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("cannot look for Sync %s/%s in the cluster: %w", namespace, name, newFailure(err, c.host))
	}
	return readSync(live)
}
