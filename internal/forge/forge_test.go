package forge_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/crypto/ssh"

	"kilter.dev/kilter/hook"
	"kilter.dev/kilter/internal/forge"
	"kilter.dev/kilter/internal/gitserver"
	"kilter.dev/kilter/source"
)

// TestGitea reads a private repository in every way that a team may, and is told of pushes by webhooks. One Gitea serves all of it.
func TestGitea(t *testing.T) {
	program := filepath.Join("..", "..", "bin", "gitea")
	if _, err := os.Stat(program); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("needs bin/gitea: run make test")
	}
	gitea, err := forge.Start(t.Context(), forge.Options{Program: program, Module: filepath.Join("..", "..", "tools", "gitea"), Dir: t.TempDir()})
	must(t, err)
	t.Cleanup(func() { must(t, gitea.Close()) })
	f := &fixture{Forge: gitea}
	for _, c := range []struct {
		name string
		test func(*fixture, *testing.T)
	}{
		{"tokens and passwords", (*fixture).tokens},
		{"deploy key", (*fixture).deployKey},
		{"refs", (*fixture).refs},
		{"signed commit", (*fixture).signed},
		{"webhook", (*fixture).webhook},
		{"part of a repository", (*fixture).part},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(f, t)
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

type fixture struct{ *forge.Forge }

// repository makes a private repository with one file, and returns a clone to push from.
func (f *fixture) repository(t *testing.T, name string) *gitserver.Repo {
	t.Helper()
	must(t, f.API(t.Context(), http.MethodPost, "/user/repos", map[string]any{"name": name, "private": true}, nil))
	repo, err := gitserver.NewRepo(t.Context(), t.TempDir(), f.PushURL(name))
	must(t, err)
	push(t, repo, "1")
	return repo
}

// push commits and pushes prod/a.
func push(t *testing.T, repo *gitserver.Repo, content string) source.Commit {
	t.Helper()
	must(t, repo.Write("prod/a", content))
	commit, err := repo.Commit(t.Context(), "change")
	must(t, err)
	must(t, repo.Push(t.Context()))
	return source.Commit(commit)
}

// open opens a repository with the credentials of the moment.
func open(t *testing.T, options source.Options, c *source.Credentials) *source.Repository {
	t.Helper()
	options.AllowInsecure, options.Path, options.Dir = true, "prod", t.TempDir()
	options.Credentials = func(context.Context) (source.Credentials, error) { return *c, nil }
	r, err := source.Open(options)
	must(t, err)
	t.Cleanup(func() { must(t, r.Close()) })
	return r
}

// reads fetches, and checks the commit and what prod/a holds.
func reads(t *testing.T, r *source.Repository, commit source.Commit, content string) {
	t.Helper()
	snapshot, err := r.Fetch(t.Context())
	must(t, err)
	got, err := fs.ReadFile(snapshot.Tree, "prod/a")
	if err != nil || snapshot.Commit != commit || string(got) != content {
		t.Errorf("got %q, %v of commit %s; want %q of %s", got, err, snapshot.Commit, content, commit)
	}
}

// refused fetches what must fail for the reason, without a word of the secrets.
func refused(t *testing.T, r *source.Repository, reason source.Reason, secrets ...string) {
	t.Helper()
	_, err := r.Fetch(t.Context())
	failure, ok := errors.AsType[*source.Error](err)
	if !ok || failure.Reason != reason {
		t.Fatalf("got %v; want %s", err, reason)
	}
	for _, secret := range append(secrets, forge.Password) {
		if strings.Contains(err.Error(), secret) {
			t.Error("the error holds a secret")
		}
	}
}

func (f *fixture) tokens(t *testing.T) {
	repo := f.repository(t, "tokens")
	head, err := repo.Head(t.Context())
	must(t, err)
	commit := source.Commit(head)
	var token struct {
		Name string
		SHA1 string
	}
	must(t, f.API(t.Context(), http.MethodPost, "/users/"+forge.User+"/tokens",
		map[string]any{"name": "kilter", "scopes": []string{"read:repository"}}, &token))
	at := source.Options{URL: f.URL("tokens")}
	reads(t, open(t, at, &source.Credentials{Username: forge.User, Password: forge.Password}), commit, "1")
	reads(t, open(t, at, &source.Credentials{BearerToken: token.SHA1}), commit, "1")
	refused(t, open(t, at, &source.Credentials{}), source.AuthenticationFailed)
	refused(t, open(t, at, &source.Credentials{Username: forge.User, Password: "wr0ng-" + forge.Password}), source.AuthenticationFailed)
	refused(t, open(t, source.Options{URL: f.URL("missing")}, &source.Credentials{Username: forge.User, Password: forge.Password}),
		source.RepositoryNotFound)

	// A token that is taken back, and the next one, while the repository stays open.
	held := source.Credentials{Username: "git", Password: token.SHA1}
	r := open(t, at, &held)
	reads(t, r, commit, "1")
	must(t, f.API(t.Context(), http.MethodDelete, "/users/"+forge.User+"/tokens/"+token.Name, nil, nil))
	refused(t, r, source.AuthenticationFailed, token.SHA1)
	held.Username, held.Password = forge.User, forge.Password
	reads(t, r, push(t, repo, "2"), "2")
}

// newKey makes a key pair: the private half as ssh-keygen writes it, and the public half as one line.
func newKey(t *testing.T) (private []byte, public string) {
	t.Helper()
	half, key, err := ed25519.GenerateKey(nil)
	must(t, err)
	block, err := ssh.MarshalPrivateKey(key, "")
	must(t, err)
	line, err := ssh.NewPublicKey(half)
	must(t, err)
	return pem.EncodeToMemory(block), string(ssh.MarshalAuthorizedKey(line))
}

// deployed makes a key that may read a repository.
func (f *fixture) deployed(t *testing.T, name string) source.Credentials {
	t.Helper()
	identity, public := newKey(t)
	must(t, f.API(t.Context(), http.MethodPost, "/repos/"+forge.User+"/"+name+"/keys",
		map[string]any{"title": "kilter", "key": public, "read_only": true}, nil))
	return source.Credentials{Identity: identity, KnownHosts: f.KnownHosts()}
}

func (f *fixture) deployKey(t *testing.T) {
	repo := f.repository(t, "deployed")
	f.repository(t, "other")
	mine := f.deployed(t, "deployed")
	key := &mine
	r := open(t, source.Options{URL: f.SSH("deployed")}, key)
	reads(t, r, push(t, repo, "2"), "2")
	reads(t, r, push(t, repo, "3"), "3")

	stranger, _ := newKey(t)
	refused(t, open(t, source.Options{URL: f.SSH("deployed")}, &source.Credentials{Identity: stranger, KnownHosts: f.KnownHosts()}),
		source.AuthenticationFailed)
	refused(t, open(t, source.Options{URL: f.SSH("other")}, key), source.RepositoryNotFound)
}

func (f *fixture) refs(t *testing.T) {
	repo := f.repository(t, "refs")
	first := push(t, repo, "first")
	must(t, repo.Tag(t.Context(), "v1.0.0", ""))
	second := push(t, repo, "second")
	must(t, repo.Tag(t.Context(), "v1.1.0", "annotated"))
	third := push(t, repo, "third")
	must(t, repo.Tag(t.Context(), "v2.0.0-rc.1", ""))
	must(t, repo.Push(t.Context(), "--tags"))
	as := &source.Credentials{Username: forge.User, Password: forge.Password}
	for _, c := range []struct {
		ref     source.Ref
		commit  source.Commit
		content string
	}{
		{source.Ref{}, third, "third"},
		{source.Ref{Branch: "main"}, third, "third"},
		{source.Ref{Tag: "v1.0.0"}, first, "first"},
		{source.Ref{Tag: "v1.1.0"}, second, "second"},
		{source.Ref{SemVer: ">=1"}, second, "second"},
		{source.Ref{SemVer: ">=1-0"}, third, "third"},
		{source.Ref{Commit: first}, first, "first"},
		{source.Ref{Name: "refs/tags/v1.1.0"}, second, "second"},
	} {
		reads(t, open(t, source.Options{URL: f.URL("refs"), Ref: c.ref}, as), c.commit, c.content)
	}
	refused(t, open(t, source.Options{URL: f.URL("refs"), Ref: source.Ref{Branch: "none"}}, as), source.RefNotFound)
}

func (f *fixture) signed(t *testing.T) {
	repo := f.repository(t, "signed")
	private, public := newKey(t)
	file := filepath.Join(t.TempDir(), "key")
	must(t, os.WriteFile(file, private, 0o600))
	must(t, os.WriteFile(file+".pub", []byte(public), 0o600))
	as := &source.Credentials{Username: forge.User, Password: forge.Password}
	r := open(t, source.Options{URL: f.URL("signed"), Verify: &source.Verification{
		Mode: source.VerifyHead,
		Keys: func(context.Context) (map[string][]byte, error) {
			return map[string][]byte{"ann.pub": []byte(public)}, nil
		},
	}}, as)
	refused(t, r, source.Unverified)
	_, err := repo.Git(t.Context(), "-c", "gpg.format=ssh", "-c", "user.signingKey="+file, "commit", "--quiet", "--amend", "--no-edit", "--gpg-sign")
	must(t, err)
	must(t, repo.ForcePush(t.Context()))
	head, err := repo.Head(t.Context())
	must(t, err)
	reads(t, r, source.Commit(head), "1")
}

// part reads a path beside a large file, which stays where it is.
func (f *fixture) part(t *testing.T) {
	repo := f.repository(t, "large")
	random := make([]byte, 5<<20)
	_, _ = rand.Read(random)
	must(t, repo.Write("other/large", string(random)))
	commit := push(t, repo, "2")
	for _, c := range []struct {
		url string
		as  source.Credentials
	}{
		{f.URL("large"), source.Credentials{Username: forge.User, Password: forge.Password}},
		{f.SSH("large"), f.deployed(t, "large")},
	} {
		reads(t, open(t, source.Options{URL: c.url, Limits: source.Limits{PackBytes: 1 << 20}}, &c.as), commit, "2")
	}
}

// log is what a Receiver prints.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// Gitea signs a webhook for each push, the receiver takes it, and the fetch that follows sees what was pushed.
func (f *fixture) webhook(t *testing.T) {
	const secret = "c4n4ry-of-the-webhook"
	repo := f.repository(t, "hooked")
	var told log
	receiver := hook.NewReceiver(prometheus.NewRegistry(), slog.New(slog.NewTextHandler(&told, nil)))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	serving, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- receiver.Serve(serving, listener) }()
	t.Cleanup(func() { stop(); must(t, <-ended) })
	asked := make(chan struct{}, 100)
	for _, name := range []string{"right", "wrong"} {
		token := map[string]string{"right": secret, "wrong": "another-" + secret}[name]
		t.Cleanup(receiver.Add(t.Context(), hook.Target{
			Name:   hook.Name{Namespace: "team", Name: name},
			Secret: func(context.Context) ([]byte, error) { return []byte(token), nil },
			Fetch: func() {
				if name == "wrong" {
					t.Error("a webhook counts that is signed with another secret")
				}
				asked <- struct{}{}
			},
		}))
	}
	// The wrong one first: Gitea delivers in this order.
	for _, name := range []string{"wrong", "right"} {
		must(t, f.API(t.Context(), http.MethodPost, "/repos/"+forge.User+"/hooked/hooks", map[string]any{
			"type": "gitea", "active": true, "events": []string{"push"},
			"config": map[string]string{"url": "http://" + listener.Addr().String() + "/hook/team/" + name, "content_type": "json", "secret": secret},
		}, nil))
	}
	r := open(t, source.Options{URL: f.URL("hooked")}, &source.Credentials{Username: forge.User, Password: forge.Password})
	for _, content := range []string{"2", "3"} {
		commit := push(t, repo, content)
		select {
		case <-asked:
		case <-time.After(time.Minute):
			t.Fatal("no webhook came")
		}
		reads(t, r, commit, content)
	}
	told.mu.Lock()
	defer told.mu.Unlock()
	if text := told.text.String(); strings.Contains(text, secret) || !strings.Contains(text, "sync=team/wrong") {
		t.Errorf("the log is %s", text)
	}
}
