package e2e

import (
	"context"
	"encoding/pem"
	"fmt"
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

// moment is when a program is killed: before one of its writes has arrived, or once it is stored and its answer is on the way.
type moment struct {
	write  int // 1 is the first; 0: never
	before bool
}

func (m moment) String() string {
	if m.before {
		return fmt.Sprintf("before write %d", m.write)
	}
	return fmt.Sprintf("after write %d", m.write)
}

// between stands between a program and the API server as the administrator, counts the program's writes, and calls end at a moment. What
// comes after that is not let through. Each program that runs through it counts on.
type between struct {
	kubeconfig string

	mu     sync.Mutex
	writes []string // method and path
	moment moment
	end    func()
}

// newBetween returns one that ends a program at a moment. What a dry run would do, and Events, are no writes.
func (c *cluster) newBetween(t *testing.T, m moment) *between {
	t.Helper()
	target, err := url.Parse(c.config.Host)
	must(t, err)
	transport, err := rest.TransportFor(c.config)
	must(t, err)
	b := &between{moment: m}
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
	if b.moment.write > 0 && len(b.writes) >= b.moment.write {
		return false
	}
	b.writes = append(b.writes, r.Method+" "+r.URL.Path)
	if b.moment.before && len(b.writes) == b.moment.write {
		b.end()
		return false
	}
	return true
}

// stored ends the program if the answer is that of the write after which it ends. Others that are under way at that moment are stored too, as on a real
// server, and their answers are lost as well.
func (b *between) stored(r *http.Request) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !isWrite(r) || b.moment.write == 0 || len(b.writes) < b.moment.write {
		return false
	}
	b.end()
	return true
}
