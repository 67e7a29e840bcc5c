package source_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"kilter.dev/kilter/internal/gitserver"
	"kilter.dev/kilter/source"
)

func TestRefs(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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

func TestDefaultBranchThatDoesNotExist(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, gitserver.Options{})
	o.must(o.repo.Branch(t.Context(), "trunk"))
	o.push("a", "1")
	o.open(source.Options{}).refused(source.RefNotFound, "default branch", "trunk")
}

func TestDetachedHead(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, gitserver.Options{})
	one := o.push("a", "1")
	o.push("a", "2")
	o.must(os.WriteFile(filepath.Join(o.repo.Bare, "HEAD"), []byte(one+"\n"), 0o644))
	if got := o.open(source.Options{}).fetch().Revision; got != "HEAD@sha1:"+string(one) {
		t.Errorf("got %s", got)
	}
}
