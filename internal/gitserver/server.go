// Package gitserver serves Git repositories over git's own smart HTTP on the loopback interface, for tests and the demo.
//
// A Server runs `git http-backend` for every request, so that what a client sees is what a real server says, and records
// each request, so that a test can assert that nothing was fetched. A Repo is a working clone to make commits in and
// push them. Both run the host's git without reading the host's configuration. Never serve anything from here that is
// not meant for everyone on this machine: pushes are accepted from whoever may fetch.
package gitserver

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// Options configure a Server.
type Options struct {
	Dir string // where the bare repositories are, "<name>.git"; created if it does not exist

	// Parts lets clients leave out files and ask for single objects, as the large forges do.
	Parts bool

	// Username and Password, when either is set, are demanded of every request by HTTP basic authentication.
	Username, Password string
}

// Server serves the bare repositories below one directory. It is safe for concurrent use.
type Server struct {
	options  Options
	git      string // the absolute path of the git program
	backend  *cgi.Handler
	listener net.Listener
	http     *http.Server
	serving  chan error // receives what Serve returned, once

	mu       sync.Mutex
	idle     *sync.Cond // signalled when inFlight falls to zero
	inFlight int
	requests []Request
}

// Request is one request that the Server has answered.
type Request struct {
	Method  string
	Path    string // without the query: "/team.git/info/refs"
	Service string // "git-upload-pack" or "git-receive-pack"; empty for anything else
	Status  int    // the HTTP status of the answer
	Bytes   int64  // the length of the answer's body
}

// Fetch reports whether the request asked for objects; listing refs is not a fetch.
func (r Request) Fetch() bool { return r.Method == http.MethodPost && r.Service == "git-upload-pack" }

// Start serves the repositories in options.Dir on a free port of 127.0.0.1 until Close is called.
func Start(options Options) (*Server, error) {
	git, err := exec.LookPath("git")
	if err != nil {
		return nil, fmt.Errorf("cannot start a Git server: %w; install git", err)
	}
	dir, err := filepath.Abs(options.Dir)
	if err != nil {
		return nil, fmt.Errorf("cannot start a Git server: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("cannot start a Git server: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("cannot start a Git server: %w", err)
	}
	options.Dir = dir
	s := &Server{
		options: options,
		git:     git,
		backend: &cgi.Handler{
			Path:   git,
			Args:   []string{"http-backend"},
			Dir:    dir,
			Env:    append(environment(), "GIT_PROJECT_ROOT="+dir, "GIT_HTTP_EXPORT_ALL=1"),
			Stderr: io.Discard,
		},
		listener: listener,
		serving:  make(chan error, 1),
	}
	s.idle = sync.NewCond(&s.mu)
	s.http = &http.Server{Handler: s}
	go func() { s.serving <- s.http.Serve(listener) }()
	return s, nil
}

// URL returns where the repository of that name can be cloned from.
func (s *Server) URL(name string) string {
	return "http://" + s.listener.Addr().String() + "/" + name + ".git"
}

// Close ends the Server, and returns when its last request has ended.
func (s *Server) Close() error {
	err := s.http.Close()
	if served := <-s.serving; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	s.Requests()
	return err
}

// Requests returns every request so far, in the order in which they arrived, once none is under way.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.inFlight > 0 {
		s.idle.Wait()
	}
	return slices.Clone(s.requests)
}

// Fetches returns those of Requests that asked for objects.
func (s *Server) Fetches() []Request {
	return slices.DeleteFunc(s.Requests(), func(r Request) bool { return !r.Fetch() })
}

// Forget drops the requests recorded so far.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = nil
}

// ServeHTTP answers one request, so that a test can put the Server behind a listener of its own, such as one with TLS.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	request := Request{Method: r.Method, Path: r.URL.Path, Service: service(r)}
	s.mu.Lock()
	s.inFlight++
	s.mu.Unlock()
	counted := &countingWriter{ResponseWriter: w, status: http.StatusOK}
	defer func() {
		request.Status, request.Bytes = counted.status, counted.bytes
		s.mu.Lock()
		defer s.mu.Unlock()
		s.requests = append(s.requests, request)
		if s.inFlight--; s.inFlight == 0 {
			s.idle.Broadcast()
		}
	}()
	if !s.authenticated(r) {
		counted.Header().Set("WWW-Authenticate", `Basic realm="git"`)
		http.Error(counted, "authentication required", http.StatusUnauthorized)
		return
	}
	s.backend.ServeHTTP(counted, r)
}

func (s *Server) authenticated(r *http.Request) bool {
	if s.options.Username == "" && s.options.Password == "" {
		return true
	}
	username, password, _ := r.BasicAuth()
	got, want := username+"\x00"+password, s.options.Username+"\x00"+s.options.Password
	return subtle.ConstantTimeCompare([]byte(got), []byte(want)) == 1
}

// service names the Git service that a request is for: in the query when listing refs, at the path's end otherwise.
func service(r *http.Request) string {
	if name := r.URL.Query().Get("service"); name != "" {
		return name
	}
	for _, name := range []string{"git-upload-pack", "git-receive-pack"} {
		if strings.HasSuffix(r.URL.Path, "/"+name) {
			return name
		}
	}
	return ""
}

type countingWriter struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (w *countingWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *countingWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}
