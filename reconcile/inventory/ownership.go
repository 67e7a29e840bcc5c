package inventory

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// LastAppliedAnnotation is where kubectl's client-side apply keeps a whole copy of the manifest.
const LastAppliedAnnotation = "kubectl.kubernetes.io/last-applied-configuration"

// tools are the field managers under which the tools that people come from write manifests. What a tool owns is Git's once its object is
// adopted; every other manager is a person's or a controller's, and keeps what it owns.
var tools = []struct {
	manager   string
	operation metav1.ManagedFieldsOperationType // empty: both
	title     string
}{
	{"kubectl-client-side-apply", metav1.ManagedFieldsOperationUpdate, "kubectl apply"},
	{"kubectl", metav1.ManagedFieldsOperationApply, "kubectl apply --server-side"},
	{"kubectl-last-applied", metav1.ManagedFieldsOperationApply, "kubectl apply --server-side"},
	{"kubectl-create", metav1.ManagedFieldsOperationUpdate, "kubectl create"},
	{"kubectl-replace", metav1.ManagedFieldsOperationUpdate, "kubectl replace"},
	{"kustomize-controller", "", "Flux"},
	{"helm-controller", "", "Flux"},
	{"argocd-controller", "", "Argo CD"},
	{"argocd-application-controller", "", "Argo CD"},
	{"helm", "", "Helm"},
}

// Finding is what is known of an object that exists and is not a member, when Git wants it.
type Finding struct {
	// Refused says why the object must be left as it is; empty when it may be adopted.
	Refused string
	// Set is the ID of the other set that the object belongs to, which is one reason to refuse; or "".
	Set string
	// From says, in words, whose it was: "Helm release shop/web"; empty when nobody but Kilter applied it.
	From string
	// Taken are the object's managedFields after its former tool's fields have become ours; nil when there are none to take.
	Taken []metav1.ManagedFieldsEntry
}

// Examine decides whether an object may be adopted by a set, and what that changes. version is the API version of our manifest.
//
// Without a change of managedFields a forced apply would leave two owners: what Git drops later would stay, because the former tool still
// owns it. See k8s.io/client-go/util/csaupgrade, which does the same for client-side apply alone.
func Examine(setID, version string, object metav1.Object) Finding {
	set := object.GetLabels()[PartOfLabel]
	if set != "" && set != setID {
		return Finding{Set: set, Refused: "it belongs to another set, " + set}
	}
	if controlled := Controlled(object); controlled != "" {
		return Finding{Refused: controlled}
	}
	return Finding{From: from(object), Taken: takeOver(version, object.GetManagedFields())}
}

// Controlled says which controller made an object, and will make it as it pleases; or "".
func Controlled(object metav1.Object) string {
	owner := metav1.GetControllerOf(object)
	if owner == nil {
		return ""
	}
	return fmt.Sprintf("it was made by %s %s, which controls it", owner.Kind, owner.Name)
}

// from says whose an object was: by the marks that the tools leave, or else by their field managers.
func from(object metav1.Object) string {
	labels, annotations := object.GetLabels(), object.GetAnnotations()
	named := func(title string, marks map[string]string, namespace, name string) string {
		if marks[name] == "" {
			return ""
		}
		return title + " " + strings.TrimPrefix(marks[namespace]+"/"+marks[name], "/")
	}
	application, _, _ := strings.Cut(annotations["argocd.argoproj.io/tracking-id"], ":")
	if application != "" {
		application = "Argo CD application " + application
	}
	marked := cmp.Or(
		named("Flux HelmRelease", labels, "helm.toolkit.fluxcd.io/namespace", "helm.toolkit.fluxcd.io/name"),
		named("Flux Kustomization", labels, "kustomize.toolkit.fluxcd.io/namespace", "kustomize.toolkit.fluxcd.io/name"),
		application,
		named("Helm release", annotations, "meta.helm.sh/release-namespace", "meta.helm.sh/release-name"),
	)
	if marked != "" {
		return marked
	}
	others := ""
	for _, e := range object.GetManagedFields() {
		switch {
		case toolOf(e) != "":
			return toolOf(e)
		case e.Subresource == "" && e.Manager != FieldManager && others == "":
			others = "field manager " + e.Manager
		}
	}
	return others
}

// toolOf returns the title of the tool that an entry of managedFields belongs to, or "".
func toolOf(e metav1.ManagedFieldsEntry) string {
	if e.Subresource != "" || e.FieldsV1 == nil {
		return ""
	}
	for _, tool := range tools {
		if e.Manager == tool.manager && (tool.operation == "" || tool.operation == e.Operation) {
			return tool.title
		}
	}
	if e.Operation == metav1.ManagedFieldsOperationUpdate && bytes.Contains(e.FieldsV1.GetRawBytes(), []byte(`"f:`+LastAppliedAnnotation+`"`)) {
		return "kubectl apply" // under a name of its own, as kubectl's --field-manager and programs that embed kubectl give
	}
	return ""
}

// takeOver moves the fields of every tool into our Apply entry. It returns nil when no tool owns any.
func takeOver(version string, entries []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
	if !slices.ContainsFunc(entries, func(e metav1.ManagedFieldsEntry) bool { return toolOf(e) != "" }) {
		return nil
	}
	return rewrite(version, entries, func(e metav1.ManagedFieldsEntry, fields *fieldpath.Set) (rest, ours *fieldpath.Set) {
		if toolOf(e) != "" {
			return fieldpath.NewSet(), fields
		}
		return fields, fieldpath.NewSet()
	})
}

// Claim returns managedFields in which we alone own the given fields with all that is in them, whoever owns them now. An apply of a
// manifest without them then removes them. version is the API version of our manifest.
func Claim(version string, entries []metav1.ManagedFieldsEntry, fields []fieldpath.Path) []metav1.ManagedFieldsEntry {
	claimed := fieldpath.NewSet(fields...)
	return rewrite(version, entries, func(e metav1.ManagedFieldsEntry, owned *fieldpath.Set) (rest, ours *fieldpath.Set) {
		return owned.RecursiveDifference(claimed), claimed
	})
}

// rewrite parts each entry's fields in what it keeps and what becomes ours. Entries of a subresource, such as status, and those that
// cannot be read stay as they are; an entry that owns nothing any more goes.
func rewrite(
	version string, entries []metav1.ManagedFieldsEntry, part func(metav1.ManagedFieldsEntry, *fieldpath.Set) (rest, ours *fieldpath.Set),
) []metav1.ManagedFieldsEntry {
	mine := metav1.ManagedFieldsEntry{
		Manager: FieldManager, Operation: metav1.ManagedFieldsOperationApply, APIVersion: version, FieldsType: "FieldsV1",
	}
	owned := fieldpath.NewSet()
	var others []metav1.ManagedFieldsEntry
	for _, e := range entries {
		fields := fieldpath.NewSet()
		if e.Subresource != "" || e.FieldsV1 == nil || fields.FromJSON(bytes.NewReader(e.FieldsV1.GetRawBytes())) != nil {
			others = append(others, e)
			continue
		}
		rest, ours := part(e, fields)
		owned = owned.Union(ours)
		if mine.Time.Before(e.Time) {
			mine.Time = e.Time
		}
		if isOurs(&e) {
			mine.APIVersion, owned = e.APIVersion, owned.Union(rest)
			continue
		}
		if rest.Empty() {
			continue
		}
		e.FieldsV1 = fieldsV1(rest)
		others = append(others, e)
	}
	mine.FieldsV1 = fieldsV1(owned)
	return append(others, mine)
}

func fieldsV1(set *fieldpath.Set) *metav1.FieldsV1 {
	raw, err := set.ToJSON()
	if err != nil {
		panic(err) // it was read from JSON
	}
	return metav1.NewFieldsV1(string(raw))
}

// Owners returns the entries of managedFields that own a field, be it through the object or through its scale subresource.
func Owners(object metav1.Object, field fieldpath.Path) []metav1.ManagedFieldsEntry {
	key := []byte(`"f:` + *field[len(field)-1].FieldName + `"`)
	var owners []metav1.ManagedFieldsEntry
	for _, e := range object.GetManagedFields() {
		if e.FieldsV1 == nil || e.Subresource != "" && e.Subresource != "scale" {
			continue
		}
		raw := e.FieldsV1.GetRawBytes()
		if fields := fieldpath.NewSet(); bytes.Contains(raw, key) && fields.FromJSON(bytes.NewReader(raw)) == nil && fields.Has(field) {
			owners = append(owners, e)
		}
	}
	return owners
}

// Replicas is the field that people leave to an autoscaler.
var Replicas = fieldpath.MakePathOrDie("spec", "replicas")

// QueueLabel is on a Job that Kueue admits: it suspends the Job, and lets it run when there is room.
const QueueLabel = "kueue.x-k8s.io/queue-name"

// SuspendTaken reports whether an object stands in a queue, and anybody but Kilter's apply owns spec.suspend. What the queue's webhook sets
// while Kilter applies belongs to an Update under Kilter's name.
func SuspendTaken(object metav1.Object) bool {
	return object.GetLabels()[QueueLabel] != "" &&
		slices.ContainsFunc(Owners(object, Suspend), func(e metav1.ManagedFieldsEntry) bool { return !isOurs(&e) && e.Manager != ExceptionManager })
}

// ReplicasTaken reports whether anybody but Kilter's apply owns spec.replicas.
func ReplicasTaken(object metav1.Object) bool {
	return slices.ContainsFunc(Owners(object, Replicas), func(e metav1.ManagedFieldsEntry) bool { return !isOurs(&e) })
}
