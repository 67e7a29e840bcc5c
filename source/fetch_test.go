package source_test

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"kilter.dev/kilter/internal/gitserver"
	"kilter.dev/kilter/source"
)

func TestFetchSendsOnlyWhatIsNew(t *testing.T) {
	o := newOrigin(t, gitserver.Options{})
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 50 {
		o.commit(fmt.Sprintf("prod/f%02d.yaml", i), fmt.Sprintf("%x", random.Perm(500)))
	}
	o.push("other/x.yaml", "x")
	r := o.open(source.Options{Path: "prod"})

	first := r.fetch()
	clone := o.server.Fetches()
	if len(clone) != 1 || clone[0].Bytes < 20_000 {
		t.Fatalf("the first fetch was %+v; want one of at least 20 kB", clone)
	}

	o.server.Forget()
	for range 3 {
		if again := r.fetch(); again != first {
			t.Errorf("an unmoved ref gave %v; want the same snapshot %v", again, first)
		}
	}
	if fetches := o.server.Fetches(); len(fetches) != 0 {
		t.Errorf("an unmoved ref was fetched: %+v", fetches)
	}
	if requests := o.server.Requests(); len(requests) != 3 {
		t.Errorf("three fetches of an unmoved ref made %d requests; want 3 that list refs", len(requests))
	}

	o.server.Forget()
	o.push("prod/f00.yaml", "new")
	second := r.fetch()
	if second.Rewritten != "" {
		t.Errorf("a push is said to replace %s", second.Rewritten)
	}
	update := o.server.Fetches()
	if len(update) != 1 || update[0].Bytes > 2_000 {
		t.Errorf("the fetch of one changed file was %+v; want one of at most 2 kB", update)
	}
	if got := content(t, second, "prod/f00.yaml"); got != "new" {
		t.Errorf("the changed file is %q", got)
	}
	if content(t, first, "prod/f00.yaml") == "new" {
		t.Error("the older snapshot changed")
	}
	if content(t, first, "prod/f01.yaml") != content(t, second, "prod/f01.yaml") {
		t.Error("an unchanged file changed")
	}
	if first.Commit == second.Commit || first.Tree == second.Tree {
		t.Error("the snapshot did not move")
	}
}

func TestFirstFetchBringsNoHistory(t *testing.T) {
	o := newOrigin(t, gitserver.Options{})
	random := rand.New(rand.NewPCG(1, 2))
	for range 10 {
		o.commit("a.yaml", fmt.Sprintf("%x", random.Perm(5_000)))
	}
	o.push("a.yaml", "small")
	o.open(source.Options{}).fetch()
	if fetches := o.server.Fetches(); len(fetches) != 1 || fetches[0].Bytes > 2_000 {
		t.Errorf("cloning a small tree with a large history was %+v; want one fetch of at most 2 kB", fetches)
	}
}

func TestRefs(t *testing.T) {
	o := newOrigin(t, gitserver.Options{})
	one := o.push("a", "1")
	o.must(o.repo.Tag(t.Context(), "v1", ""))
	o.must(o.repo.Tag(t.Context(), "v1-annotated", "the first"))
	o.git("", "tag", "-a", "-m", "a tag of a tag", "v1-nested", "v1-annotated")
	o.must(o.repo.Branch(t.Context(), "release/1"))
	two := o.push("a", "2")
	o.must(o.repo.Push(t.Context(), "v1", "v1-annotated", "v1-nested"))
	o.git("", "push", "--quiet", "origin", "HEAD:refs/review/7")
	blob := o.git("a blob", "hash-object", "-w", "--stdin")
	o.git("", "tag", "blob", blob)
	o.must(o.repo.Push(t.Context(), "blob"))

	for name, c := range map[string]struct {
		ref      source.Ref
		commit   source.Commit
		revision string
	}{
		"default branch":    {source.Ref{}, one, "main@sha1:"},
		"branch":            {source.Ref{Branch: "release/1"}, two, "release/1@sha1:"},
		"tag":               {source.Ref{Tag: "v1"}, one, "v1@sha1:"},
		"annotated tag":     {source.Ref{Tag: "v1-annotated"}, one, "v1-annotated@sha1:"},
		"tag of a tag":      {source.Ref{Tag: "v1-nested"}, one, "v1-nested@sha1:"},
		"full name":         {source.Ref{Name: "refs/heads/release/1"}, two, "refs/heads/release/1@sha1:"},
		"other name":        {source.Ref{Name: "refs/review/7"}, two, "refs/review/7@sha1:"},
		"commit":            {source.Ref{Commit: two}, two, "sha1:"},
		"commit, no tip":    {source.Ref{Commit: one}, one, "sha1:"},
		"commit upper case": {source.Ref{Commit: source.Commit(strings.ToUpper(string(one)))}, one, "sha1:"},
	} {
		t.Run(name, func(t *testing.T) {
			snapshot := (&origin{T: t, url: o.url}).open(source.Options{Ref: c.ref}).fetch()
			if snapshot.Commit != c.commit || snapshot.Revision != c.revision+string(c.commit) {
				t.Errorf("got %s, %s; want %s%s", snapshot.Commit, snapshot.Revision, c.revision, c.commit)
			}
		})
	}
	for name, c := range map[string]struct {
		ref   source.Ref
		words []string
	}{
		"branch":        {source.Ref{Branch: "mian"}, []string{`branch "mian" not found; the repository has main, release/1`}},
		"tag":           {source.Ref{Tag: "v2"}, []string{`tag "v2" not found; the repository has blob, v1, v1-annotated`}},
		"full name":     {source.Ref{Name: "refs/heads/x"}, []string{`ref "refs/heads/x" not found`, "refs/heads/main"}},
		"commit":        {source.Ref{Commit: source.Commit(strings.Repeat("ab", 20))}, []string{"abababab", "not found"}},
		"not a commit":  {source.Ref{Tag: "blob"}, []string{"points to a blob"}},
		"escape":        {source.Ref{Branch: "x\u202ey"}, []string{`\u202e`}},
		"quote in name": {source.Ref{Branch: `a"b`}, []string{"not found"}},
	} {
		t.Run("missing "+name, func(t *testing.T) {
			(&origin{T: t, url: o.url}).open(source.Options{Ref: c.ref}).refused(source.RefNotFound, c.words...)
		})
	}
}

func TestPinnedCommitIsNotAskedForAgain(t *testing.T) {
	o := newOrigin(t, gitserver.Options{})
	one := o.push("a", "1")
	r := o.open(source.Options{Ref: source.Ref{Commit: one}})
	first := r.fetch()
	o.push("a", "2")
	o.server.Forget()
	if again := r.fetch(); again != first {
		t.Errorf("got %v; want %v", again, first)
	}
	if requests := o.server.Requests(); len(requests) != 0 {
		t.Errorf("a commit cannot move, yet there were requests: %+v", requests)
	}
}

func TestMissingCommitIsSearchedAgainOnlyWhenRefsMove(t *testing.T) {
	o := newOrigin(t, gitserver.Options{})
	o.push("a", "1")
	later := o.commit("a", "2")
	r := o.open(source.Options{Ref: source.Ref{Commit: later}})
	r.refused(source.RefNotFound)
	o.server.Forget()
	r.refused(source.RefNotFound)
	if fetches := o.server.Fetches(); len(fetches) != 0 {
		t.Errorf("searched again though no ref moved: %+v", fetches)
	}
	o.must(o.repo.Push(t.Context()))
	if got := r.fetch().Commit; got != later {
		t.Errorf("got %s; want %s, which has been pushed", got, later)
	}
}

func TestCommitFromServerThatGivesOutTipsOnly(t *testing.T) {
	o := newOrigin(t, gitserver.Options{})
	one := o.push("a", "1")
	o.push("a", "2")
	var refusals atomic.Int32
	o.behind(func(git http.Handler) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost && refusals.Add(1) == 1 {
				w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
				fmt.Fprint(w, "001dERR upload-pack: not our ref")
				return
			}
			git.ServeHTTP(w, r)
		}
	})
	r := o.open(source.Options{Ref: source.Ref{Commit: one}})
	if got := content(t, r.fetch(), "a"); got != "1" {
		t.Errorf("got %q", got)
	}
	if refusals.Load() != 2 {
		t.Errorf("the server was asked for objects %d times; want 2", refusals.Load())
	}
}

func TestG8RewrittenHistoryIsFollowed(t *testing.T) {
	o := newOrigin(t, gitserver.Options{})
	zero := o.push("a", "0", "b", "0")
	one := o.push("a", "1")
	r := o.open(source.Options{})
	if first := r.fetch(); first.Rewritten != "" {
		t.Errorf("the first commit is said to replace %s", first.Rewritten)
	}

	o.git("", "reset", "--quiet", "--hard", string(zero))
	amended := o.push("a", "amended")
	snapshot := r.fetch()
	if snapshot.Rewritten != one || r.fetch().Rewritten != one {
		t.Errorf("after an amended commit: it is said to replace %q, not %s", snapshot.Rewritten, one)
	}
	if snapshot.Commit != amended || content(t, snapshot, "a") != "amended" || content(t, snapshot, "b") != "0" {
		t.Errorf("after an amended commit: got %s, want %s", snapshot.Commit, amended)
	}

	o.git("", "reset", "--quiet", "--hard", string(zero))
	o.must(o.repo.ForcePush(t.Context()))
	snapshot = r.fetch()
	if snapshot.Rewritten != amended {
		t.Errorf("after going back below the first clone: it is said to replace %q, not %s", snapshot.Rewritten, amended)
	}
	if snapshot.Commit != zero || content(t, snapshot, "a") != "0" {
		t.Errorf("after going back below the first clone: got %s, want %s", snapshot.Commit, zero)
	}

	o.git("", "checkout", "--quiet", "--orphan", "fresh")
	unrelated := o.commit("c", "c")
	o.must(o.repo.ForcePush(t.Context(), "fresh:main"))
	o.git("", "--git-dir", o.repo.Bare, "reflog", "expire", "--expire=now", "--all")
	o.git("", "--git-dir", o.repo.Bare, "gc", "--quiet", "--prune=now")
	if snapshot = r.fetch(); snapshot.Rewritten != zero {
		t.Errorf("after a new history: it is said to replace %q, not %s", snapshot.Rewritten, zero)
	}
	if snapshot.Commit != unrelated || content(t, snapshot, "c") != "c" {
		t.Errorf("after a new history: got %s, want %s; %s is gone from the server", snapshot.Commit, unrelated, one)
	}
}

// A shallow store lacks what the server believes it has: a blob that only history below the first clone knows.
func TestMergeOfOldBranchIsRead(t *testing.T) {
	o := newOrigin(t, gitserver.Options{})
	o.push("x", "old content of x", "y", "y")
	o.must(o.repo.Branch(t.Context(), "side"))
	o.commit("s", "s")
	o.must(o.repo.Branch(t.Context(), "main"))
	o.push("x", "new content of x")
	r := o.open(source.Options{Ref: source.Ref{Branch: "main"}})
	r.fetch()

	o.git("", "merge", "--quiet", "--no-commit", "--no-ff", "side")
	merged := o.push("x", "old content of x")
	snapshot := r.fetch()
	if snapshot.Rewritten != "" {
		t.Errorf("a merge is said to replace %s", snapshot.Rewritten)
	}
	if snapshot.Commit != merged || content(t, snapshot, "x") != "old content of x" || content(t, snapshot, "s") != "s" {
		t.Errorf("the merge was not read: %s", snapshot.Commit)
	}
}

func TestG9DeletedBranchIsAnErrorAndRecovers(t *testing.T) {
	o := newOrigin(t, gitserver.Options{})
	o.push("a", "1")
	o.must(o.repo.Branch(t.Context(), "topic"))
	topic := o.push("a", "2")
	r := o.open(source.Options{Ref: source.Ref{Branch: "topic"}})
	before := r.fetch()
	o.must(o.repo.Push(t.Context(), ":topic"))
	r.refused(source.RefNotFound, `branch "topic" not found`, "main")
	if content(t, before, "a") != "2" {
		t.Error("the last good snapshot cannot be read")
	}
	o.must(o.repo.Push(t.Context(), "topic"))
	if got := r.fetch().Commit; got != topic {
		t.Errorf("got %s; want %s", got, topic)
	}
}

func TestG10EmptyRepository(t *testing.T) {
	o := newOrigin(t, gitserver.Options{})
	r := o.open(source.Options{})
	r.refused(source.EmptyRepository, "push a first commit")
	o.push("a", "1")
	r.fetch()
}

func TestDefaultBranchThatDoesNotExist(t *testing.T) {
	o := newOrigin(t, gitserver.Options{})
	o.must(o.repo.Branch(t.Context(), "trunk"))
	o.push("a", "1")
	o.open(source.Options{}).refused(source.RefNotFound, "default branch", "trunk")
}

func TestDetachedHead(t *testing.T) {
	o := newOrigin(t, gitserver.Options{})
	one := o.push("a", "1")
	o.push("a", "2")
	o.must(os.WriteFile(filepath.Join(o.repo.Bare, "HEAD"), []byte(one+"\n"), 0o644))
	if got := o.open(source.Options{}).fetch().Revision; got != "HEAD@sha1:"+string(one) {
		t.Errorf("got %s", got)
	}
}

func TestG11BadCommitIsNotFetchedAgain(t *testing.T) {
	o := newOrigin(t, gitserver.Options{})
	o.push("prod/a", "1", "README", "x")
	r := o.open(source.Options{Path: "prod"})
	good := r.fetch()
	o.must(o.repo.Remove("prod"))
	o.push()
	r.refused(source.PathNotFound, "path prod not found", "has no directories")
	o.server.Forget()
	r.refused(source.PathNotFound)
	if fetches := o.server.Fetches(); len(fetches) != 0 {
		t.Errorf("the bad commit was fetched again: %+v", fetches)
	}
	if content(t, good, "prod/a") != "1" {
		t.Error("the last good snapshot cannot be read")
	}
	o.must(o.repo.ForcePush(t.Context(), string(good.Commit)+":refs/heads/main"))
	if got := r.fetch(); got.Commit != good.Commit || content(t, got, "prod/a") != "1" {
		t.Errorf("got %s after going back to %s", got.Commit, good.Commit)
	}
	if fetches := o.server.Fetches(); len(fetches) != 0 {
		t.Errorf("the good commit was fetched again: %+v", fetches)
	}
	mended := o.push("prod/a", "2")
	if got := r.fetch().Commit; got != mended {
		t.Errorf("got %s; want %s", got, mended)
	}
}

func TestStoreIsStartedAfreshWhenFull(t *testing.T) {
	o := newOrigin(t, gitserver.Options{})
	o.push("a", "0")
	dir := t.TempDir()
	r := o.open(source.Options{Dir: dir, Limits: source.Limits{Packs: 3}})
	var snapshots []source.Snapshot
	for i := range 10 {
		o.push("a", fmt.Sprint(i))
		snapshots = append(snapshots, r.fetch())
		if got := content(t, snapshots[i], "a"); got != fmt.Sprint(i) {
			t.Errorf("commit %d holds %q", i, got)
		}
		if i > 0 && content(t, snapshots[i-1], "a") != fmt.Sprint(i-1) {
			t.Errorf("snapshot %d cannot be read after the next fetch", i-1)
		}
	}
	stores, err := os.ReadDir(dir)
	o.must(err)
	if len(stores) != 2 {
		t.Errorf("%d stores are kept; want the current one and the one before", len(stores))
	}
	o.must(r.Close())
	stores, err = os.ReadDir(dir)
	o.must(err)
	if len(stores) != 0 {
		t.Errorf("%d stores are left after Close", len(stores))
	}
	if _, err := fs.ReadFile(snapshots[9].Tree, "a"); err == nil {
		t.Error("a snapshot was read after Close")
	}
	r.refused(source.StoreFailed, "closed")
}

func TestOpenRemovesStoresOfDeadProcess(t *testing.T) {
	o := newOrigin(t, gitserver.Options{})
	dir := t.TempDir()
	o.must(os.MkdirAll(filepath.Join(dir, "kilter-objects-123", "objects"), 0o700))
	o.must(os.WriteFile(filepath.Join(dir, "precious"), nil, 0o600))
	o.open(source.Options{Dir: dir})
	left, err := os.ReadDir(dir)
	o.must(err)
	if len(left) != 1 || left[0].Name() != "precious" {
		t.Errorf("left are %v; want only what is not a store", left)
	}
}

func TestDamagedStoreIsReplaced(t *testing.T) {
	for name, damage := range map[string]func(dir string) error{
		"directory deleted": os.RemoveAll,
		"directory emptied": func(dir string) error { return os.RemoveAll(filepath.Join(dir, "objects")) },
		"packs overwritten": func(dir string) error {
			return filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
				if err != nil || entry.IsDir() {
					return err
				}
				if err := os.Chmod(file, 0o600); err != nil {
					return err
				}
				return os.WriteFile(file, []byte(strings.Repeat("damage ", 1_000)), 0o600)
			})
		},
		"packs truncated": func(dir string) error {
			return filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
				if err != nil || entry.IsDir() {
					return err
				}
				return os.Truncate(file, 20)
			})
		},
	} {
		t.Run(name+", then a push", func(t *testing.T) {
			o := newOrigin(t, gitserver.Options{})
			o.push("a", strings.Repeat("1", 100_000))
			r, dir := openInNamedStore(o)
			o.must(damage(dir))
			o.push("a", "2")
			if got := content(t, r.fetch(), "a"); got != "2" {
				t.Errorf("got %q", got)
			}
		})
		t.Run(name+", then a read", func(t *testing.T) {
			o := newOrigin(t, gitserver.Options{})
			o.push("a", "1", "b", strings.Repeat("1", 100_000))
			r, dir := openInNamedStore(o)
			snapshot := r.fetch()
			o.must(damage(dir))
			_, damaged := fs.ReadFile(snapshot.Tree, "b")
			again := r.fetch()
			if got := content(t, again, "b"); len(got) != 100_000 {
				t.Errorf("got %d bytes after a fetch; the read before it said: %v", len(got), damaged)
			}
			if damaged != nil && again.Tree == snapshot.Tree {
				t.Errorf("the damaged snapshot came again")
			}
		})
	}
}

// openInNamedStore fetches once and returns the directory of the store.
func openInNamedStore(o *origin) (*opened, string) {
	o.Helper()
	dir := o.TempDir()
	r := o.open(source.Options{Dir: dir})
	r.fetch()
	stores, err := filepath.Glob(filepath.Join(dir, "*"))
	o.must(err)
	if len(stores) != 1 {
		o.Fatalf("stores are %v; want one", stores)
	}
	return r, stores[0]
}

func TestG16StoreThatCannotBeWritten(t *testing.T) {
	o := newOrigin(t, gitserver.Options{})
	o.push("a", "1")
	file := filepath.Join(t.TempDir(), "file")
	o.must(os.WriteFile(file, nil, 0o600))
	r := o.open(source.Options{Dir: filepath.Join(t.TempDir(), "later")})
	r.fetch()
	_, err := source.Open(source.Options{URL: o.url, AllowInsecure: true, Dir: file})
	checkError(t, err, source.StoreFailed, "check that the directory can be written")
}
