package e2e

import (
	"context"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// A CRD that fills in what its objects leave out, at several depths and in lists, and an object that leaves out what it can.
const defaulted = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: pipelines.GROUP
  annotations: {kilter.dev/prune: cascade}
spec:
  group: GROUP
  names: {kind: Pipeline, plural: pipelines, shortNames: [pl]}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          status: {type: object, x-kubernetes-preserve-unknown-fields: true}
          spec:
            type: object
            default: {}
            properties:
              replicas: {type: integer, default: 3}
              memory: {x-kubernetes-int-or-string: true, default: 64Mi}
              retry:
                type: object
                default: {}
                properties:
                  limit: {type: integer, default: 5}
                  backoff: {type: string, default: 10s}
              steps:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [name, stage]
                items:
                  type: object
                  required: [name]
                  properties:
                    name: {type: string}
                    stage: {type: string, default: build}
                    cpu: {x-kubernetes-int-or-string: true, default: 1}
              tags: {type: array, x-kubernetes-list-type: set, items: {type: string}}
`

const pipelines = `apiVersion: GROUP/v1
kind: Pipeline
metadata: {name: bare}
---
apiVersion: GROUP/v1
kind: Pipeline
metadata: {name: full, labels: {app: full}}
spec:
  retry: {limit: 2}
  steps:
  - {name: compile, stage: build, cpu: 500m}
  - {name: test, stage: build}
  tags: [b, a]
`

// TestIdleOnceApplied applies everything in examples/, and then looks again: a plan finds nothing to do, and a run changes nothing.
func TestIdleOnceApplied(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	ns := c.namespace(t, "idle")
	files, examples := fstest.MapFS{}, os.DirFS("../examples")
	must(t, fs.WalkDir(examples, "prod", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(examples, name)
		files[name] = file(strings.ReplaceAll(string(content), "/namespaces/shop/", "/namespaces/"+ns+"/"))
		return err
	}))
	c.idle(ctx, t, ns, files, "39 unchanged")
}

// TestIdleOnceDefaulted does the same with custom resources that their CRD fills in. It is not parallel: the CRD would disturb those who
// watch all kinds.
func TestIdleOnceDefaulted(t *testing.T) {
	ctx, c := newCluster(t)
	ns := c.namespace(t, "defaulted")
	group := ns + ".example.com"
	t.Cleanup(func() {
		crds := c.dynamic.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
		must(t, crds.Delete(context.WithoutCancel(t.Context()), "pipelines."+group, metav1.DeleteOptions{}))
	})
	c.idle(ctx, t, ns, fstest.MapFS{
		"prod/crd.yaml":       file(strings.ReplaceAll(defaulted, "GROUP", group)),
		"prod/pipelines.yaml": file(strings.ReplaceAll(pipelines, "GROUP", group)),
	}, "3 unchanged")
}

// idle applies files and wants nothing to be left to do.
func (c *cluster) idle(ctx context.Context, t *testing.T, ns string, files fstest.MapFS, want string) {
	t.Helper()
	_, url := repository(t, files)
	sync := syncFile(t, ns, url, "")
	once(ctx, t, 0, "run", "-f", sync, "--once", "--kubeconfig", c.kubeconfig, "--allow-insecure-git")
	planned := plan(ctx, t, 0, "-f", sync, "--kubeconfig", c.kubeconfig, "--exit-code")
	if lines := strings.Split(strings.TrimSpace(planned), "\n"); len(lines) != 3 || lines[2] != want {
		t.Errorf("want %q; the plan is\n%s", want, planned)
	}
	again := kilter(t, "run", "-f", sync, "--once", "--kubeconfig", c.kubeconfig, "--allow-insecure-git")
	if code, err := again.Wait(ctx); err != nil || code != 0 || strings.Contains(again.Output(), "\n") {
		t.Errorf("a second run ends with %d (%v) and prints\n%s", code, err, again.Output())
	}
}
