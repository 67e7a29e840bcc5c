package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/rogpeppe/go-internal/testscript"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/yaml"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/internal/await"
	"kilter.dev/kilter/internal/fault"
	"kilter.dev/kilter/internal/gitserver"
	"kilter.dev/kilter/internal/process"
)

// TestFaults plays every script in testdata/faults: what is in Git, what goes wrong between the program and its servers, and what it says and does
// about it. The files below git/ are the repository; $NS in them is the script's namespace. Beside testscript's own commands there are these:
//
//	fault VERB OBJECT [CALLS] KIND [ARGUMENT...]   makes calls fail, of the API server or of Git: see fault.ParseRule;
//	                                               CANARY in an argument is the word that nothing may print
//	mend                                           takes all faults away
//	cut VERB OBJECT                                ends the answers that are being read: drops watches
//	start [LINE...]                                starts the program on the Sync "e2e"; lines are added to its spec the first time
//	dies                                           waits until a fault has killed the program; start starts another
//	push                                           commits and pushes git/ as it is
//	await REASON [TEXT]                            waits until Ready has a reason, and TEXT in its message, for the newest commit
//	line TEXT...                                   waits for a line of the program that holds all texts
//	metric NAME [LABEL=VALUE...] RANGE             waits until the sum of these series is in a range: 0, 1.., 2..5
//	sees VERB OBJECT N                             waits until there were N such calls
//	calls VERB OBJECT RANGE                        says how many there were
//	survives                                       ends the script: the faults go, and what has to hold after each of them does
//
// `exec kubectl` acts as the administrator, in the script's namespace.
func TestFaults(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	c.installCRDs(ctx, t)
	command := func(do func(*scene, []string)) func(*testscript.TestScript, bool, []string) {
		return func(ts *testscript.TestScript, neg bool, args []string) {
			if neg {
				ts.Fatalf("this command cannot be expected to fail")
			}
			do(ts.Value(sceneKey{}).(*scene), args)
		}
	}
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "faults"), RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			env.Values[sceneKey{}] = newScene(env, c)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"fault":    command((*scene).fault),
			"mend":     command(func(s *scene, _ []string) { s.mend() }),
			"cut":      command((*scene).cut),
			"start":    command((*scene).start),
			"dies":     command((*scene).dies),
			"push":     command(func(s *scene, _ []string) { s.commit = push(s, s.repo) }),
			"await":    command((*scene).await),
			"line":     command(func(s *scene, texts []string) { line(s.ctx, s, s.run, texts...) }),
			"metric":   command((*scene).metric),
			"sees":     command((*scene).sees),
			"calls":    command((*scene).called),
			"survives": command((*scene).survives),
		},
	})
}

type sceneKey struct{}

// scene is what one script plays in: a namespace, a repository, and a program between whom and its servers things go wrong.
type scene struct {
	testing.TB
	*cluster
	ctx      context.Context
	ns       string
	api, git *fault.Proxy
	repo     *gitserver.Repo
	commit   string // the newest that was pushed
	sync     await.Object
	theirs   map[string]types.UID // objects that are nobody's business but somebody else's

	kubeconfig string // of the program
	run        *process.Process
	address    string // of its metrics

	awaited, measured, survived bool
}

func newScene(env *testscript.Env, c *cluster) *scene {
	t := env.T().(testing.TB)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	env.Defer(cancel)
	s := &scene{TB: t, cluster: c, ctx: ctx, ns: c.namespace(t, "fault")}
	env.Defer(func() {
		if !t.Failed() && !s.survived {
			t.Error("the script does not end with survives")
		}
	})
	s.sync = await.Object{Client: c.syncs(t), Resource: v1alpha1.SyncResource, Namespace: s.ns, Name: "e2e"}
	s.plant()

	server, err := gitserver.Start(gitserver.Options{Dir: t.TempDir()})
	must(t, err)
	t.Cleanup(func() { must(t, server.Close()) })
	work := filepath.Join(env.WorkDir, "git")
	must(t, s.expand(work))
	s.repo, err = server.Create(ctx, "workloads", work)
	must(t, err)
	s.commit = push(t, s.repo)
	s.git = s.between(strings.TrimSuffix(server.URL(""), "/.git"), http.DefaultTransport, false)

	transport, err := rest.TransportFor(c.config)
	must(t, err)
	s.api = s.between(c.config.Host, transport, true)
	s.kubeconfig = kubeconfigFor(t, s.api)

	bin, err := filepath.Abs(filepath.Join("..", "bin"))
	must(t, err)
	env.Setenv("NS", s.ns)
	env.Setenv("PATH", bin+string(os.PathListSeparator)+env.Getenv("PATH"))
	env.Setenv("KUBECONFIG", s.ofNamespace())
	return s
}

func (s *scene) between(target string, next http.RoundTripper, secure bool) *fault.Proxy {
	p, err := fault.NewProxy(target, fault.NewTransport(next), secure)
	must(s, err)
	s.Cleanup(p.Close)
	p.Exit = func() { s.run.Kill() }
	return p
}

// kubeconfigFor writes a kubeconfig for what is behind a proxy.
func kubeconfigFor(t testing.TB, p *fault.Proxy) string {
	t.Helper()
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: p.URL, CertificateAuthorityData: p.CA}
	config.Contexts["x"] = &clientcmdapi.Context{Cluster: "c"}
	config.CurrentContext = "x"
	file := filepath.Join(t.TempDir(), "kubeconfig")
	must(t, clientcmd.WriteToFile(*config, file))
	return file
}

// ofNamespace writes the administrator's kubeconfig with the script's namespace as the one that is meant.
func (s *scene) ofNamespace() string {
	config, err := clientcmd.LoadFromFile(s.cluster.kubeconfig)
	must(s, err)
	config.Contexts[config.CurrentContext].Namespace = s.ns
	file := filepath.Join(s.TempDir(), "kubeconfig")
	must(s, clientcmd.WriteToFile(*config, file))
	return file
}

// expand puts the namespace in the files of the repository.
func (s *scene) expand(dir string) error {
	return filepath.WalkDir(dir, func(name string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(name, []byte(strings.ReplaceAll(string(text), "$NS", s.ns)), 0o600)
	})
}

// server returns the proxy that calls of a verb pass.
func (s *scene) server(verb string) *fault.Proxy {
	if verb == "git" {
		return s.git
	}
	return s.api
}

func (s *scene) fault(words []string) {
	for i := range words {
		words[i] = strings.ReplaceAll(words[i], "CANARY", canary) // scripts are printed: none holds the word itself
	}
	rule, err := fault.ParseRule(words)
	must(s, err)
	s.server(rule.Verb).Inject(rule)
}

func (s *scene) mend() {
	s.api.Mend()
	s.git.Mend()
}

func (s *scene) cut(args []string) {
	if s.server(args[0]).Cut(args[0], args[1]) == 0 {
		s.Fatalf("nothing to cut: no answer to %v is being read", args)
	}
}

func (s *scene) start(spec []string) {
	if s.address == "" {
		text := fmt.Sprintf(syncDocument, s.ns, s.git.URL+"/workloads.git", "")
		for _, line := range spec {
			text += "  " + line + "\n"
		}
		document, err := yaml.YAMLToJSON([]byte(text))
		must(s, err)
		must(s, s.sync.Client.Post().Namespace(s.ns).Resource(s.sync.Resource).Body(document).
			SetHeader("Content-Type", "application/json").Do(s.ctx).Error())
		s.address = freeAddress(s)
	}
	s.run = kilter(s, "run", "--watch-namespaces", s.ns, "--log-format", "text", "--kubeconfig", s.kubeconfig, "--allow-insecure-git",
		"--data-dir", s.TempDir(), "--listen", s.address)
}

func (s *scene) dies([]string) {
	code, err := s.run.Wait(s.ctx)
	must(s, err)
	if code != -1 {
		s.Fatalf("the program ended by itself, with code %d", code)
	}
}

// await waits until Ready has a reason, and looks whether the program is live and ready whatever the reason is.
func (s *scene) await(args []string) {
	reason, text := args[0], strings.Join(args[1:], " ")
	var last v1alpha1.Sync
	_, err := await.Until(s.ctx, s.sync, func(sync *v1alpha1.Sync) bool {
		last = *sync
		ready := meta.FindStatusCondition(sync.Status.Conditions, v1alpha1.ConditionReady)
		switch {
		case ready == nil || ready.Reason != reason || !strings.Contains(ready.Message, text):
			return false
		case reason == "ReconciliationSucceeded":
			return strings.HasSuffix(sync.Status.LastAppliedRevision, s.commit)
		case reason == "FetchFailed" || reason == "ClusterUnreachable" || reason == "AccessDenied":
			return true
		}
		return strings.HasSuffix(sync.Status.LastAttemptedRevision, s.commit)
	})
	if err != nil {
		s.Fatalf("%v: not %s %q for %s; the status is %+v", err, reason, text, s.commit, last.Status)
	}
	s.awaited = true
	if status, _ := s.get("/healthz"); status != http.StatusOK {
		s.Errorf("I8: /healthz: %d", status)
	}
	s.eventually("I8: it is not ready", func() bool { // a moment after its first pass, and from then on
		status, _ := s.get("/readyz")
		return status == http.StatusOK
	})
}

// eventually returns when something is so, which it looks at again with every call that the program makes.
func (s *scene) eventually(otherwise string, is func() bool) {
	ctx, cancel := context.WithTimeout(s.ctx, 15*time.Second)
	defer cancel()
	for {
		seen := len(s.git.Calls()) + len(s.api.Calls())
		if is() {
			return
		}
		if err := s.git.Until(ctx, func(calls []fault.Call) bool { return len(calls)+len(s.api.Calls()) > seen }); err != nil {
			s.Fatal(otherwise)
		}
	}
}

func (s *scene) get(path string) (int, string) {
	request, err := http.NewRequestWithContext(s.ctx, http.MethodGet, "http://"+s.address+path, nil)
	must(s, err)
	response, err := http.DefaultClient.Do(request)
	must(s, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	must(s, err)
	return response.StatusCode, string(body)
}

func (s *scene) metric(args []string) {
	name, labels, within := args[0], map[string]string{}, args[len(args)-1]
	for _, pair := range args[1 : len(args)-1] {
		label, value, _ := strings.Cut(pair, "=")
		labels[label] = value
	}
	s.measured = true
	s.eventually(fmt.Sprintf("%s%v does not get to %s", name, labels, within), func() bool {
		return inRange(s, int(s.sum(name, labels)), within)
	})
}

// sum adds the series of a metric that have these labels.
func (s *scene) sum(name string, labels map[string]string) (sum float64) {
	_, text := s.get("/metrics")
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	must(s, err)
	for _, sample := range families[name].GetMetric() {
		matching := 0
		for _, label := range sample.GetLabel() {
			if labels[label.GetName()] == label.GetValue() {
				matching++
			}
		}
		if matching == len(labels) {
			sum += sample.GetCounter().GetValue() + sample.GetGauge().GetValue()
		}
	}
	return sum
}

func inRange(t testing.TB, n int, within string) bool {
	first, last, err := fault.ParseRange(within)
	must(t, err)
	return n >= first && (n <= last || last == 0 && strings.HasSuffix(within, ".."))
}

func (s *scene) sees(args []string) {
	n, err := strconv.Atoi(args[2])
	must(s, err)
	verb, object := args[0], args[1]
	if err := s.server(verb).Until(s.ctx, func(calls []fault.Call) bool { return fault.Count(calls, verb, object) >= n }); err != nil {
		s.Fatalf("%v: fewer than %d calls %s %s in %q", err, n, verb, object, s.server(verb).Calls())
	}
}

func (s *scene) called(args []string) {
	calls := s.server(args[0]).Calls()
	if n := fault.Count(calls, args[0], args[1]); !inRange(s, n, args[2]) {
		s.Errorf("%d calls %s %s, not %s, in %q", n, args[0], args[1], args[2], calls)
	}
}
