package e2e

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// counted returns a kubeconfig whose requests go through a proxy, and how many of those whose path matches there have been.
func (c *cluster) counted(t *testing.T, path *regexp.Regexp) (kubeconfig string, count func() int64) {
	t.Helper()
	var n atomic.Int64
	return c.proxied(t, func(r *http.Request) {
		if path.MatchString(r.URL.Path) {
			n.Add(1)
		}
	}), n.Load
}

// proxied returns a kubeconfig whose requests go through a proxy, which shows each of them to see.
func (c *cluster) proxied(t *testing.T, see func(*http.Request)) (kubeconfig string) {
	t.Helper()
	target, err := url.Parse(c.config.Host)
	must(t, err)
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport, err = rest.TransportFor(c.config)
	must(t, err)
	proxy.FlushInterval = -1 // watches
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		see(r)
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: server.URL}
	config.Contexts["x"] = &clientcmdapi.Context{Cluster: "c"}
	config.CurrentContext = "x"
	kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	must(t, clientcmd.WriteToFile(*config, kubeconfig))
	return kubeconfig
}

// TestRolloutAtRest makes passes for other objects while pods are outdated under OnDelete: nothing is read of a rollout that is simply up to
// date, and nothing twice of one whose status stays the same.
func TestRolloutAtRest(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	ns := c.namespace(t, "at-rest")
	kubeconfig, looks := c.counted(t, regexp.MustCompile(`/(pods|nodes|controllerrevisions)$`))
	repo, url := repository(t, fstest.MapFS{"prod/web.yaml": ofPods("{type: OnDelete}", ""), "prod/a.yaml": configMap("a")})
	run := kilter(t, "run", "-f", syncFile(t, ns, url, ""), "--kubeconfig", kubeconfig, "--allow-insecure-git")
	line(ctx, t, run, "2 objects: 2 current")
	change := func(file, from, to, kind string) {
		t.Helper()
		must(t, repo.Replace("prod/"+file, from, to))
		push(t, repo)
		line(ctx, t, run, "updated", kind)
	}

	quiet := looks()
	change("a.yaml", "key: value", "key: b", "ConfigMap")
	if n := looks(); n != quiet {
		t.Errorf("%d looks at a StatefulSet that is up to date", n-quiet)
	}

	change("web.yaml", "web:1", "web:2", "StatefulSet")
	line(ctx, t, run, "outdated", "3 of 3 pods outdated until deleted (OnDelete)")
	told := looks()
	if told == quiet {
		t.Error("no look at the outdated pods")
	}
	for _, values := range []string{"b c", "c d", "d e"} {
		from, to, _ := strings.Cut(values, " ")
		change("a.yaml", "key: "+from, "key: "+to, "ConfigMap")
	}
	if n := looks(); n != told {
		t.Errorf("%d looks more although nothing changed", n-told)
	}
}
