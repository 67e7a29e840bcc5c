package source_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"kilter.dev/kilter/internal/gitserver"
	"kilter.dev/kilter/source"
)

func TestFetchSendsOnlyWhatIsNew(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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

func TestG8RewrittenHistoryIsFollowed(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
	o := newOrigin(t, gitserver.Options{})
	r := o.open(source.Options{})
	r.refused(source.EmptyRepository, "push a first commit")
	o.push("a", "1")
	r.fetch()
}

func TestG11BadCommitIsNotFetchedAgain(t *testing.T) {
	t.Parallel()
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
