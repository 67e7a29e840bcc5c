package gitserver

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
)

// Proxy is an HTTP proxy on the loopback interface that tunnels, and nothing else, for those who know its user name and password.
type Proxy struct {
	URL     string
	Tunnels atomic.Int32 // opened so far

	username, password string
	server             *httptest.Server
	running            sync.WaitGroup
}

// StartProxy starts a proxy, which runs until Close is called.
func StartProxy(username, password string) *Proxy {
	p := &Proxy{username: username, password: password}
	p.server = httptest.NewServer(p)
	p.URL = p.server.URL
	return p
}

// Close ends the proxy, and returns when its last tunnel has ended: clients have to end them first.
func (p *Proxy) Close() {
	p.server.Close()
	p.running.Wait()
}

// ServeHTTP answers CONNECT.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	probe := &http.Request{Header: http.Header{"Authorization": r.Header["Proxy-Authorization"]}}
	if username, password, _ := probe.BasicAuth(); username != p.username || password != p.password {
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	if r.Method != http.MethodConnect {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	p.Tunnels.Add(1)
	server, err := new(net.Dialer).DialContext(r.Context(), "tcp", r.Host)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer func() { _ = server.Close() }()
	client, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = client.Close() }()
	if _, err := fmt.Fprint(client, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		return
	}
	p.running.Go(func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	})
	_, _ = io.Copy(client, server)
}
