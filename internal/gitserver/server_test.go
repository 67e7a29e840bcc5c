package gitserver_test

import (
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kilter.dev/kilter/internal/gitserver"
)

func TestServeAndRecord(t *testing.T) {
	server, err := gitserver.Start(gitserver.Options{Dir: filepath.Join(t.TempDir(), "repositories")})
	if err != nil {
		t.Fatal(err)
	}
	address, err := url.Parse(server.URL("team"))
	if err != nil || !net.ParseIP(address.Hostname()).IsLoopback() {
		t.Errorf("the server listens on %v, %v; want loopback only", address, err)
	}
	repo, err := server.Create(t.Context(), "team", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(repo.Write("dir/a", "1"))
	must(repo.Write("b", "2"))
	first, err := repo.Commit(t.Context(), "first")
	must(err)
	must(repo.Tag(t.Context(), "v1", "a message"))
	must(repo.Push(t.Context(), "main", "v1"))
	must(repo.Remove("dir"))
	if err := repo.Remove("dir"); err == nil {
		t.Error("what is not there was removed")
	}
	must(repo.Branch(t.Context(), "topic"))
	second, err := repo.Commit(t.Context(), "second")
	must(err)
	must(repo.Push(t.Context()))

	clone := filepath.Join(t.TempDir(), "clone")
	_, err = repo.Git(t.Context(), "clone", "--quiet", server.URL("team"), clone)
	must(err)
	if data, err := os.ReadFile(filepath.Join(clone, "dir", "a")); string(data) != "1" {
		t.Errorf("cloned %q, %v", data, err)
	}
	refs, err := repo.Git(t.Context(), "ls-remote", server.URL("team"))
	must(err)
	for _, want := range []string{first + "\trefs/heads/main", second + "\trefs/heads/topic", "refs/tags/v1", first + "\tHEAD"} {
		if !strings.Contains(refs, want) {
			t.Errorf("refs lack %s:\n%s", want, refs)
		}
	}
	fetches := server.Fetches()
	if len(fetches) == 0 || fetches[0].Path != "/team.git/git-upload-pack" || fetches[0].Bytes == 0 || fetches[0].Status != 200 {
		t.Errorf("recorded fetches are %+v", fetches)
	}
	server.Forget()
	_, err = repo.Git(t.Context(), "push", "--quiet", server.URL("team"), "HEAD:refs/heads/pushed")
	must(err)
	for _, request := range server.Requests() {
		if request.Service != "git-receive-pack" || request.Fetch() {
			t.Errorf("a push was recorded as %+v", request)
		}
	}
	must(server.Close())
	if _, err := repo.Git(t.Context(), "ls-remote", server.URL("team")); err == nil {
		t.Error("the server answers after Close")
	}
	_, err = repo.Git(t.Context(), "no-such-command")
	if err == nil || !strings.Contains(err.Error(), "cannot run git no-such-command: git:") {
		t.Errorf("a failing command said %v", err)
	}
}

func TestBasicAuthentication(t *testing.T) {
	server, err := gitserver.Start(gitserver.Options{Dir: t.TempDir(), Username: "ann", Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if _, err := server.Create(t.Context(), "team", t.TempDir()); err != nil {
		t.Fatal(err)
	}
	for password, want := range map[string]int{"": 401, "wrong": 401, "secret": 200} {
		address := server.URL("team") + "/info/refs?service=git-upload-pack"
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		if password != "" {
			request.SetBasicAuth("ann", password)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("password %q got %d; want %d", password, response.StatusCode, want)
		}
	}
}
