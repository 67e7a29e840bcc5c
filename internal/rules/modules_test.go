package rules_test

import (
	"encoding/json"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// module is what `go mod edit -json` says of a go.mod file.
type module struct {
	Module  struct{ Path string }
	Go      string
	Require []struct{ Path, Version string }
	Replace []struct{ Old struct{ Path string } }
}

// modules returns every go.mod file of the repository by its directory.
func modules(t *testing.T) map[string]module {
	t.Helper()
	found := map[string]module{}
	for _, name := range repository(t).paths {
		if path.Base(name) != "go.mod" || slices.Contains(strings.Split(name, "/"), "testdata") {
			continue
		}
		command := exec.CommandContext(t.Context(), "go", "mod", "edit", "-json", name)
		command.Dir = root
		text, err := command.Output()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var m module
		if err := json.Unmarshal(text, &m); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		found[path.Dir(name)] = m
	}
	return found
}

func TestMainModuleHasNoReplace(t *testing.T) {
	for _, replace := range modules(t)["."].Replace {
		t.Errorf("go.mod replaces %s: `go install %s/cmd/kilter@latest` refuses a module with replace lines", replace.Old.Path, mainModule)
	}
}

func TestModulePathsFollowDirectories(t *testing.T) {
	for dir, m := range modules(t) {
		if want := path.Join(mainModule, dir); m.Module.Path != want {
			t.Errorf("%s/go.mod is module %s, want %s", dir, m.Module.Path, want)
		}
	}
}

// One set of versions: the dev cluster is the same Kubernetes that the verdict is, and what is compiled for one module is
// not compiled again for the next.
func TestOneSetOfVersions(t *testing.T) {
	all := modules(t)
	versions := map[string]string{}
	for _, require := range all["."].Require {
		versions[require.Path] = require.Version
	}
	// The linters know nothing of Kubernetes and may be as new as they like. The other tools follow for what is large.
	large := []string{"k8s.io/...", "sigs.k8s.io/...", "golang.org/x/...", "google.golang.org/...", "go.yaml.in/...", "go.opentelemetry.io/..."}
	shared := map[string][]string{"devcluster": {"..."}, "tools/helm": large, "tools/controller-gen": large, "tools/release": {"..."}}
	for dir, patterns := range shared {
		m, ok := all[dir]
		if !ok {
			t.Errorf("%s/go.mod does not exist", dir)
		}
		for _, require := range m.Require {
			want, both := versions[require.Path]
			if both && matches(require.Path, patterns) && require.Version != want {
				t.Errorf("%s/go.mod requires %s %s and go.mod %s: make them the same", dir, require.Path, require.Version, want)
			}
		}
	}
	for dir, m := range all {
		if dir == "tools/gitea" { // shares nothing that is large with the others, and asks for a later Go
			continue
		}
		if m.Go != all["."].Go {
			t.Errorf("%s/go.mod says go %s and go.mod go %s: make them the same", dir, m.Go, all["."].Go)
		}
	}
}

// Kubernetes v1.x.y is published as many modules, all of them v0.x.y.
func TestOneKubernetes(t *testing.T) {
	all := modules(t)
	var want string
	for _, require := range all["."].Require {
		if version, ok := strings.CutPrefix(require.Version, "v1."); ok && require.Path == "k8s.io/kubernetes" {
			want = "v0." + version
		}
	}
	if want == "" {
		t.Fatal("go.mod does not require k8s.io/kubernetes")
	}
	for dir, m := range all {
		for _, require := range m.Require {
			part := strings.HasPrefix(require.Path, "k8s.io/") && strings.HasPrefix(require.Version, "v0.") &&
				!strings.HasPrefix(require.Version, "v0.0.0-") // utils and the like are on their own
			if part && require.Version != want {
				t.Errorf("%s/go.mod requires %s %s, want %s", dir, require.Path, require.Version, want)
			}
		}
	}
}
