package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/internal/phrase"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile"
	"kilter.dev/kilter/source"
)

// subject is what a plan is of: a Sync, with the newest commit of its repository or with a directory in its place.
type subject struct {
	sync   *v1alpha1.Sync
	object bool // the Sync is an object in the cluster
	fetch  func(context.Context) (source.Snapshot, error)
	loader *manifests.Loader

	directory string                   // as the user named it; empty for a commit
	name      func(file string) string // of a directory: what people call a file of it; nil for a commit
	owned     bool                     // a set exists; only then is anything pruned
	notes     []string                 // what else has to be known of the plan, a sentence each
}

// nobody stands for the Sync that a directory has not got. No object can be called so: its set has no parent and no members.
const nobody = "(none)"

// directory makes a subject of --dir: what the Sync of the file, or the one that enforces what is there, would do with these files.
func (o *planOptions) directory(ctx context.Context, cluster *reconcile.Cluster) (*subject, error) {
	if info, err := os.Stat(o.dir); err != nil {
		return nil, unreadable(o.dir, err)
	} else if !info.IsDir() {
		return nil, fmt.Errorf("--dir %s is no directory: name the one that stands in for the Sync's path", o.dir)
	}
	if isBare(o.dir) {
		return nil, fmt.Errorf("--dir %s is a bare repository, which holds no files: name a directory of a work tree", o.dir)
	}
	tree, err := openFiles(ctx, []string{o.dir}, nil, 0)
	if err != nil {
		return nil, err
	}
	s := &subject{
		loader: manifests.NewLoader(o.limits.options()), name: tree.nameInRepository, directory: shownDirectory(o.dir), owned: true,
		fetch: func(context.Context) (source.Snapshot, error) {
			return source.Snapshot{Commit: source.Uncommitted, Revision: shownDirectory(o.dir), Tree: tree, Path: tree.paths()[0]}, nil
		},
	}
	if o.file != "" {
		err = o.readSync(ctx, cluster, s)
	} else {
		err = o.findOwner(ctx, cluster, s, tree)
	}
	if err == nil && (s.object || o.file != "") {
		s.comparePath(tree)
	}
	return s, err
}

// shownDirectory writes a directory so that nobody takes it for a branch: "./prod".
func shownDirectory(dir string) string {
	shown := path.Clean(dir)
	if !path.IsAbs(shown) && shown != "." && !strings.HasPrefix(shown, "../") && shown != ".." {
		return "./" + shown
	}
	return shown
}

// readSync takes the Sync from the file of -f. When the cluster has one of that name, its inventory is that of the object. Who may not look is
// told what was taken for granted.
func (o *planOptions) readSync(ctx context.Context, cluster *reconcile.Cluster, s *subject) (err error) {
	if s.sync, err = readSync(o.file); err != nil {
		return err
	}
	live, err := cluster.Sync(ctx, s.sync.Namespace, s.sync.Name)
	if failure, ok := errors.AsType[*reconcile.Failure](err); ok && failure.Reason == string(metav1.StatusReasonForbidden) {
		s.notes = append(s.notes, fmt.Sprintf("You may not read Sync %s/%s in the cluster: if there is one, its objects look like those of another set.",
			s.sync.Namespace, s.sync.Name))
		return nil
	}
	s.object = live != nil
	return err
}

// findOwner looks in the cluster for the one Sync that enforces what the directory names.
func (o *planOptions) findOwner(ctx context.Context, cluster *reconcile.Cluster, s *subject, tree *files) error {
	namespace, given, err := o.defaultNamespace()
	if err != nil {
		return err
	}
	owners, err := cluster.Owners(ctx, reconcile.Manifests{
		Tree: tree, Path: tree.paths()[0], Loader: s.loader, Namespace: namespace, Guessed: !given,
	})
	switch {
	case err != nil:
		return err
	case len(owners) > 1:
		return severalOwners(s.directory, owners)
	case len(owners) == 0:
		s.sync = &v1alpha1.Sync{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: nobody}}
		s.sync.Spec.Default()
		s.owned = false
		s.notes = append(s.notes, fmt.Sprintf("No Sync enforces what is in %s: it is planned as the first commit of a new one, and nothing is pruned. "+
			"Objects that name no namespace go to %s; -n names another.", s.directory, namespace))
		return nil
	case owners[0].Sync == nil:
		return fmt.Errorf("what is in %s belongs to set %s (%s), whose Sync is gone, or may not be read by you: name its document with -f",
			s.directory, owners[0].Set, phrase.Few(texts(owners[0].Members), 2))
	}
	s.sync, s.object = owners[0].Sync, owners[0].Object
	switch {
	case !s.object:
		s.notes = append(s.notes, fmt.Sprintf("Sync %s/%s is a file, which the cluster does not know: its defaults are assumed. -f names the file.",
			s.sync.Namespace, s.sync.Name))
	}
	if given && !s.object {
		s.sync.Spec.TargetNamespace = namespace
	}
	return nil
}

// comparePath tells when the directory is another one in its repository than the Sync's: what that lacks looks deleted.
func (s *subject) comparePath(tree *files) {
	root := tree.paths()[0]
	if workTree(tree.path(root)) == "" {
		return // the user may have copied it anywhere
	}
	inRepository, want := tree.nameInRepository(root), path.Clean("./"+s.sync.Spec.Git.Path)
	if inRepository != want {
		s.notes = append(s.notes, fmt.Sprintf("The Sync reads %s of its repository, and %s is %s: what the directory lacks is planned to be deleted.",
			want, s.directory, inRepository))
	}
}

// severalOwners says which sets a directory's objects belong to, and the way out.
func severalOwners(directory string, owners []reconcile.Owner) error {
	var all []string
	for _, owner := range owners {
		name := owner.Parent
		if name == "" {
			name = "set " + owner.Set
		}
		all = append(all, fmt.Sprintf("%s (%s)", name, phrase.Few(texts(owner.Members), 2)))
	}
	return fmt.Errorf("what is in %s belongs to several Syncs: %s; name the one that is meant by its document (-f), or by its namespace (-n)",
		directory, strings.Join(all, ", "))
}

func texts(ids []manifests.ID) []string {
	all := make([]string, len(ids))
	for i, id := range ids {
		all[i] = id.String()
	}
	return all
}

// defaultNamespace returns where objects go that name no namespace, and whether the user said so.
func (o *planOptions) defaultNamespace() (namespace string, given bool, err error) {
	if o.namespace == "" {
		namespace, err = o.contextNamespace()
		return namespace, false, err
	}
	if wrong := validation.IsDNS1123Label(o.namespace); len(wrong) > 0 {
		return "", false, fmt.Errorf("-n %q is no name of a namespace: %s", o.namespace, wrong[0])
	}
	return o.namespace, true, nil
}

// errNothingToPlan is a command line that names neither a Sync nor a directory.
var errNothingToPlan = errors.New("kilter plan needs a Sync document or a directory: add -f sync.yaml, or --dir DIR")
