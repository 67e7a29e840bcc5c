package source_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"kilter.dev/kilter/internal/gitserver"
	"kilter.dev/kilter/source"
)

// canary is every test's password: it may appear in no error, and in nothing that is printed (internal/canary).
const canary = "c4n4ry-p4ss"

// origin is a repository on a real Git server.
type origin struct {
	*testing.T
	server *gitserver.Server
	repo   *gitserver.Repo
	url    string
}

// newOrigin serves an empty repository.
func newOrigin(t *testing.T, options gitserver.Options) *origin {
	t.Helper()
	options.Dir = t.TempDir()
	server, err := gitserver.Start(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	repo, err := server.Create(t.Context(), "team", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return &origin{T: t, server: server, repo: repo, url: server.URL("team")}
}

// behind serves the repository through another handler, which gets the real server's to call.
func (o *origin) behind(wrap func(git http.Handler) http.HandlerFunc) {
	front := httptest.NewServer(wrap(o.server))
	o.Cleanup(front.Close)
	o.url = front.URL + "/team.git"
}

// push commits files, which are given as name and content in turn, and pushes the current branch.
func (o *origin) push(files ...string) source.Commit {
	o.Helper()
	return o.pushWith(o.repo.ForcePush, files...)
}

func (o *origin) pushWith(push func(context.Context, ...string) error, files ...string) source.Commit {
	o.Helper()
	commit := o.commit(files...)
	o.must(push(o.Context()))
	return commit
}

// commit commits files without pushing them.
func (o *origin) commit(files ...string) source.Commit {
	o.Helper()
	for i := 0; i < len(files); i += 2 {
		o.must(o.repo.Write(files[i], files[i+1]))
	}
	commit, err := o.repo.Commit(o.Context(), "change")
	o.must(err)
	return source.Commit(commit)
}

// git runs a git command in the working clone, with input, and returns what it prints.
func (o *origin) git(input string, args ...string) string {
	o.Helper()
	output, err := o.repo.GitInput(o.Context(), input, args...)
	o.must(err)
	return output
}

func (o *origin) must(err error) {
	o.Helper()
	if err != nil {
		o.Fatal(err)
	}
}

// open opens the repository with the options, of which the rest is filled in.
func (o *origin) open(options source.Options) *opened {
	o.Helper()
	if options.URL == "" {
		options.URL = o.url
	}
	if options.Dir == "" {
		options.Dir = o.TempDir()
	}
	if options.Timeout == 0 {
		options.Timeout = 30 * time.Second
	}
	options.AllowInsecure = true
	repository, err := source.Open(options)
	if err != nil {
		o.Fatal(err)
	}
	o.Cleanup(func() {
		if err := repository.Close(); err != nil {
			o.Error(err)
		}
	})
	return &opened{T: o.T, Repository: repository}
}

// opened is a Repository under test.
type opened struct {
	*testing.T
	*source.Repository
}

// fetch fetches what must be there.
func (r *opened) fetch() source.Snapshot {
	r.Helper()
	snapshot, err := r.Fetch(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	return snapshot
}

// refused fetches what must be refused, and returns the error after checking all that holds for every error.
func (r *opened) refused(reason source.Reason, words ...string) refusal {
	r.Helper()
	snapshot, err := r.Fetch(r.Context())
	if err == nil {
		r.Fatalf("Fetch returned %s; want %s", snapshot.Revision, reason)
	}
	if snapshot != (source.Snapshot{}) {
		r.Errorf("Fetch returned a snapshot beside the error: %v", snapshot)
	}
	refused := checkError(r.T, err, reason, words...)
	if refused.err.Step == "" {
		r.Errorf("the error does not say which step failed: %v", err)
	}
	return refused
}

// refusal holds an error that has been checked; it is none itself, so that nobody need look at it again.
type refusal struct{ err *source.Error }

func checkError(t *testing.T, err error, reason source.Reason, words ...string) refusal {
	t.Helper()
	refused, ok := errors.AsType[*source.Error](err)
	if !ok {
		t.Fatalf("got %T %v; want a *source.Error", err, err)
	}
	if refused.Reason != reason {
		t.Errorf("reason is %s; want %s: %v", refused.Reason, reason, err)
	}
	text := err.Error()
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("error lacks %q: %s", word, text)
		}
	}
	if everything := fmt.Sprintf("%v %+v %#v", err, err, *refused); strings.Contains(everything, canary) {
		t.Errorf("error holds the password: %s", everything)
	}
	if strings.ContainsAny(text, "\n\r\x1b") {
		t.Errorf("error holds control characters: %q", text)
	}
	return refusal{refused}
}

// content reads a file that must be there.
func content(t *testing.T, snapshot source.Snapshot, name string) string {
	t.Helper()
	data, err := fs.ReadFile(snapshot.Tree, name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// credentials are the same at every attempt.
func credentials(c source.Credentials) func(context.Context) (source.Credentials, error) {
	return func(context.Context) (source.Credentials, error) { return c, nil }
}
