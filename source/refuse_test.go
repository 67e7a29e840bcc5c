package source_test

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"kilter.dev/kilter/internal/gitserver"
	"kilter.dev/kilter/source"
)

func TestBasicAuthentication(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, gitserver.Options{Username: "ann", Password: canary})
	o.push("a", "1")
	good := source.Credentials{Username: "ann", Password: canary}
	o.open(source.Options{Credentials: credentials(good)}).fetch()
	o.open(source.Options{}).refused(source.AuthenticationFailed, "none are given", "401", "give a user name")

	// What the server does not accept may be a password all the same, with a slip.
	o.open(source.Options{Credentials: credentials(source.Credentials{Username: "bob", Password: canary})}).
		refused(source.AuthenticationFailed, "does not accept", "expired")
	o.open(source.Options{Credentials: credentials(source.Credentials{BearerToken: canary})}).
		refused(source.AuthenticationFailed, "bearer token")
	o.open(source.Options{Credentials: credentials(source.Credentials{Username: "ann", BearerToken: canary})}).
		refused(source.InvalidCredentials, "keep one of the two")
	o.open(source.Options{Credentials: credentials(source.Credentials{CABundle: []byte(canary)})}).
		refused(source.InvalidCredentials, "no certificate")
}

func TestG17CredentialsAreReadAtEachFetch(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, gitserver.Options{Username: "ann", Password: canary})
	o.push("a", "1")
	current, unreadable := source.Credentials{Username: "ann", Password: canary + "-old"}, error(nil)
	r := o.open(source.Options{Credentials: func(context.Context) (source.Credentials, error) { return current, unreadable }})
	r.refused(source.AuthenticationFailed)
	current.Password = canary
	r.fetch()
	unreadable = errors.New(`secret "git-auth" not found`)
	if refused := r.refused(source.InvalidCredentials, `secret "git-auth" not found`); !errors.Is(refused.err, unreadable) {
		t.Error("the cause is lost")
	}
}

func TestG18TLS(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, gitserver.Options{})
	o.push("a", "1")
	front := httptest.NewUnstartedServer(o.server)
	front.Config.ErrorLog = nil
	front.StartTLS()
	t.Cleanup(front.Close)
	o.url = front.URL + "/team.git"
	bundle := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw})
	o.open(source.Options{Credentials: credentials(source.Credentials{CABundle: bundle})}).fetch()
	o.open(source.Options{}).refused(source.UntrustedCertificate, "CA bundle")

	o.url = strings.Replace(o.server.URL("team"), "http:", "https:", 1)
	o.open(source.Options{}).refused(source.Unreachable, "speaks http where https is expected")
}

func TestG5G6G7ServerThatMisbehaves(t *testing.T) {
	t.Parallel()
	answer := func(status int, contentType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			// Whoever prints what a server says prints the credentials.
			fmt.Fprintf(w, body+"\x1b[31m", r.Header.Get("Authorization"))
		}
	}
	const advertisement, page = "application/x-git-upload-pack-advertisement", "text/html; charset=utf-8"
	for name, c := range map[string]struct {
		server http.HandlerFunc
		reason source.Reason
		words  []string
		again  bool // whether trying again may help
	}{
		"login page":   {answer(200, page, "<html>%s"), source.NotGit, []string{"text/html", "login page"}, false},
		"no type":      {answer(200, "", "%s"), source.NotGit, nil, false},
		"forbidden":    {answer(403, page, "%s"), source.AccessDenied, []string{"403"}, false},
		"not found":    {answer(404, page, "%s"), source.RepositoryNotFound, []string{"404", "check the URL"}, false},
		"teapot":       {answer(418, page, "%s"), source.NotGit, []string{"418"}, false},
		"busy":         {answer(429, page, "%s"), source.ServerError, []string{"429"}, true},
		"broken":       {answer(502, page, "%s"), source.ServerError, []string{"502"}, true},
		"not modified": {answer(304, page, ""), source.BadResponse, nil, true},
		"no refs":      {answer(200, advertisement, "%s"), source.BadResponse, nil, true},
		"says error":   {answer(200, advertisement, "0080ERR you sent %s"), source.BadResponse, nil, true},
		"hangs up": {
			func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) },
			source.Unreachable,
			[]string{"the connection broke"},
			true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(c.server)
			t.Cleanup(server.Close)
			for _, given := range []source.Credentials{{BearerToken: canary}, {Username: "u", Password: canary}} {
				r := (&origin{T: t, url: server.URL + "/team.git"}).open(source.Options{Credentials: credentials(given)})
				refused := r.refused(c.reason, c.words...)
				if refused.err.Transient() != c.again {
					t.Errorf("Transient is %v", refused.err.Transient())
				}
				if given.Password != "" && strings.Contains(refused.err.Error(), "dTpjNG40") {
					t.Errorf("the error holds the encoded password: %s", refused.err)
				}
			}
		})
	}
}

func TestG1Unreachable(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	o := &origin{T: t, url: "http://" + address + "/team.git"}
	refused := o.open(source.Options{}).
		refused(source.Unreachable, "cannot fetch http://"+address+"/team.git: cannot connect", "refused")
	if !refused.err.Transient() {
		t.Error("a server that is down may come back")
	}
	unknown := (&origin{T: t, url: "https://host.invalid/team.git"}).open(source.Options{})
	if refused := unknown.refused(source.Unreachable, "cannot find host host.invalid", "name server"); refused.err.Step != source.StepResolve {
		t.Errorf("a name that nobody knows fails at the step %s", refused.err.Step)
	}
}

func TestG20Redirects(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, gitserver.Options{})
	o.push("a", "1")
	real := o.url
	authorized := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		authorized = true
		o.server.ServeHTTP(w, r)
	}))
	t.Cleanup(elsewhere.Close)
	o.behind(func(git http.Handler) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			switch rest, moved := strings.CutPrefix(r.URL.Path, "/old.git"); {
			case moved:
				http.Redirect(w, r, "/team.git"+rest+"?"+r.URL.RawQuery, http.StatusMovedPermanently)
			case strings.HasPrefix(r.URL.Path, "/gone.git"):
				http.Redirect(w, r, elsewhere.URL+"/team.git/info/refs?"+r.URL.RawQuery, http.StatusFound)
			default:
				git.ServeHTTP(w, r)
			}
		}
	})
	host := strings.TrimSuffix(o.url, "/team.git")
	o.open(source.Options{URL: host + "/old.git"}).fetch()
	o.open(source.Options{URL: host + "/gone.git", Credentials: credentials(source.Credentials{BearerToken: canary})}).
		refused(source.Redirected, strings.TrimPrefix(elsewhere.URL, "http://"), "change the URL")
	if authorized {
		t.Errorf("the other host was asked, though %s redirects away from the repository's own", real)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, gitserver.Options{})
	o.push("a/1", strings.Repeat("1", 10), "a/2", "2", "a/3", "3", "b", "b")
	o.open(source.Options{Limits: source.Limits{RefBytes: 20}}).refused(source.TooLarge, "the list of refs is longer than 20 bytes")
	o.open(source.Options{Limits: source.Limits{PackBytes: 20}}).refused(source.TooLarge, "the pack is longer than 20 bytes")
	o.open(source.Options{Limits: source.Limits{Files: 3}}).refused(source.TooLarge, "more than 3 files", "name a smaller path")
	o.open(source.Options{Limits: source.Limits{Files: 5}}).fetch()
}

// A server that goes silent at any point is left at the deadline, with nothing of the attempt left behind. It runs alone, as all that counts goroutines.
func TestG3SilentServerEndsAtTheDeadline(t *testing.T) {
	o := newOrigin(t, gitserver.Options{})
	o.push("a", strings.Repeat("1", 1000))

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	o.must(err)
	var accepted sync.WaitGroup
	accepted.Go(func() {
		for conn, err := listener.Accept(); err == nil; conn, err = listener.Accept() {
			accepted.Go(func() {
				_, _ = io.Copy(io.Discard, conn) // listens until the client leaves, and says nothing
				conn.Close()
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		accepted.Wait()
	})
	stall := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			o.server.ServeHTTP(w, r)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
		fmt.Fprint(w, "0008NAK\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(stall.Close)

	for name, url := range map[string]string{
		"after TCP accept":     "http://" + listener.Addr().String() + "/team.git",
		"before TLS handshake": "https://" + listener.Addr().String() + "/team.git",
		"in the pack":          stall.URL + "/team.git",
	} {
		t.Run(name, func(t *testing.T) { endsAtTheDeadline(t, source.Options{URL: url}) })
	}
}

// endsAtTheDeadline fetches from a server that goes silent: the attempt ends in time and leaves nothing behind.
func endsAtTheDeadline(t *testing.T, options source.Options) {
	t.Helper()
	options.Timeout, options.Dir = 200*time.Millisecond, t.TempDir()
	r := (&origin{T: t}).open(options)
	goroutines, files := runtime.NumGoroutine(), openFiles()
	start := time.Now()
	refused := r.refused(source.Timeout, "did not finish in time (timeout 200ms)")
	if took := time.Since(start); took > 20*options.Timeout {
		t.Errorf("Fetch took %s", took)
	}
	if !errors.Is(refused.err, context.DeadlineExceeded) || !refused.err.Transient() {
		t.Error("the error does not say that the deadline passed")
	}
	settle(t, "goroutines", goroutines, runtime.NumGoroutine)
	settle(t, "open files", files, openFiles)
	if left, _ := os.ReadDir(options.Dir); len(left) != 0 {
		t.Errorf("%d stores are left", len(left))
	}
}

func TestInterruptedFetch(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, gitserver.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	o.behind(func(http.Handler) http.HandlerFunc {
		return func(_ http.ResponseWriter, r *http.Request) {
			cancel()
			<-r.Context().Done()
		}
	})
	_, err := o.open(source.Options{}).Fetch(ctx)
	if refused := checkError(t, err, source.Interrupted); !errors.Is(refused.err, context.Canceled) {
		t.Error("the cause is lost")
	}
}

func TestG4TruncatedPack(t *testing.T) {
	for _, clean := range []bool{true, false} {
		o := newOrigin(t, gitserver.Options{})
		o.push("a", "1")
		cut := false
		o.behind(func(git http.Handler) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet || !cut {
					git.ServeHTTP(w, r)
					return
				}
				recorder := httptest.NewRecorder()
				git.ServeHTTP(recorder, r)
				w.Header().Set("Content-Type", recorder.Header().Get("Content-Type"))
				_, _ = w.Write(recorder.Body.Bytes()[:recorder.Body.Len()/2])
				if !clean {
					panic(http.ErrAbortHandler)
				}
			}
		})
		dir := t.TempDir()
		r := o.open(source.Options{Dir: dir})
		before := r.fetch()
		goroutines, files := runtime.NumGoroutine(), openFiles()
		cut = true
		o.push("a", "2")
		if clean {
			r.refused(source.BadResponse)
		} else {
			r.refused(source.Unreachable, "the connection broke")
		}
		settle(t, "goroutines", goroutines, runtime.NumGoroutine)
		settle(t, "open files", files, openFiles)
		if left, _ := os.ReadDir(dir); len(left) != 1 {
			t.Errorf("%d stores are left; want the one before", len(left))
		}
		if content(t, before, "a") != "1" {
			t.Error("the last good snapshot cannot be read")
		}
		cut = false
		if content(t, r.fetch(), "a") != "2" {
			t.Error("the fetch after it brought something else")
		}
	}
}

// openFiles counts this process's file descriptors; 0 where the system does not tell.
func openFiles() int {
	entries, _ := os.ReadDir("/proc/self/fd")
	return len(entries)
}

// settle waits until a count is back to what it was.
func settle(t *testing.T, what string, baseline int, count func() int) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for now := count(); now > baseline; now = count() {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<16)
			t.Fatalf("%d %s; want %d as before\n%s", now, what, baseline, stacks[:runtime.Stack(stacks, true)])
		}
		runtime.Gosched()
	}
}
