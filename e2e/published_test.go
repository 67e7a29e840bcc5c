package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"sigs.k8s.io/yaml"

	"kilter.dev/kilter/manifests/verdict"
)

// TestPublishedManifests takes the manifests that Kubernetes itself publishes in its module (add-ons, samples, test data, good
// and bad), and wants the server and the verdict to agree on each.
func TestPublishedManifests(t *testing.T) {
	t.Parallel()
	_, c := newCluster(t)
	ctx, cancel := context.WithTimeout(t.Context(), patienceForKinds)
	defer cancel()
	config := rest.CopyConfig(c.config)
	config.WarningHandlerWithContext = heard{}
	client, err := dynamic.NewForConfig(config)
	must(t, err)
	ns := c.namespace(t, "published")
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(c.Discovery()))
	var questions []*question
	for _, q := range published(t) {
		gvk := q.object.GroupVersionKind()
		if !slices.Contains(verdict.Linked(), gvk) {
			continue
		}
		if mapping, err := mapper.RESTMapping(gvk.GroupKind(), gvk.Version); err == nil {
			q.resource = client.Resource(mapping.Resource)
			if mapping.Scope.Name() == "namespace" {
				q.object.SetNamespace(ns)
				q.resource = client.Resource(mapping.Resource).Namespace(ns)
			}
			questions = append(questions, q)
		}
	}
	ask(t, questions, func(q *question) {
		_, err := q.resource.Create(context.WithValue(ctx, heard{}, q), q.object,
			metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict})
		q.answered(err)
		v, linked := verdict.Create(q.object.GroupVersionKind(), ns, text(q.object))
		q.cluster = q.cluster || slices.ContainsFunc(v.Causes, func(c verdict.Cause) bool { return c.Apply }) // a POST does not tell
		q.judged(v, linked)
	})
	k := kindTest{count: tally{}}
	k.compare(t, "create", questions)
	t.Logf("asked about %d manifests, %d of them refused; %d more answers were the cluster's",
		k.count["create"], k.count["create refused"], k.count["cluster"])
	if k.count["create"] < 400 {
		t.Error("too few to prove much")
	}
}

// published reads every manifest in the module k8s.io/kubernetes, each once.
func published(t *testing.T) []*question {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "k8s.io/kubernetes").Output()
	must(t, err)
	root := strings.TrimSpace(string(dir))
	seen := map[[sha256.Size]byte]bool{}
	var all []*question
	must(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path)) {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if bytes.Contains(data, []byte("{{")) || len(data) > 1<<20 {
			return nil // a template, or the schema of the API
		}
		for document := range bytes.SplitSeq(data, []byte("\n---")) {
			object := &unstructured.Unstructured{}
			text, err := yaml.YAMLToJSON(document)
			sum := sha256.Sum256(text)
			if err != nil || seen[sum] || object.UnmarshalJSON(text) != nil {
				continue
			}
			seen[sum] = true
			all = append(all, &question{name: strings.TrimPrefix(path, root), object: object})
		}
		return nil
	}))
	return all
}
