package main

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile"
	"kilter.dev/kilter/source"
)

// lookupTime bounds the look into a repository for files and lines: whoever asks about the cluster shall not wait for Git.
const lookupTime = 20 * time.Second

// wanted returns what a Sync's repository asks for at a revision, or at the newest one where revision is empty, and which revision that is. It reads the newest commit of the Sync's ref, which costs least, and when that is not the one that is looked for, that one.
func (a *access) wanted(
	ctx context.Context, cluster *reconcile.Cluster, sync *v1alpha1.Sync, revision string,
) (set *manifests.Set, at string, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	pinned := sync.DeepCopy()
	_, commit, _ := strings.Cut(revision, "sha1:")
	pinned.Spec.Git.Ref = v1alpha1.GitRef{Commit: commit}
	for _, each := range []*v1alpha1.Sync{sync, pinned} {
		set, at, err = a.read(ctx, cluster, each, source.Commit(commit))
		if err != nil || set != nil {
			break
		}
	}
	return set, cmp.Or(revision, at), err
}

// read fetches what the Sync's ref points to and, if it is the commit that is looked for or none is, reads its manifests; otherwise it returns
// nothing.
func (a *access) read(
	ctx context.Context, cluster *reconcile.Cluster, sync *v1alpha1.Sync, commit source.Commit,
) (set *manifests.Set, revision string, err error) {
	repository, err := a.open(sync, cluster)
	if err != nil {
		return nil, "", err
	}
	defer func() { err = errors.Join(err, repository.Close()) }()
	snapshot, err := repository.Fetch(ctx)
	if err != nil || commit != "" && snapshot.Commit != commit {
		return nil, "", err
	}
	set, err = a.load(ctx, cluster, sync, snapshot)
	return set, snapshot.Revision, err
}

// load reads the manifests of a snapshot as the loop does. What is wrong with some of them is for the loop to tell.
func (a *access) load(ctx context.Context, cluster *reconcile.Cluster, sync *v1alpha1.Sync, snapshot source.Snapshot) (*manifests.Set, error) {
	kinds := cluster.Kinds()
	return manifests.NewLoader(a.limits.options()).Load(ctx, snapshot.Tree, manifests.Target{
		Paths:            []string{snapshot.Path},
		DefaultNamespace: cmp.Or(sync.Spec.TargetNamespace, sync.Namespace),
		Scope: func(gvk schema.GroupVersionKind) (namespaced, known bool) {
			mapping, err := kinds.RESTMapping(gvk.GroupKind(), gvk.Version)
			return err == nil && mapping.Scope.Name() == meta.RESTScopeNameNamespace, err == nil
		},
	})
}
