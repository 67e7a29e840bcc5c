package inventory

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
)

var (
	sync     = Parent{GroupVersion: schema.GroupVersion{Group: "kilter.dev", Version: "v1alpha1"}, Kind: "Sync", Namespace: "team-a", Name: "batch"}
	fromFile = Parent{GroupVersion: schema.GroupVersion{Version: "v1"}, Kind: "ConfigMap", Namespace: "team-a", Name: "kilter-batch"}

	configMap = schema.GroupKind{Kind: "ConfigMap"}
	job       = schema.GroupKind{Group: "batch", Kind: "Job"}
	cronJob   = schema.GroupKind{Group: "batch", Kind: "CronJob"}
)

// The IDs were computed by hand, as KEP-3659 says: base64url, without padding, of the SHA-256 of "<name>.<namespace>.<kind>.<group>".
//
//	printf 'batch.team-a.Sync.kilter.dev' | openssl dgst -sha256 -binary | basenc --base64url | tr -d =
func TestIDFollowsKEP3659(t *testing.T) {
	for _, c := range []struct {
		parent Parent
		want   string
	}{
		{sync, "applyset-vAY8ChA93reC7JXHEPtVJunRa3mfZHjLL_rh5VZFg8E-v1"},
		{fromFile, "applyset-RZSkD2OQVVYuwaOzeK56Iiwdh7VIIv7mFfk-20kIG6A-v1"}, // the core group is empty
	} {
		if got := c.parent.ID(); got != c.want {
			t.Errorf("ID of %s = %s, want %s", c.parent, got, c.want)
		}
		if wrong := validation.IsValidLabelValue(c.parent.ID()); wrong != nil {
			t.Errorf("ID of %s is no label value: %v", c.parent, wrong)
		}
	}
	newer := sync
	newer.GroupVersion.Version = "v1"
	if newer.ID() != sync.ID() {
		t.Error("the ID changes with the API version: what an older Kilter applied would be orphaned")
	}
	if want := map[string]string{IDLabel: sync.ID()}; !maps.Equal(sync.Labels(), want) {
		t.Errorf("Labels() = %v, want %v", sync.Labels(), want)
	}
}

func TestAnnotations(t *testing.T) {
	for _, c := range []struct {
		name       string
		contents   Contents
		kinds      string
		namespaces string
	}{
		{"nothing", Contents{}, "", ""},
		{
			"sorted, each once, the cluster scope not written down",
			ContentsOf([]schema.GroupKind{job, configMap, cronJob, job}, []string{"web", "", "db", "web"}),
			"ConfigMap,CronJob.batch,Job.batch", "db,web",
		},
		{"the parent's own namespace is implied", ContentsOf([]schema.GroupKind{configMap}, []string{"team-a", "web"}), "ConfigMap", "web"},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := map[string]string{
				"applyset.kubernetes.io/tooling":               "kilter/v1",
				"applyset.kubernetes.io/contains-group-kinds":  c.kinds,
				"applyset.kubernetes.io/additional-namespaces": c.namespaces,
			}
			annotations := sync.Annotations(c.contents)
			if diff := cmp.Diff(want, annotations); diff != "" {
				t.Errorf("annotations (-want +got):\n%s", diff)
			}
			read, ok := sync.Read(annotations)
			whole := c.contents.Union(Contents{Namespaces: []string{"team-a"}})
			if !ok || !read.Equal(whole) {
				t.Errorf("Read gives %v, %t; want %v", read, ok, whole)
			}
			if again := sync.Annotations(read); !maps.Equal(again, annotations) {
				t.Errorf("written again as %v, want %v", again, annotations)
			}
		})
	}
}

// A parent that lists nothing at all, such as a Sync that was never applied, is told from one that lists no kinds.
func TestReadOfForeignAnnotations(t *testing.T) {
	if contents, ok := sync.Read(map[string]string{"a": "b"}); ok || !contents.Equal(Contents{}) {
		t.Errorf("Read = %v, %t of a parent without a list", contents, ok)
	}
	contents, ok := sync.Read(map[string]string{GroupKindsAnnotation: "Job.batch,,ConfigMap,Job.batch", NamespacesAnnotation: ",web,web,"})
	want := ContentsOf([]schema.GroupKind{configMap, job}, []string{"team-a", "web"})
	if !ok || !contents.Equal(want) {
		t.Errorf("Read of a list by hand = %v, %t; want %v", contents, ok, want)
	}
}

// Widening keeps everything that was listed, and changes neither of its arguments.
func TestUnion(t *testing.T) {
	before := ContentsOf([]schema.GroupKind{job}, []string{"web"})
	wider := before.Union(ContentsOf([]schema.GroupKind{configMap}, []string{"db"}))
	if want := ContentsOf([]schema.GroupKind{configMap, job}, []string{"db", "web"}); !wider.Equal(want) {
		t.Errorf("Union = %v, want %v", wider, want)
	}
	if !wider.Union(before).Equal(wider) || wider.Equal(before) {
		t.Errorf("%v joined with its part %v gives another set", wider, before)
	}
	if !before.Equal(ContentsOf([]schema.GroupKind{job}, []string{"web"})) {
		t.Errorf("Union changed its receiver to %v", before)
	}
}

// The label alone proves nothing: I1.
func TestMember(t *testing.T) {
	ours := func() *metav1.ObjectMeta {
		return &metav1.ObjectMeta{
			Name: "x", Namespace: "shop", Labels: map[string]string{"applyset.kubernetes.io/part-of": sync.ID()},
			ManagedFields: []metav1.ManagedFieldsEntry{
				{Manager: "kube-controller-manager", Operation: metav1.ManagedFieldsOperationUpdate, FieldsV1: metav1.NewFieldsV1("{}")},
				{Manager: "kilter", Operation: metav1.ManagedFieldsOperationApply, FieldsV1: metav1.NewFieldsV1("{}")},
			},
		}
	}
	yes, no := true, false
	for _, c := range []struct {
		name   string
		change func(*metav1.ObjectMeta)
		want   bool
	}{
		{"applied by us", func(*metav1.ObjectMeta) {}, true},
		{"no label", func(o *metav1.ObjectMeta) { o.Labels = nil }, false},
		{"the label of another set", func(o *metav1.ObjectMeta) { o.Labels[PartOfLabel] = fromFile.ID() }, false},
		{"a label that a controller copied: no entry of ours", func(o *metav1.ObjectMeta) { o.ManagedFields = o.ManagedFields[:1] }, false},
		{"managedFields stripped", func(o *metav1.ObjectMeta) { o.ManagedFields = nil }, false},
		{"an update under our name is no apply", func(o *metav1.ObjectMeta) {
			o.ManagedFields[1].Operation = metav1.ManagedFieldsOperationUpdate
		}, false},
		{"an apply of somebody else", func(o *metav1.ObjectMeta) { o.ManagedFields[1].Manager = "kubectl" }, false},
		{"an apply of ours to its status only", func(o *metav1.ObjectMeta) { o.ManagedFields[1].Subresource = "status" }, false},
		{"an entry without fields", func(o *metav1.ObjectMeta) { o.ManagedFields[1].FieldsV1 = nil }, false},
		{"made by a controller", func(o *metav1.ObjectMeta) {
			o.OwnerReferences = []metav1.OwnerReference{{Kind: "Deployment", Name: "web", Controller: &yes}}
		}, false},
		{"owned, and not controlled", func(o *metav1.ObjectMeta) {
			o.OwnerReferences = []metav1.OwnerReference{{Kind: "ConfigMap", Name: "app", Controller: &no}, {Kind: "ConfigMap", Name: "b"}}
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			object := ours()
			c.change(object)
			if got := Member(sync.ID(), object); got != c.want {
				t.Errorf("Member = %t, want %t of %+v", got, c.want, object)
			}
		})
	}
}

func TestKept(t *testing.T) {
	for _, c := range []struct {
		name        string
		annotations map[string]string
		want        string
	}{
		{"nothing said", nil, ""},
		{"ours", map[string]string{"kilter.dev/prune": "disabled"}, "kilter.dev/prune: disabled"},
		{"ours with another value", map[string]string{"kilter.dev/prune": "enabled"}, ""},
		{"cli-utils", map[string]string{"cli-utils.sigs.k8s.io/on-remove": "keep"}, "cli-utils.sigs.k8s.io/on-remove: keep"},
		{"lifecycle", map[string]string{"client.lifecycle.config.k8s.io/deletion": "detach"}, "client.lifecycle.config.k8s.io/deletion: detach"},
		{"another of the lifecycle's", map[string]string{"client.lifecycle.config.k8s.io/mutation": "ignore"}, ""},
		{
			"several: always the same one is named",
			map[string]string{"cli-utils.sigs.k8s.io/on-remove": "keep", "kilter.dev/prune": "disabled"},
			"kilter.dev/prune: disabled",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Kept(c.annotations); got != c.want {
				t.Errorf("Kept(%v) = %q, want %q", c.annotations, got, c.want)
			}
		})
	}
}
