package e2e

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"testing/fstest"

	"k8s.io/client-go/tools/clientcmd"
)

// TestClusterLost takes the way to the API server away while the loop runs, pushes a commit, and gives it back: the loss is told, and
// the commit arrives with nobody's help.
func TestClusterLost(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	ns := c.namespace(t, "lost")
	repo, repoURL := repository(t, fstest.MapFS{"prod/a.yaml": configMap("a")})
	way := newProxy(t, c.config.Host)
	run := kilter(t, "run", "-f", syncFile(t, ns, repoURL, ""), "--kubeconfig", c.through(t, way), "--allow-insecure-git")
	line(ctx, t, run, "1 object: 1 current")

	way.cut()
	line(ctx, t, run, "ClusterUnreachable", "check that it runs")
	must(t, repo.Write("prod/b.yaml", string(configMap("b").Data)))
	push(t, repo)
	way.open(t)
	line(ctx, t, run, "created", "ConfigMap "+ns+"/b", "prod/b.yaml:1:1")
	line(ctx, t, run, "2 objects: 2 current")
}

// through returns the administrator's kubeconfig with the proxy's address.
func (c *cluster) through(t *testing.T, p *proxy) string {
	t.Helper()
	config, err := clientcmd.LoadFromFile(c.kubeconfig)
	must(t, err)
	for _, each := range config.Clusters {
		each.Server = "https://" + p.address
	}
	file := t.TempDir() + "/kubeconfig"
	must(t, clientcmd.WriteToFile(*config, file))
	return file
}

// proxy passes connections on to one address, until it is cut.
type proxy struct {
	address, target string

	mu       sync.Mutex
	listener net.Listener
	conns    []net.Conn
	copying  sync.WaitGroup
}

func newProxy(t *testing.T, host string) *proxy {
	t.Helper()
	target, err := url.Parse(host)
	must(t, err)
	p := &proxy{address: "127.0.0.1:0", target: target.Host}
	p.open(t)
	t.Cleanup(func() {
		p.cut()
		p.copying.Wait()
	})
	return p
}

// open accepts connections, at the same address as before.
func (p *proxy) open(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", p.address)
	must(t, err)
	p.mu.Lock()
	p.listener, p.address = listener, listener.Addr().String()
	p.mu.Unlock()
	p.copying.Go(func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", p.target)
			if err != nil {
				_ = from.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, from, to)
			p.mu.Unlock()
			p.copying.Go(func() { _, _ = io.Copy(to, from) })
			p.copying.Go(func() { _, _ = io.Copy(from, to) })
		}
	})
}

// cut closes every connection and refuses new ones.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.listener.Close()
	for _, conn := range p.conns {
		_ = conn.Close()
	}
	p.conns = nil
}
