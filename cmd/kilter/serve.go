package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// server serves /metrics, /healthz and /readyz. Live and ready say that the process works: no repository, however bad, makes it
// unready or has it restarted.
type server struct {
	listener net.Listener // nil: nothing is served
	handler  http.Handler
	isReady  chan struct{}
	once     sync.Once
}

// newServer listens on address; an empty one means that nothing is served.
func newServer(address string, metrics http.Handler) (*server, error) {
	s := &server{isReady: make(chan struct{})}
	if address == "" {
		return s, nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot serve metrics: %w; choose another address with --listen", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		select {
		case <-s.isReady:
			fmt.Fprintln(w, "ok")
		default:
			http.Error(w, "starting: the first pass, or the list of Syncs, is not there yet", http.StatusServiceUnavailable)
		}
	})
	s.listener, s.handler = listener, mux
	return s, nil
}

// ready makes /readyz answer 200 from now on.
func (s *server) ready() { s.once.Do(func() { close(s.isReady) }) }

// serve answers until ctx is done.
func (s *server) serve(ctx context.Context) error {
	if s.listener == nil {
		return nil
	}
	httpServer := &http.Server{Handler: s.handler, ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 16 << 10}
	failed := make(chan error, 1)
	go func() { failed <- httpServer.Serve(s.listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("cannot serve metrics: %w", err)
	case <-ctx.Done():
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	err := httpServer.Shutdown(closing)
	if served := <-failed; !errors.Is(served, http.ErrServerClosed) {
		return served
	}
	return err
}
