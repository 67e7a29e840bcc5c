package inventory

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

func entryOf(manager string, operation metav1.ManagedFieldsOperationType, subresource, fields string) metav1.ManagedFieldsEntry {
	at := metav1.NewTime(time.Unix(100, 0))
	return metav1.ManagedFieldsEntry{
		Manager: manager, Operation: operation, APIVersion: "apps/v1", Time: &at, FieldsType: "FieldsV1", Subresource: subresource,
		FieldsV1: metav1.NewFieldsV1(fields),
	}
}

// render writes managedFields as one line an entry.
func render(entries []metav1.ManagedFieldsEntry) string {
	var b strings.Builder
	for _, e := range entries {
		b.WriteString(strings.TrimSpace(string(e.Operation)+" "+e.Manager+" "+e.Subresource) + " " + e.FieldsV1.GetRawString() + "\n")
	}
	return b.String()
}

const (
	update = metav1.ManagedFieldsOperationUpdate
	apply  = metav1.ManagedFieldsOperationApply
)

func TestExamine(t *testing.T) {
	yes := true
	for _, c := range []struct {
		name   string
		object metav1.ObjectMeta
		want   Finding
		fields string
	}{
		{name: "nobody's", object: metav1.ObjectMeta{}},
		{
			name:   "of another set",
			object: metav1.ObjectMeta{Labels: map[string]string{PartOfLabel: "applyset-other-v1"}},
			want:   Finding{Set: "applyset-other-v1", Refused: "it belongs to another set, applyset-other-v1"},
		},
		{
			name:   "made by a controller",
			object: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{Kind: "CronJob", Name: "report", Controller: &yes}}},
			want:   Finding{Refused: "it was made by CronJob report, which controls it"},
		},
		{
			name:   "owned, and not controlled",
			object: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{Kind: "ConfigMap", Name: "a"}}},
		},
		{
			name:   "ours, without its label",
			object: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{entryOf("kilter", apply, "", `{"f:data":{"f:a":{}}}`)}},
		},
		{
			name: "of a person and a controller",
			object: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{
				entryOf("kubectl-edit", update, "", `{"f:data":{"f:a":{}}}`), entryOf("kube-controller-manager", update, "status", `{"f:status":{}}`),
			}},
			want: Finding{From: "field manager kubectl-edit"},
		},
		{
			name: "of several tools in turn",
			object: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{
				entryOf("kustomize-controller", apply, "", `{"f:data":{"f:b":{}}}`), entryOf("kubectl-edit", update, "", `{"f:data":{"f:c":{}}}`),
				entryOf("kubectl-client-side-apply", update, "", `{"f:data":{"f:a":{}}}`),
				entryOf("kubectl-client-side-apply", update, "status", `{"f:status":{"f:a":{}}}`),
			}},
			want: Finding{From: "Flux"},
			fields: `Update kubectl-edit {"f:data":{"f:c":{}}}
Update kubectl-client-side-apply status {"f:status":{"f:a":{}}}
Apply kilter {"f:data":{"f:a":{},"f:b":{}}}
`,
		},
		{
			name: "taken over half, and crashed",
			object: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{
				entryOf("kilter", apply, "", `{"f:data":{"f:a":{}}}`), entryOf("helm", update, "", `{"f:data":{"f:b":{}}}`),
			}},
			want:   Finding{From: "Helm"},
			fields: "Apply kilter {\"f:data\":{\"f:a\":{},\"f:b\":{}}}\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := Examine("applyset-ours-v1", "apps/v1", &c.object)
			if found.Refused != c.want.Refused || found.Set != c.want.Set || found.From != c.want.From {
				t.Errorf("Examine = %+v, want %+v", found, c.want)
			}
			if got := render(found.Taken); got != c.fields {
				t.Errorf("managedFields become\n%swant\n%s", got, c.fields)
			}
		})
	}
}

// A claimed field is ours alone, with all that is in it; what else others own stays theirs.
func TestClaim(t *testing.T) {
	got := Claim("apps/v1", []metav1.ManagedFieldsEntry{
		entryOf("kilter", apply, "", `{"f:spec":{"f:strategy":{"f:type":{}}}}`),
		entryOf("kubectl-edit", update, "", `{"f:spec":{"f:paused":{},"f:strategy":{"f:rollingUpdate":{"f:maxSurge":{}}}}}`),
		entryOf("kubectl-patch", update, "", `{"f:spec":{"f:strategy":{"f:rollingUpdate":{".":{},"f:maxSurge":{}}}}}`),
	}, []fieldpath.Path{fieldpath.MakePathOrDie("spec", "strategy", "rollingUpdate")})
	want := `Update kubectl-edit {"f:spec":{"f:paused":{}}}
Apply kilter {"f:spec":{"f:strategy":{"f:rollingUpdate":{},"f:type":{}}}}
`
	if render(got) != want {
		t.Errorf("managedFields become\n%swant\n%s", render(got), want)
	}
}

func TestReplicasTaken(t *testing.T) {
	const replicas = `{"f:spec":{"f:replicas":{}}}`
	for _, c := range []struct {
		name  string
		entry metav1.ManagedFieldsEntry
		want  bool
	}{
		{"by ourselves", entryOf("kilter", apply, "", replicas), false},
		{"by an autoscaler", entryOf("kube-controller-manager", update, "scale", replicas), true},
		{"by a person", entryOf("kubectl-edit", update, "", replicas), true},
		{"those of the status", entryOf("kube-controller-manager", update, "status", `{"f:status":{"f:replicas":{}}}`), false},
		{"of something else", entryOf("operator", update, "", `{"f:spec":{"f:pool":{"f:replicas":{}}}}`), false},
	} {
		if got := ReplicasTaken(&metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{c.entry}}); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}

// TestSuspendTaken says whose spec.suspend is, of a Job that stands in a queue.
func TestSuspendTaken(t *testing.T) {
	const suspend = `{"f:spec":{"f:suspend":{}}}`
	queued := map[string]string{QueueLabel: "user-queue"}
	ours := entryOf(FieldManager, metav1.ManagedFieldsOperationApply, "", suspend)
	for _, c := range []struct {
		name   string
		labels map[string]string
		owner  metav1.ManagedFieldsEntry
		want   bool
	}{
		{"the queue's controller", queued, entryOf("kueue", metav1.ManagedFieldsOperationUpdate, "", suspend), true},
		{"the queue's webhook, while Kilter applies", queued, entryOf(FieldManager, metav1.ManagedFieldsOperationUpdate, "", suspend), true},
		{"Git", queued, ours, false},
		{"an exception", queued, entryOf(ExceptionManager, metav1.ManagedFieldsOperationApply, "", suspend), false},
		{"another field", queued, entryOf("kueue", metav1.ManagedFieldsOperationUpdate, "", `{"f:spec":{"f:template":{}}}`), false},
		{"in no queue", nil, entryOf("kueue", metav1.ManagedFieldsOperationUpdate, "", suspend), false},
	} {
		if got := SuspendTaken(&metav1.ObjectMeta{Labels: c.labels, ManagedFields: []metav1.ManagedFieldsEntry{ours, c.owner}}); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}
