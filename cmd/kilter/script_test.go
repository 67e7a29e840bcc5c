package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	yamldecoder "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	watchtools "k8s.io/client-go/tools/watch"
	"k8s.io/client-go/util/jsonpath"
	"sigs.k8s.io/yaml"

	"kilter.dev/kilter/internal/gitserver"
	"kilter.dev/kilter/internal/needs"
	"kilter.dev/kilter/reconcile"
)

// patience bounds every wait for the cluster.
const patience = time.Minute

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"kilter": main}) }

// TestScripts runs the program as its users do: every script in testdata/script is a command line, its exit code and its text, with a
// real Git server and a real cluster. Beside testscript's own commands a script has these:
//
//	exits CODE PROGRAM [ARG...]      runs a program, which has to end with this code
//	satisfies SCHEMA FILE            checks JSON against a schema in docs/
//	expand FILE...                   replaces $NAME in files by the script's variables
//
//	repo [USER:PASSWORD]             serves a repository whose work tree is repo/, after a first push; sets $URL and $COMMIT
//	push                             commits the work tree as it is and pushes it; sets $COMMIT
//	git ARG...                       runs git in the work tree
//	sync [FRAGMENT]                  writes sync.yaml: Sync app of branch main of $URL, changed by a fragment of YAML
//
//	cluster                          skips the script when there is no cluster; makes its namespace $NS; sets $KUBECONFIG, $SERVER
//	apply [--dry-run] FILE...        applies manifests to the cluster, as somebody else than Kilter
//	apply --status FILE...           the same for the status of objects that exist
//	get KIND NAME [JSONPATH]         finds an object, and prints a part of it; "! get" when there must be none
//	patch KIND NAME MERGEPATCH       changes an object
//	await KIND NAME JSONPATH REGEXP  waits until a part of an object matches; "! await KIND NAME" until it is gone
//	delete KIND NAME                 deletes an object
//	cleanup KIND NAME                deletes an object, if there is one, when the script ends
//
// A KIND is what kubectl takes: configmap, deployments.apps. A NAME in a namespace other than $NS is NAMESPACE/NAME.
// Fragments, patches and files that are applied may hold $NAME.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(env *testscript.Env) error {
			env.Values[stageKey{}] = &stage{t: env.T()}
			return nil
		},
		Cmds: map[string]command{
			"exits":     exits,
			"satisfies": satisfies,
			"expand":    expand,
			"repo":      onStage((*stage).serve),
			"push":      onStage((*stage).push),
			"git":       onStage((*stage).git),
			"sync":      writeSync,
			"cluster":   onStage((*stage).connect),
			"apply":     onStage((*stage).apply),
			"get":       func(ts *testscript.TestScript, neg bool, args []string) { stageOf(ts).get(ts, neg, args) },
			"patch":     onStage((*stage).patch),
			"await":     func(ts *testscript.TestScript, neg bool, args []string) { stageOf(ts).await(ts, neg, args) },
			"delete":    onStage((*stage).delete),
			"cleanup":   onStage((*stage).cleanup),
		},
		Deadline:            time.Now().Add(8 * patience), // all scripts together, on a machine that is busy
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// stage is what one script plays with.
type stage struct {
	t       needs.T
	repo    *gitserver.Repo
	dynamic dynamic.Interface
	mapper  *restmapper.DeferredDiscoveryRESTMapper
}

type stageKey struct{}

func stageOf(ts *testscript.TestScript) *stage { return ts.Value(stageKey{}).(*stage) }

// command is a command of a script; neg says that it was written with "!".
type command = func(ts *testscript.TestScript, neg bool, args []string)

// onStage makes a command of a method. It has to succeed.
func onStage(do func(*stage, context.Context, *testscript.TestScript, []string) error) command {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg {
			ts.Fatalf("this command cannot be expected to fail")
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		ts.Check(do(stageOf(ts), ctx, ts, args))
	}
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARG...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	code := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if code != want {
		ts.Fatalf("exit code %d; want %d", code, want)
	}
}

func expand(ts *testscript.TestScript, _ bool, args []string) {
	for _, file := range args {
		ts.Check(os.WriteFile(ts.MkAbs(file), []byte(os.Expand(ts.ReadFile(file), ts.Getenv)), 0o644))
	}
}

// serve is the command repo.
func (s *stage) serve(ctx context.Context, ts *testscript.TestScript, args []string) error {
	options := gitserver.Options{Dir: ts.MkAbs(".git-server")}
	if len(args) > 0 {
		options.Username, options.Password, _ = strings.Cut(args[0], ":")
	}
	server, err := gitserver.Start(options)
	if err != nil {
		return err
	}
	ts.Defer(func() { ts.Check(server.Close()) })
	if s.repo, err = server.Create(ctx, "repo", ts.MkAbs("repo")); err != nil {
		return err
	}
	ts.Setenv("URL", server.URL("repo"))
	if files, err := os.ReadDir(s.repo.Dir); err != nil || len(files) == 1 { // .git alone
		return err
	}
	return s.push(ctx, ts, nil)
}

func (s *stage) push(ctx context.Context, ts *testscript.TestScript, _ []string) error {
	commit, err := s.repo.Commit(ctx, "a change")
	if err != nil {
		return err
	}
	ts.Setenv("COMMIT", commit)
	return s.repo.Push(ctx)
}

func (s *stage) git(ctx context.Context, ts *testscript.TestScript, args []string) error {
	out, err := s.repo.Git(ctx, args...)
	fmt.Fprintln(ts.Stdout(), out)
	return err
}

// writeSync is the command sync.
func writeSync(ts *testscript.TestScript, _ bool, args []string) {
	document := map[string]any{
		"apiVersion": "kilter.dev/v1alpha1",
		"kind":       "Sync",
		"metadata":   map[string]any{"name": "app", "namespace": ts.Getenv("NS")},
		"spec": map[string]any{
			"git":     map[string]any{"url": ts.Getenv("URL"), "ref": map[string]any{"branch": "main"}},
			"timeout": "20s",
		},
	}
	for _, arg := range args {
		var fragment map[string]any
		ts.Check(yaml.UnmarshalStrict([]byte(os.Expand(arg, ts.Getenv)), &fragment))
		merge(document, fragment)
	}
	out, err := yaml.Marshal(document)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("sync.yaml"), out, 0o644))
}

// merge sets in into what from says, as a JSON merge patch does.
func merge(into, from map[string]any) {
	for key, value := range from {
		inner, ok := into[key].(map[string]any)
		if change, is := value.(map[string]any); ok && is {
			merge(inner, change)
		} else if value == nil {
			delete(into, key)
		} else {
			into[key] = value
		}
	}
}

// connect is the command cluster.
func (s *stage) connect(ctx context.Context, ts *testscript.TestScript, _ []string) error {
	kubeconfig := needs.Cluster(s.t)
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.QPS = -1
	if s.dynamic, err = dynamic.NewForConfig(config); err != nil {
		return err
	}
	disco, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return err
	}
	s.mapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(disco))

	namespaces := s.dynamic.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"})
	namespace := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"generateName": "cli-" + ts.Name() + "-"},
	}}
	if namespace, err = namespaces.Create(ctx, namespace, metav1.CreateOptions{}); err != nil {
		return err
	}
	ts.Setenv("KUBECONFIG", kubeconfig)
	ts.Setenv("SERVER", config.Host)
	ts.Setenv("NS", namespace.GetName())
	return s.cleanup(ctx, ts, []string{"namespace", namespace.GetName()})
}

// object is where one object is reached, and its name.
type object struct {
	dynamic.ResourceInterface
	name string
}

// find finds the object that a script names by KIND and NAME.
func (s *stage) find(ts *testscript.TestScript, kind, name string) (object, error) {
	if s.mapper == nil {
		return object{}, errors.New("say cluster first")
	}
	resource := schema.ParseGroupResource(kind).WithVersion("")
	gvk, err := s.mapper.KindFor(resource)
	if meta.IsNoMatchError(err) {
		s.mapper.Reset() // its CRD may be new
		gvk, err = s.mapper.KindFor(resource)
	}
	if err != nil {
		return object{}, err
	}
	namespace, bare, qualified := strings.Cut(name, "/")
	if !qualified {
		namespace, bare = ts.Getenv("NS"), name
	}
	client, err := s.client(gvk, namespace)
	return object{client, bare}, err
}

// client reaches the objects of one kind; a namespace is left out for kinds that have none.
func (s *stage) client(gvk schema.GroupVersionKind, namespace string) (dynamic.ResourceInterface, error) {
	mapping, err := s.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if meta.IsNoMatchError(err) {
		s.mapper.Reset() // its CRD may be new
		mapping, err = s.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	}
	if err != nil {
		return nil, err
	}
	client := s.dynamic.Resource(mapping.Resource)
	if mapping.Scope.Name() == meta.RESTScopeNameRoot {
		return client, nil
	}
	return client.Namespace(namespace), nil
}

func (s *stage) apply(ctx context.Context, ts *testscript.TestScript, args []string) error {
	options := metav1.ApplyOptions{FieldManager: "somebody", Force: true}
	var subresource []string
	switch {
	case len(args) > 0 && args[0] == "--dry-run":
		options.DryRun = []string{metav1.DryRunAll}
		args = args[1:]
	case len(args) > 0 && args[0] == "--status":
		subresource = []string{"status"}
		args = args[1:]
	}
	for _, file := range args {
		decoder := yamldecoder.NewYAMLOrJSONDecoder(strings.NewReader(os.Expand(ts.ReadFile(file), ts.Getenv)), 4096)
		for {
			var manifest unstructured.Unstructured
			if err := decoder.Decode(&manifest); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			namespace := manifest.GetNamespace()
			if namespace == "" {
				namespace = ts.Getenv("NS")
			}
			client, err := s.client(manifest.GroupVersionKind(), namespace)
			if err != nil {
				return err
			}
			if _, err := client.Apply(ctx, manifest.GetName(), &manifest, options, subresource...); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *stage) get(ts *testscript.TestScript, neg bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	o, err := s.find(ts, args[0], args[1])
	ts.Check(err)
	live, err := o.Get(ctx, o.name, metav1.GetOptions{})
	switch {
	case neg && err == nil:
		ts.Fatalf("%s %s exists", args[0], args[1])
	case neg && apierrors.IsNotFound(err):
		return
	}
	ts.Check(err)
	if len(args) > 2 {
		text, err := part(live, args[2])
		ts.Check(err)
		fmt.Fprintln(ts.Stdout(), text)
	}
}

// part renders what a JSONPath selects; nothing where a field is missing.
func part(live *unstructured.Unstructured, expression string) (string, error) {
	path := jsonpath.New("part").AllowMissingKeys(true)
	if err := path.Parse(expression); err != nil {
		return "", err
	}
	var out strings.Builder
	err := path.Execute(&out, live.Object)
	return out.String(), err
}

func (s *stage) patch(ctx context.Context, ts *testscript.TestScript, args []string) error {
	o, err := s.find(ts, args[0], args[1])
	if err != nil {
		return err
	}
	patch, err := yaml.YAMLToJSON([]byte(os.Expand(args[2], ts.Getenv)))
	if err != nil {
		return err
	}
	_, err = o.Patch(ctx, o.name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "somebody"})
	return err
}

func (s *stage) await(ts *testscript.TestScript, neg bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	o, err := s.find(ts, args[0], args[1])
	ts.Check(err)
	var want *regexp.Regexp
	if !neg {
		want = regexp.MustCompile(args[3])
	}
	gone := func(store cache.Store) (bool, error) { return neg && len(store.List()) == 0, nil }
	seen := "nothing"
	_, err = watchtools.UntilWithSync(ctx, reconcile.One(o, o.name), &unstructured.Unstructured{}, gone, func(event watch.Event) (bool, error) {
		if neg || event.Type == watch.Deleted {
			return neg && event.Type == watch.Deleted, nil
		}
		var err error
		seen, err = part(event.Object.(*unstructured.Unstructured), args[2])
		return want.MatchString(seen), err
	})
	if err != nil {
		ts.Fatalf("waiting for %s: %v; last seen: %s", strings.Join(args, " "), err, seen)
	}
}

func (s *stage) delete(ctx context.Context, ts *testscript.TestScript, args []string) error {
	o, err := s.find(ts, args[0], args[1])
	if err != nil {
		return err
	}
	return o.Delete(ctx, o.name, metav1.DeleteOptions{})
}

func (s *stage) cleanup(_ context.Context, ts *testscript.TestScript, args []string) error {
	o, err := s.find(ts, args[0], args[1])
	if err != nil {
		return err
	}
	ts.Defer(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := o.Delete(ctx, o.name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			ts.Fatalf("%v", err)
		}
	})
	return nil
}
