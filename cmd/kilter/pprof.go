package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"
)

// profiles serves Go's profiles. They tell what is in memory, so nobody gets at them from another host.
type profiles struct{ listener net.Listener } // nil: nothing is served

// newProfiles listens on an address of the loopback interface; an empty one means that nothing is served.
func newProfiles(address string) (*profiles, error) {
	if address == "" {
		return &profiles{}, nil
	}
	host, _, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("--pprof-listen %q: has to be on the loopback interface, such as 127.0.0.1:6060; reach it with kubectl port-forward", address)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot serve profiles: %w; choose another address with --pprof-listen", err)
	}
	return &profiles{listener}, nil
}

// serve answers until ctx is done. A profile that is being taken then is cut off.
func (p *profiles) serve(ctx context.Context) error {
	if p.listener == nil {
		return nil
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(p.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("cannot serve profiles: %w", err)
	}
	return nil
}
