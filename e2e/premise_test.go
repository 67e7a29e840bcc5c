package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/yaml"

	"kilter.dev/kilter/reconcile/health"
	"kilter.dev/kilter/reconcile/inventory"
)

// changesPerKind is how many random changes each object goes through.
const changesPerKind = 40

// TestDriftPremise proves on the server what drift detection rests on: our entry in managedFields changes exactly when somebody changes a
// field of ours, in whatever way; an apply restores it; and an object that is deleted or loses its label leaves the watch.
//
// It is not parallel: its CRDs would disturb those who watch all kinds.
func TestDriftPremise(t *testing.T) {
	ctx, c := newCluster(t)
	ns := c.namespace(t, "premise")
	r := random(t)
	archive, err := txtar.ParseFile("testdata/premise.txtar")
	must(t, err)
	c.definePipelines(ctx, t, ns+".example.com")
	if len(archive.Files) < 14 {
		t.Fatalf("%d kinds, want 12 that are built in, a CRD and its objects", len(archive.Files))
	}
	for _, file := range archive.Files {
		s := subject{c: c, r: rand.New(rand.NewPCG(r.Uint64(), r.Uint64())), namespace: ns, want: &unstructured.Unstructured{}}
		must(t, yaml.UnmarshalStrict([]byte(strings.ReplaceAll(string(file.Data), "GROUP", ns+".example.com")), &s))
		s.want.Object = s.Manifest
		s.want.SetLabels(map[string]string{inventory.PartOfLabel: ns, "app": "ours"})
		s.want.SetAnnotations(map[string]string{"kilter.dev/applied": "hash"})
		resource := schema.GroupVersionResource{Group: s.want.GroupVersionKind().Group, Version: s.want.GroupVersionKind().Version, Resource: file.Name}
		s.client = c.dynamic.Resource(resource).Namespace(ns)
		if s.Cluster {
			s.client = c.dynamic.Resource(resource)
		}
		t.Run(file.Name, func(t *testing.T) { s.test(ctx, t) })
	}
}

// definePipelines creates the CRD of Pipelines in a group, and waits until they are served.
func (c *cluster) definePipelines(ctx context.Context, t *testing.T, group string) {
	t.Helper()
	crd := &unstructured.Unstructured{}
	must(t, yaml.Unmarshal([]byte(strings.ReplaceAll(defaulted, "GROUP", group)), &crd.Object))
	crds := c.dynamic.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	_, err := crds.Create(ctx, crd, metav1.CreateOptions{})
	must(t, err)
	t.Cleanup(func() { must(t, crds.Delete(context.WithoutCancel(ctx), crd.GetName(), metav1.DeleteOptions{})) })
	events, err := crds.Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + crd.GetName()})
	must(t, err)
	defer events.Stop()
	for event := range events.ResultChan() {
		if u, ok := event.Object.(*unstructured.Unstructured); ok && health.Compute(u).Word == health.Current {
			return
		}
	}
	t.Fatal("its objects are not served")
}

// subject is one object of testdata/premise.txtar: a manifest, and JSON pointers to fields with another value for each.
type subject struct {
	Manifest map[string]any `json:"manifest"`
	Owned    map[string]any `json:"owned"`   // set by the manifest
	Free     map[string]any `json:"free"`    // not set by it
	Status   map[string]any `json:"status"`  // a status that a controller might write
	Scale    bool           `json:"scale"`   // has a scale subresource, and spec.replicas
	Cluster  bool           `json:"cluster"` // has no namespace

	c         *cluster
	r         *rand.Rand
	namespace string
	want      *unstructured.Unstructured
	client    dynamic.ResourceInterface
}

func (s subject) test(ctx context.Context, t *testing.T) {
	ours := s.apply(ctx, t)
	gone := s.watch(ctx, t)
	for range changesPerKind {
		what, owned := s.change(ctx, t)
		live, err := s.client.Get(ctx, s.want.GetName(), metav1.GetOptions{})
		must(t, err)
		if changed := entry(live) != ours; changed != owned {
			t.Errorf("%s: a field of ours changed: %t, our entry changed: %t\nbefore %s\nafter  %s", what, owned, changed, ours, entry(live))
		}
		if again := s.apply(ctx, t); again != ours {
			t.Fatalf("an apply after %s leaves another entry\nwant %s\ngot  %s", what, ours, again)
		}
	}

	label := fmt.Appendf(nil, `{"metadata":{"labels":{%q:null}}}`, inventory.PartOfLabel)
	s.patch(ctx, t, types.MergePatchType, label, "someone")
	gone("the loss of its label")
	s.apply(ctx, t)
	must(t, s.client.Delete(ctx, s.want.GetName(), metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground)}))
	gone("its deletion")
}

// apply applies the manifest as Kilter does, and returns our entry.
func (s subject) apply(ctx context.Context, t *testing.T) string {
	t.Helper()
	live, err := s.client.Apply(ctx, s.want.GetName(), s.want, metav1.ApplyOptions{FieldManager: inventory.FieldManager, Force: true})
	must(t, err)
	return entry(live)
}

func entry(live *unstructured.Unstructured) string {
	if e := inventory.Entry(live); e != nil {
		return string(e.FieldsV1.GetRawBytes())
	}
	return ""
}

// watch watches the members of the set; what it returns waits until ours has left.
func (s subject) watch(ctx context.Context, t *testing.T) func(why string) {
	t.Helper()
	events, err := s.client.Watch(ctx, metav1.ListOptions{
		LabelSelector: inventory.PartOfLabel + "=" + s.namespace, FieldSelector: "metadata.name=" + s.want.GetName(),
	})
	must(t, err)
	t.Cleanup(events.Stop)
	return func(why string) {
		t.Helper()
		for event := range events.ResultChan() {
			if event.Type == watch.Deleted {
				return
			}
		}
		t.Errorf("%s was not seen", why)
	}
}

// change makes one change in a random way, and says whether it was of a field of ours.
func (s subject) change(ctx context.Context, t *testing.T) (what string, owned bool) {
	t.Helper()
	ways := []func() (string, bool){
		func() (string, bool) { return s.edit(ctx, t, s.Owned), true },
		func() (string, bool) { return s.edit(ctx, t, s.Owned), true },
		func() (string, bool) {
			return s.edit(ctx, t, map[string]any{"/metadata/labels/app": "theirs", "/metadata/annotations/kilter.dev~1applied": "x"}), true
		},
		func() (string, bool) {
			s.patch(ctx, t, types.MergePatchType, []byte(`{"metadata":{"labels":{"app":null}}}`), "someone")
			return "removal of a label", true
		},
		func() (string, bool) {
			s.patch(ctx, t, types.JSONPatchType, []byte(`[{"op":"remove","path":"/metadata/annotations/kilter.dev~1applied"}]`), "someone")
			return "removal of an annotation", true
		},
		func() (string, bool) {
			return s.edit(ctx, t, map[string]any{"/metadata/labels/theirs": s.value(), "/metadata/annotations/theirs": s.value()}), false
		},
		func() (string, bool) { s.apply(ctx, t); return "the same apply once more", false },
		func() (string, bool) {
			same := s.want.DeepCopy()
			_, err := s.client.Apply(ctx, same.GetName(), same, metav1.ApplyOptions{FieldManager: "co-owner", Force: true})
			must(t, err)
			return "an apply of the same values by another", false
		},
	}
	if len(s.Free) > 0 {
		ways = append(ways, func() (string, bool) { return s.edit(ctx, t, s.Free), false })
	}
	if len(s.Status) > 0 {
		ways = append(ways, func() (string, bool) {
			s.patch(ctx, t, types.MergePatchType, s.json(t, map[string]any{"status": s.Status}), "controller", "status")
			return "a status", false
		})
	}
	if s.Scale {
		ways = append(ways, func() (string, bool) {
			s.patch(ctx, t, types.MergePatchType, []byte(`{"spec":{"replicas":2}}`), "autoscaler", "scale")
			return "its scale", true
		})
	}
	return ways[s.r.IntN(len(ways))]()
}

func (s subject) value() string { return fmt.Sprintf("v%d", s.r.Uint32()) }

// edit sets one of the fields in a random way.
func (s subject) edit(ctx context.Context, t *testing.T, fields map[string]any) string {
	t.Helper()
	pointers := slices.Sorted(maps.Keys(fields))
	pointer := pointers[s.r.IntN(len(pointers))]
	path := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	for i := range path {
		path[i] = strings.ReplaceAll(path[i], "~1", "/")
	}
	nested := map[string]any{}
	must(t, unstructured.SetNestedField(nested, fields[pointer], path...))
	manager := []string{"someone", "kubectl-edit", inventory.FieldManager}[s.r.IntN(3)]
	ways := map[string]func(){
		"merge patch": func() { s.patch(ctx, t, types.MergePatchType, s.json(t, nested), manager) },
		"JSON patch": func() {
			s.patch(ctx, t, types.JSONPatchType, s.json(t, []map[string]any{{"op": "add", "path": pointer, "value": fields[pointer]}}), manager)
		},
		"PUT": func() {
			must(t, retry.RetryOnConflict(retry.DefaultBackoff, func() error {
				live, err := s.client.Get(ctx, s.want.GetName(), metav1.GetOptions{})
				must(t, err)
				must(t, unstructured.SetNestedField(live.Object, fields[pointer], path...))
				_, err = s.client.Update(ctx, live, metav1.UpdateOptions{FieldManager: manager})
				return err
			}))
		},
		"forced apply": func() {
			theirs := &unstructured.Unstructured{Object: nested}
			theirs.SetGroupVersionKind(s.want.GroupVersionKind())
			theirs.SetName(s.want.GetName())
			_, err := s.client.Apply(ctx, theirs.GetName(), theirs, metav1.ApplyOptions{FieldManager: "other-tool", Force: true})
			must(t, err)
		},
	}
	inList := strings.ContainsAny(pointer, "0123456789") && strings.Contains(pointer, "/0/")
	if !inList && !strings.Contains(s.want.GroupVersionKind().Group, "example.com") {
		ways["strategic patch"] = func() { s.patch(ctx, t, types.StrategicMergePatchType, s.json(t, nested), manager) }
	}
	names := slices.Sorted(maps.Keys(ways))
	if inList {
		names = []string{"JSON patch"}
	}
	name := names[s.r.IntN(len(names))]
	ways[name]()
	return fmt.Sprintf("a %s of %s by %s", name, pointer, manager)
}

func (s subject) patch(ctx context.Context, t *testing.T, kind types.PatchType, body []byte, manager string, subresource ...string) {
	t.Helper()
	if _, err := s.client.Patch(ctx, s.want.GetName(), kind, body, metav1.PatchOptions{FieldManager: manager}, subresource...); err != nil {
		t.Fatalf("cannot patch %s: %v\n%s", s.want.GetName(), err, body)
	}
}

func (s subject) json(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	must(t, err)
	return data
}
