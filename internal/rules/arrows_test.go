package rules_test

import (
	"go/ast"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// An arrow that must not exist. Packages are import paths, ours relative to the module; "p/..." is p and all below it.
type arrow struct {
	from   []string
	never  []string
	except []string // allowed although never names it
	direct bool     // only what the files of from import themselves; otherwise through our other packages as well
	why    string
}

// The clients of client-go: what can send a request. Its schemes and type converters are only data.
var clients = []string{
	"k8s.io/client-go/rest/...", "k8s.io/client-go/kubernetes", "k8s.io/client-go/kubernetes/typed/...", "k8s.io/client-go/dynamic/...",
	"k8s.io/client-go/metadata/...", "k8s.io/client-go/discovery/...", "k8s.io/client-go/informers/...", "k8s.io/client-go/tools/...",
	"k8s.io/apiextensions-apiserver/pkg/client/...", "net/http/...",
}

// What the verdict takes from beside the clients, and sends nothing with: the interface of the client that two of the server's
// strategies ask for namespaces, in whose place it answers; and the compiled schema of CustomResourceDefinitions.
var harmless = []string{"k8s.io/client-go/kubernetes/typed/core/v1", "k8s.io/apiextensions-apiserver/pkg/client/applyconfiguration"}

var arrows = []arrow{
	{
		from:  []string{"source/..."},
		never: []string{"k8s.io/...", "sigs.k8s.io/...", "manifests/...", "reconcile/...", "api/...", "cmd/..."},
		why:   "source turns Git into a Snapshot; what the files mean is manifests' business, so it can be read and tested without Kubernetes",
	},
	{
		from:  []string{"manifests/..."},
		never: append([]string{"source/...", "github.com/go-git/...", "reconcile/...", "api/...", "cmd/..."}, clients...),
		// The language of ignore files, not a repository.
		except: append([]string{"github.com/go-git/go-git/v5/plumbing/format/gitignore"}, harmless...),
		why:    "a verdict is the same on a laptop and in the cluster, for a directory and for a commit: manifests gets an io/fs.FS and asks nobody",
	},
	{
		from:  []string{"manifests/document"},
		never: []string{"k8s.io/...", "sigs.k8s.io/...", "manifests", "manifests/verdict/...", "source/..."},
		why:   "text becomes nodes with lines before anyone asks what the fields mean; without Kubernetes it can be fuzzed at full speed",
	},
	{
		from:   []string{"reconcile/diff", "reconcile/inventory", "reconcile/health"},
		never:  append([]string{"source/...", "reconcile", "api/...", "cmd/..."}, clients...),
		except: harmless,
		why:    "deciding is pure: the same inputs give the same plan. Package reconcile reads the cluster before and acts on it afterwards",
	},
	{
		from:   []string{"reconcile/diff", "reconcile/inventory", "reconcile/health"},
		never:  []string{"os/...", "github.com/prometheus/...", "log/...", "k8s.io/klog/..."},
		direct: true,
		why:    "deciders do not log, count or look around: they take arguments and return values, and the caller says what happened",
	},
	{
		from:   []string{"manifests/lint", "manifests/schedule"},
		never:  []string{"manifests", "manifests/verdict", "os/...", "net/...", "log/...", "io/fs", "go.yaml.in/...", "k8s.io/klog/..."},
		direct: true,
		why:    "a remark depends on the typed object and the time it is given, nothing else: so it can be remembered with the file, and asked for by others",
	},
	{
		from:  []string{"api/..."},
		never: append([]string{"source/...", "manifests/...", "reconcile/...", "cmd/..."}, clients...),
		why:   "the API's types are for other programs too, which must not have to link the loop",
	},
	{
		from:  []string{"reconcile/..."},
		never: []string{"cmd/...", "github.com/go-git/...", "k8s.io/kubernetes/..."},
		// What source and manifests import is theirs to answer for.
		direct: true,
		why:    "the loop is given what it needs by cmd; Git is behind source and Kubernetes' own code behind manifests",
	},
	{
		from:  []string{"hook"},
		never: []string{"k8s.io/...", "sigs.k8s.io/...", "github.com/go-git/...", "source/...", "manifests/...", "reconcile/...", "api/...", "cmd/...", "encoding/json"},
		why:   "strangers speak to it: it reads no payload, and all that it can do is call the one function it was given",
	},
	{
		from:   []string{"internal/report"},
		never:  append([]string{"os/...", "source/...", "reconcile/...", "cmd/...", "log/..."}, clients...),
		direct: true,
		why:    "rendering is pure: the same report gives the same bytes. Whether there is a terminal, and what is in files, cmd says",
	},
	{
		from: []string{"api/...", "source/...", "manifests/...", "reconcile/...", "cmd/..."},
		never: []string{
			"internal/gitserver/...", "internal/forge/...", "internal/mutate/...", "internal/needs/...", "internal/withcluster/...",
			"demo/...", "e2e/...", "bench/...", "devcluster/...", "testing/...",
		},
		direct: true,
		why:    "what serves only tests and the demo stays out of the program",
	},
}

// verdictOnly is its own rule, because it holds for tests too.
const verdictOnly = "only manifests/verdict asks Kubernetes' own code: it is the largest dependency, it promises no stable API, and one place to mend is enough"

func TestImportArrows(t *testing.T) {
	imports := map[string][]string{} // package -> what its files import, tests aside
	for _, file := range repository(t).files {
		if !file.test() && !strings.HasPrefix(file.path, "devcluster/") {
			imports[file.pkg()] = append(imports[file.pkg()], file.imports...)
		}
	}
	for _, arrow := range arrows {
		matched := false
		for _, from := range slices.Sorted(maps.Keys(imports)) {
			if !matches(relative(from), arrow.from) {
				continue
			}
			matched = true
			for _, chain := range arrow.broken(imports, from) {
				t.Errorf("%s\n\tmust not be: %s", strings.Join(chain, " -> "), arrow.why)
			}
		}
		if !matched {
			t.Errorf("no package matches %q: the rule guards nothing", arrow.from)
		}
	}
}

// broken returns a shortest chain of imports from pkg to each package that it must not reach.
func (a arrow) broken(imports map[string][]string, pkg string) [][]string {
	var chains [][]string
	seen := map[string]bool{pkg: true}
	for queue := [][]string{{relative(pkg)}}; len(queue) > 0; queue = queue[1:] {
		chain := queue[0]
		for _, next := range imports[absolute(chain[len(chain)-1], imports)] {
			if seen[next] {
				continue
			}
			seen[next] = true
			longer := append(slices.Clone(chain), relative(next))
			if matches(relative(next), a.never) && !matches(relative(next), a.except) {
				chains = append(chains, longer)
			} else if _, ours := imports[next]; ours && !a.direct {
				queue = append(queue, longer)
			}
		}
	}
	return chains
}

// The rules above are silent when all is well; this shows that they would speak.
func TestBrokenArrowIsFound(t *testing.T) {
	imports := map[string][]string{
		mainModule + "/manifests":         {"fmt", mainModule + "/manifests/verdict"},
		mainModule + "/manifests/verdict": {mainModule + "/clock", "k8s.io/client-go/kubernetes/scheme"},
		mainModule + "/clock":             {"net/http/httptrace", "k8s.io/client-go/rest"},
	}
	rule := arrow{never: clients, except: []string{"net/http/..."}}
	got := rule.broken(imports, mainModule+"/manifests")
	want := [][]string{{"manifests", "manifests/verdict", "clock", "k8s.io/client-go/rest"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	rule.direct = true
	if got := rule.broken(imports, mainModule+"/manifests"); got != nil {
		t.Errorf("a direct rule found %q behind another package", got)
	}
}

func TestOnlyVerdictImportsKubernetes(t *testing.T) {
	found := false
	for _, file := range repository(t).files {
		if strings.HasPrefix(file.path, "devcluster/") {
			continue // another module: it is Kubernetes
		}
		inVerdict := matches(relative(file.pkg()), []string{"manifests/verdict/..."})
		for _, imported := range file.imports {
			if !matches(imported, []string{"k8s.io/kubernetes/..."}) {
				continue
			}
			found = found || inVerdict
			if !inVerdict {
				t.Errorf("%s imports %s\n\tmust not be: %s", file.path, imported, verdictOnly)
			}
		}
	}
	if !found {
		t.Error("manifests/verdict does not import k8s.io/kubernetes: the verdict is not the server's own")
	}
}

// The loop knows of a source only what it hands over, so that anything with commits and files can be one.
func TestReconcileUsesOnlySnapshotsOfSource(t *testing.T) {
	for _, file := range repository(t).files {
		if file.test() || !matches(relative(file.pkg()), []string{"reconcile/..."}) || !slices.Contains(file.imports, mainModule+"/source") {
			continue
		}
		ast.Inspect(file.syntax, func(node ast.Node) bool {
			selector, ok := node.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			name := selector.Sel.Name
			if of, ok := selector.X.(*ast.Ident); ok && of.Name == "source" && name != "Snapshot" && name != "Commit" {
				t.Errorf("%s uses source.%s: reconcile takes from source only Snapshot and Commit; fetching is for cmd to wire", file.path, name)
			}
			return true
		})
	}
}

// matches reports whether pkg is one of the patterns.
func matches(pkg string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		below, wild := strings.CutSuffix(pattern, "...")
		if !wild {
			return pkg == pattern
		}
		return below == "" || pkg == strings.TrimSuffix(below, "/") || strings.HasPrefix(pkg, below)
	})
}

// relative shortens the import paths of our own packages.
func relative(pkg string) string { return strings.TrimPrefix(pkg, mainModule+"/") }

// absolute undoes relative for packages that are ours.
func absolute(pkg string, ours map[string][]string) string {
	if _, ok := ours[mainModule+"/"+pkg]; ok {
		return mainModule + "/" + pkg
	}
	return pkg
}
