package source_test

import (
	"strings"
	"testing"

	"kilter.dev/kilter/internal/gitserver"
	"kilter.dev/kilter/source"
)

func TestSemVerFollowsTheHighestTag(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, gitserver.Options{})
	for _, tag := range []string{
		"1.1.9", "v1.2.0", "v1.10.0-rc.1", "v1.9.0", "1.9.0+build.2", "v2.0.0-alpha", "v2.0.0", "3.0", "v4", "2026-01-01", "nightly", "v01.99.0",
	} {
		o.push("a", tag)
		o.must(o.repo.Tag(t.Context(), tag, map[bool]string{true: "annotated"}[strings.HasPrefix(tag, "v")]))
		o.must(o.repo.Push(t.Context(), tag))
	}
	for semver, want := range map[string]string{
		">=1.2 <2":         "v1.9.0",
		"1.x":              "v1.9.0",
		"*":                "v2.0.0",
		"<1.2":             "1.1.9",
		"~1.2":             "v1.2.0",
		"1.9.0":            "v1.9.0",
		">=1.2.0-0 <1.99":  "v1.10.0-rc.1",
		"^1.2.0-0":         "v1.10.0-rc.1",
		">1.9 <2":          "", // 1.10.0-rc.1 is none that the range names
		">=3":              "", // neither 3.0 nor v4 nor a date is a version
		">1.9.0 <1.10.0-0": "",
	} {
		t.Run(semver, func(t *testing.T) {
			r := (&origin{T: t, url: o.url}).open(source.Options{Ref: source.Ref{SemVer: semver}})
			if want == "" {
				r.refused(source.RefNotFound, "no tag is a version in the range "+semver, "the repository has the tags 1.1.9, ")
				return
			}
			snapshot := r.fetch()
			if got := content(t, snapshot, "a"); got != want || !strings.HasPrefix(snapshot.Revision, want+"@sha1:") {
				t.Errorf("got %s of %s; want %s", got, snapshot.Revision, want)
			}
		})
	}
}

func TestSemVerMovesWithTheTags(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, gitserver.Options{})
	tag := func(name string) {
		o.push("a", name)
		o.must(o.repo.Tag(t.Context(), name, ""))
		o.must(o.repo.Push(t.Context(), name))
	}
	r := o.open(source.Options{Ref: source.Ref{SemVer: "1.x"}})
	o.push("a", "none")
	r.refused(source.RefNotFound, "the repository has no tags")
	for _, step := range []struct{ do, want string }{{"v1.0.0", "v1.0.0"}, {"v1.1.0", "v1.1.0"}, {"v1.0.5", "v1.1.0"}, {"v2.0.0", "v1.1.0"}} {
		tag(step.do)
		o.server.Forget()
		if got := content(t, r.fetch(), "a"); got != step.want {
			t.Errorf("after %s: got %s; want %s", step.do, got, step.want)
		}
		if fetched := len(o.server.Fetches()) > 0; fetched != (step.do == step.want) {
			t.Errorf("after %s: fetched is %v", step.do, fetched)
		}
	}
	o.must(o.repo.Push(t.Context(), ":v1.1.0"))
	if got := content(t, r.fetch(), "a"); got != "v1.0.5" {
		t.Errorf("after v1.1.0 was withdrawn: got %s; want the highest that is left", got)
	}
}

// A commit that no ref leads to can be had from a server that allows it, without any history.
func TestCommitThatNoRefLeadsTo(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, gitserver.Options{})
	o.push("a", strings.Repeat("history ", 1000))
	lost := o.push("a", "lost")
	o.git("", "reset", "--quiet", "--hard", "HEAD~1")
	o.push("a", "kept")
	r := o.open(source.Options{Ref: source.Ref{Commit: lost}})
	r.refused(source.RefNotFound, string(lost), "push it")
	o.git("", "--git-dir", o.repo.Bare, "config", "uploadpack.allowAnySHA1InWant", "true")
	o.push("b", "a new ref is worth a new search")
	o.server.Forget()
	if snapshot := r.fetch(); content(t, snapshot, "a") != "lost" || snapshot.Revision != "sha1:"+string(lost) {
		t.Errorf("got %s", snapshot.Revision)
	}
	if fetches := o.server.Fetches(); len(fetches) != 1 || fetches[0].Bytes > 1000 {
		t.Errorf("the fetches were %+v; want one, of the commit alone", fetches)
	}
}
