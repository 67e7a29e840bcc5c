package source

import (
	"context"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
)

// LocalPath returns the directory that a repository's URL names on this machine's disk: a path that begins with "/" or ".", or a file URL
// without a host. Only those who work at this machine may be served so; Open refuses it.
func LocalPath(url string) (dir string, local bool) {
	if dir, isFile := strings.CutPrefix(url, "file://"); isFile {
		return dir, strings.HasPrefix(dir, "/")
	}
	return url, strings.HasPrefix(url, "/") || url == "." || strings.HasPrefix(url, "./") || strings.HasPrefix(url, "../")
}

// Fetch reads the commit that a Ref selects in the repository as it is now, and the files below one path, as Repository.Fetch does of a
// server's. The default branch is the one that is checked out. Its errors are always *Error.
func (l *Local) Fetch(ctx context.Context, ref Ref, path string) (Snapshot, error) {
	ref, invalid := ref.validate()
	if invalid != nil {
		return Snapshot{}, l.failed(invalid)
	}
	clean, invalid := cleanPath(path)
	if invalid != nil {
		return Snapshot{}, l.failed(invalid)
	}
	snapshot, err := l.fetch(ctx, ref, clean)
	if err != nil {
		return Snapshot{}, l.explain(ctx, err)
	}
	snapshot.Path = clean
	return snapshot, nil
}

func (l *Local) fetch(ctx context.Context, ref Ref, path string) (Snapshot, error) {
	listed, err := l.list()
	if err != nil {
		return Snapshot{}, err
	}
	target, failure := ref.resolve(listed)
	switch {
	case failure != nil:
		return Snapshot{}, failure
	case target.pinned && !l.store.has(target.want):
		return Snapshot{}, l.absent(string(ref.Commit))
	}
	return l.at(ctx, target, []string{path})
}

// list returns the refs as a server would.
func (l *Local) list() (*packp.AdvRefs, error) {
	all, err := l.store.objects.IterReferences()
	if err != nil {
		return nil, err
	}
	listed := packp.NewAdvRefs()
	return listed, all.ForEach(func(r *plumbing.Reference) error {
		switch {
		case r.Name() != plumbing.HEAD && r.Type() != plumbing.HashReference: // a remote's default branch
			return nil
		case r.Name() == plumbing.HEAD && r.Type() == plumbing.HashReference: // no branch is checked out
			head := r.Hash()
			listed.Head = &head
			return nil
		}
		return listed.AddReference(r)
	})
}
