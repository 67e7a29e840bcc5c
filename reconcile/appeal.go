package reconcile

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"

	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/manifests/verdict"
)

// appeal asks the server itself about the objects that the linked rules refuse, by a dry run, when it is of another minor version than
// they are: a commit is never refused for what its own server accepts. Where the server cannot tell without its namespace or without a
// right that Kilter lacks, the object is let through, and the server has its say when it is applied.
//
// It fails when the server cannot be reached; the commit is then loaded again by a later pass.
func (l *Loop) appeal(ctx context.Context, set *manifests.Set) (*manifests.Set, error) {
	if len(set.Refused) == 0 {
		return set, nil
	}
	served, err := l.cluster.kubernetes.Discovery().ServerVersion()
	if err != nil {
		return nil, newFailure(err, l.cluster.host)
	}
	if served.Major+"."+strings.TrimSuffix(served.Minor, "+") == verdict.Version() {
		return set, nil
	}
	rulings := make([]manifests.Ruling, len(set.Refused))
	asking, ctx := errgroup.WithContext(ctx)
	asking.SetLimit(firstLimit)
	for i, object := range set.Refused {
		asking.Go(func() error {
			failure := l.ask(ctx, object)
			rulings[i] = manifests.Ruling{
				Accepted: failure == nil || failure.Class == Slow,
				By:       fmt.Sprintf("the server, Kubernetes %s,", strings.TrimPrefix(served.GitVersion, "v")),
			}
			if failure != nil && failure.Class == Transient {
				return failure
			}
			return nil
		})
	}
	if err := asking.Wait(); err != nil {
		return nil, err
	}
	said := make(map[manifests.ID]manifests.Ruling, len(rulings))
	for i, object := range set.Refused {
		said[object.ID] = rulings[i]
	}
	return set.Overrule(said), nil
}

// ask returns why the server would not create an object, or nil if it would.
func (l *Loop) ask(ctx context.Context, object *manifests.Object) *Failure {
	target, err := l.cluster.resolve(object.ID.GroupKind(), object.Version)
	if err != nil {
		return newFailure(err, l.cluster.host)
	}
	if err := l.rehearse(ctx, object, target); err != nil {
		return newFailure(err, l.cluster.host)
	}
	return nil
}
