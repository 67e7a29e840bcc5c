package source_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"kilter.dev/kilter/internal/gitserver"
	"kilter.dev/kilter/source"
)

// library is a repository beside the origin's, which it has as a submodule.
type library struct {
	*origin
	repo *gitserver.Repo
}

func newLibrary(o *origin, name string) *library {
	o.Helper()
	repo, err := o.server.Create(o.Context(), name, o.TempDir())
	o.must(err)
	return &library{origin: o, repo: repo}
}

// push pushes one file and returns the commit.
func (l *library) push(name, content string) string {
	l.Helper()
	l.must(l.repo.Write(name, content))
	commit, err := l.repo.Commit(l.Context(), "change")
	l.must(err)
	l.must(l.repo.Push(l.Context()))
	return commit
}

// pin makes the origin's next commit hold a submodule, and pushes it. An empty URL leaves .gitmodules out.
func (o *origin) pin(at, url, commit string) {
	o.Helper()
	if url != "" {
		o.must(o.repo.Write(".gitmodules", "[submodule \"lib\"]\n\tpath = "+at+"\n\turl = "+url+"\n"))
		o.git("", "add", ".gitmodules")
	}
	o.git("", "update-index", "--add", "--cacheinfo", "160000,"+commit+","+at)
	o.git("", "commit", "--quiet", "--allow-empty", "--message", "pin")
	o.must(o.repo.ForcePush(o.Context()))
}

func (o *origin) fetchesOf(name string) int {
	count := 0
	for _, request := range o.server.Fetches() {
		if strings.HasPrefix(request.Path, "/"+name+".git/") {
			count++
		}
	}
	return count
}

func TestSubmodules(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, gitserver.Options{Username: "ann", Password: canary})
	lib := newLibrary(o, "lib")
	o.push("prod/a.yaml", "a")
	given := credentials(source.Credentials{Username: "ann", Password: canary})
	first := lib.push("b.yaml", "b")
	newest := lib.push("b.yaml", "bb") // the pinned one is not the tip
	o.pin("prod/lib", "../lib.git", first)

	o.open(source.Options{Credentials: given}).refused(source.UnsupportedEntry, "prod/lib is a submodule", "git.submodules: true")
	r := o.open(source.Options{Credentials: given, Submodules: true, Path: "prod"})
	snapshot := r.fetch()
	if got := content(t, snapshot, "prod/lib/b.yaml") + content(t, snapshot, "prod/a.yaml"); got != "ba" {
		t.Errorf("read %q", got)
	}
	before := o.fetchesOf("lib")
	r.fetch()
	o.git("", "commit", "--quiet", "--allow-empty", "--message", "nothing")
	o.must(o.repo.ForcePush(t.Context()))
	r.fetch()
	if got := o.fetchesOf("lib"); got != before {
		t.Errorf("the submodule was fetched %d times more although it has not moved", got-before)
	}
	o.pin("prod/lib", "", newest)
	if got := content(t, r.fetch(), "prod/lib/b.yaml"); got != "bb" {
		t.Errorf("read %q after the submodule has moved", got)
	}

	// Outside of the path nothing is asked for.
	o.Run("outside", func(t *testing.T) {
		o.server.Forget()
		o.push("other/c", "c")
		o.open(source.Options{Credentials: given, Submodules: true, Path: "other"}).fetch()
		if got := o.fetchesOf("lib"); got != 0 {
			t.Errorf("a submodule outside of the path was fetched %d times", got)
		}
	})
}

func TestSubmodulesThatAreRefused(t *testing.T) {
	t.Parallel()
	elsewhere := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere = true }))
	t.Cleanup(other.Close)
	const none = "1111111111111111111111111111111111111111"
	for name, c := range map[string]struct {
		url    string
		pinned string // the library's newest commit when empty
		reason source.Reason
		words  []string
	}{
		"another host":            {url: other.URL + "/lib.git", reason: source.UnsupportedEntry, words: []string{"elsewhere than on the repository's own host"}},
		"another protocol":        {url: "ssh://git@127.0.0.1/lib.git", reason: source.UnsupportedEntry, words: []string{"elsewhere"}},
		"a local path":            {url: "/srv/lib.git", reason: source.UnsupportedEntry, words: []string{"cannot be fetched", "on the local disk"}},
		"a helper":                {url: "ext::sh -c touch% /tmp/owned", reason: source.UnsupportedEntry, words: []string{"cannot be fetched"}},
		"an option":               {url: "--upload-pack=touch", reason: source.UnsupportedEntry, words: []string{"cannot be fetched"}},
		"credentials in the URL":  {url: "http://ann:" + canary + "@127.0.0.1/lib.git", reason: source.UnsupportedEntry, words: []string{"carries credentials"}},
		"the host itself":         {url: "../../..", reason: source.UnsupportedEntry, words: []string{"leads nowhere"}},
		"unnamed":                 {url: "", reason: source.UnsupportedEntry, words: []string{".gitmodules does not name"}},
		"no such repository":      {url: "../none.git", reason: source.RepositoryNotFound, words: []string{"submodule lib at", "../none.git", "no such repository"}},
		"no such commit":          {url: "../lib.git", pinned: none, reason: source.RefNotFound, words: []string{"submodule lib at", "commit 11111", "push it there"}},
		"a submodule of its own":  {url: "../nested.git", reason: source.UnsupportedEntry, words: []string{"lib/deeper is a submodule of a submodule"}},
		"a URL that looks absent": {url: "../lib.git?x=1", reason: source.UnsupportedEntry, words: []string{"leads nowhere"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOrigin(t, gitserver.Options{})
			commit := newLibrary(o, "lib").push("b", "b")
			if name == "a submodule of its own" {
				nested := newLibrary(o, "nested")
				nested.push("b", "b")
				inner := &origin{T: t, server: o.server, repo: nested.repo}
				inner.pin("deeper", "../lib.git", commit)
				commit = strings.TrimSpace(inner.git("", "rev-parse", "HEAD"))
			}
			if c.pinned != "" {
				commit = c.pinned
			}
			o.push("a", "1")
			o.pin("lib", c.url, commit)
			o.open(source.Options{Submodules: true, Credentials: credentials(source.Credentials{BearerToken: canary})}).refused(c.reason, c.words...)
		})
	}
	if elsewhere {
		t.Error("another host was asked")
	}
}

// What is wrong with the other repository may pass: the same commit is read as soon as it does, and the last snapshot stays readable until then.
func TestSubmoduleThatComesBack(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, gitserver.Options{})
	commit := newLibrary(o, "lib").push("b", "b")
	o.push("a", "1")
	down := true
	o.behind(func(git http.Handler) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if down && strings.HasPrefix(r.URL.Path, "/lib.git/") {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			git.ServeHTTP(w, r)
		}
	})
	r := o.open(source.Options{Submodules: true})
	snapshot := r.fetch()
	o.pin("lib", "../lib.git", commit)
	for range 2 {
		if refused := r.refused(source.ServerError, "submodule lib at", "502"); !refused.err.Transient() || refused.err.Step != source.StepWalk {
			t.Errorf("transient %v, step %s", refused.err.Transient(), refused.err.Step)
		}
		if content(t, snapshot, "a") != "1" {
			t.Error("the snapshot before cannot be read")
		}
	}
	down = false
	if content(t, r.fetch(), "lib/b") != "b" {
		t.Error("the submodule's file is another")
	}
}
