package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"sigs.k8s.io/yaml"

	"kilter.dev/kilter/internal/mutate"
	"kilter.dev/kilter/manifests/verdict"
)

// TestVerdictOnPublished takes manifests as people write them: those that Kubernetes itself publishes in its module (add-ons, samples,
// test data, good and bad), those of examples/, and those of the tests of package manifests.
func TestVerdictOnPublished(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	server := c.judge(ctx, t, "verdict-published")
	module, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "k8s.io/kubernetes").Output()
	must(t, err)
	p := published{seen: map[[sha256.Size]byte]bool{}, server: server}
	for _, root := range []string{strings.TrimSpace(string(module)), "../examples", "../manifests/testdata"} {
		p.walk(t, root)
	}
	answers := server.compare(t, p.questions, creatingHere)
	count(p.questions, answers).want(t, 300)
}

// published collects the manifests of the linked kinds that the server serves, each once.
type published struct {
	server    *judge
	seen      map[[sha256.Size]byte]bool
	questions []question
}

func (p *published) walk(t *testing.T, root string) {
	t.Helper()
	must(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name := filepath.Join(filepath.Base(root), strings.TrimPrefix(path, root))
		switch filepath.Ext(path) {
		case ".yaml", ".yml", ".json":
			data, err := os.ReadFile(path)
			p.file(t, name, data)
			return err
		case ".txtar":
			archive, err := txtar.ParseFile(path)
			if err != nil {
				return err
			}
			for _, file := range archive.Files {
				if filepath.Ext(file.Name) == ".yaml" {
					p.file(t, name+" "+file.Name, file.Data)
				}
			}
		}
		return nil
	}))
}

// file adds a file's manifests. What is no manifest is none of ours: templates, the schema of the API, tests of decoders.
func (p *published) file(t *testing.T, name string, data []byte) {
	t.Helper()
	if bytes.Contains(data, []byte("{{")) || len(data) > 1<<20 {
		return
	}
	for document := range bytes.SplitSeq(data, []byte("\n---")) {
		text, err := yaml.YAMLToJSON(document)
		sum := sha256.Sum256(text)
		var o object
		if err != nil || p.seen[sum] || json.Unmarshal(text, &o) != nil {
			continue
		}
		p.seen[sum] = true
		if _, ok := o["metadata"].(object); !ok {
			continue
		}
		m := manifestOf(o)
		m.name = name
		if _, err := p.server.path(m.gvk); err == nil && slices.Contains(verdict.Linked(), m.gvk) {
			settle(o)
			q, _ := m.with(t)
			p.questions = append(p.questions, q)
		}
	}
}

// settle takes away what refers to the cluster that the manifest was written for: its namespaces, addresses and ports.
func settle(o object) {
	mutate.Change{Path: "metadata.namespace", Value: mutate.Remove}.Apply(o)
	if spec, ok := o["spec"].(object); ok && o["kind"] == "Service" && spec["clusterIP"] != "None" {
		delete(spec, "clusterIP")
		delete(spec, "clusterIPs")
	}
}
