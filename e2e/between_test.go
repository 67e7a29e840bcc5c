package e2e

import (
	"context"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// between stands between a program and the API server as the administrator, counts the program's writes, and calls end once the last
// one that it lets through is stored: its answer never arrives.
type between struct {
	kubeconfig string

	mu     sync.Mutex
	writes []string // method and path
	last   int      // 0: every one is let through
	end    func()
}

// newBetween returns one that ends after a number of writes; 0: never. What a dry run would do, and Events, are no writes.
func (c *cluster) newBetween(t *testing.T, last int) *between {
	t.Helper()
	target, err := url.Parse(c.config.Host)
	must(t, err)
	transport, err := rest.TransportFor(c.config)
	must(t, err)
	b := &between{last: last}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport, proxy.FlushInterval = transport, -1
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) } // its client is gone
	proxy.ModifyResponse = func(r *http.Response) error {
		if b.stored(r.Request) {
			panic(http.ErrAbortHandler)
		}
		return nil
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !b.admits(r) {
			panic(http.ErrAbortHandler)
		}
		proxy.ServeHTTP(w, r)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})

	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{
		Server: server.URL, CertificateAuthorityData: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
	}
	config.Contexts["x"] = &clientcmdapi.Context{Cluster: "c"}
	config.CurrentContext = "x"
	b.kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	must(t, clientcmd.WriteToFile(*config, b.kubeconfig))
	return b
}

// run runs the program to its end, and returns its exit code: -1 when it was killed.
func (b *between) run(ctx context.Context, t *testing.T, args ...string) int {
	t.Helper()
	b.mu.Lock()
	p := kilter(t, append(args, "--kubeconfig", b.kubeconfig)...)
	b.end = p.Kill
	b.mu.Unlock()
	code, err := p.Wait(ctx)
	must(t, err)
	return code
}

func isWrite(r *http.Request) bool {
	return r.Method != http.MethodGet && r.URL.Query().Get("dryRun") == "" && !strings.HasSuffix(r.URL.Path, "/events")
}

// admits counts a write, and reports whether it may go on.
func (b *between) admits(r *http.Request) bool {
	if !isWrite(r) {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.last > 0 && len(b.writes) >= b.last {
		return false
	}
	b.writes = append(b.writes, r.Method+" "+r.URL.Path)
	return b.last == 0 || len(b.writes) <= b.last
}

// stored ends the program if the answer is that of the last write. Others that are under way at that moment are stored too, as on a real
// server, and their answers are lost as well.
func (b *between) stored(r *http.Request) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !isWrite(r) || b.last == 0 || len(b.writes) < b.last {
		return false
	}
	b.end()
	return true
}
