package manifests

import (
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"kilter.dev/kilter/manifests/document"
)

// reference is a place where an object names another one. An object that cannot work without the other Uses it, and is applied after it.
type reference struct {
	to       ID     // in the object's own namespace where Namespace is empty and the kind has one
	at       string // the field that holds the reference
	name     string // the field below it that holds the name; empty when another reference to the same object does
	key      string // of a ConfigMap or Secret: the key that is wanted, from the field key below at; empty for none
	optional bool   // the object starts without it
	used     bool   // false: the object waits for the other by itself, as a HorizontalPodAutoscaler does
}

// podSpecs says where each built-in kind keeps the spec of its pods.
var podSpecs = map[string][]string{
	"/Pod":                   {"spec"},
	"/PodTemplate":           {"template", "spec"},
	"/ReplicationController": {"spec", "template", "spec"},
	"apps/DaemonSet":         {"spec", "template", "spec"},
	"apps/Deployment":        {"spec", "template", "spec"},
	"apps/ReplicaSet":        {"spec", "template", "spec"},
	"apps/StatefulSet":       {"spec", "template", "spec"},
	"batch/CronJob":          {"spec", "jobTemplate", "spec", "template", "spec"},
	"batch/Job":              {"spec", "template", "spec"},
}

const rbacGroup = "rbac.authorization.k8s.io"

// referencesOf returns every reference of an object of a built-in kind: those of its pods to ConfigMaps, Secrets, claims and the
// ServiceAccount, of a binding to role and subjects, of an autoscaler to what it scales, of an Ingress and a StatefulSet to Services.
func referencesOf(id ID, node *yaml.Node) []reference {
	var r references
	kind := id.Group + "/" + id.Kind
	if at, ok := podSpecs[kind]; ok {
		r.pod(lookup(node, at...), strings.Join(at, "."))
	}
	switch kind {
	case "/ServiceAccount":
		r.loose("Secret", "imagePullSecrets", items(node, "imagePullSecrets"))
	case "autoscaling/HorizontalPodAutoscaler":
		target := lookup(node, "spec", "scaleTargetRef")
		group, _, _ := strings.Cut(stringAt(target, "apiVersion"), "/")
		if name := stringAt(target, "name"); name != "" && group != "v1" {
			r.add(reference{to: ID{Group: group, Kind: stringAt(target, "kind"), Name: name}, at: "spec.scaleTargetRef", name: "name"})
		}
	case "networking.k8s.io/Ingress":
		r.ingress(lookup(node, "spec"))
	case rbacGroup + "/RoleBinding", rbacGroup + "/ClusterRoleBinding":
		r.binding(node)
	}
	return slices.Clip(r)
}

// uses returns what the object refers to and cannot work without, sorted.
func uses(found []reference) []ID {
	var used []ID
	for _, r := range found {
		if r.used {
			used = append(used, r.to)
		}
	}
	slices.SortFunc(used, ID.Compare)
	return slices.Compact(used)
}

// references collects.
type references []reference

func (r *references) add(found reference) { *r = append(*r, found) }

// named adds the core object of that kind whose name stands in a field of node; path says where node is, and is asked only then.
func (r *references) named(kind string, node *yaml.Node, field string, path func() string) {
	if name := stringAt(node, field); name != "" {
		r.add(reference{
			to: ID{Kind: kind, Name: name}, at: path(), name: field, used: true,
			key: stringAt(node, "key"), optional: isTrue(lookup(node, "optional")),
		})
	}
}

// loose adds the objects that the items of a list name, without which the object works.
func (r *references) loose(kind, list string, items []*yaml.Node) {
	for i, item := range items {
		if name := stringAt(item, "name"); name != "" {
			r.add(reference{to: ID{Kind: kind, Name: name}, at: element(list, i), name: "name"})
		}
	}
}

// pod adds what a pod refers to. The path is that of its spec.
func (r *references) pod(spec *yaml.Node, path string) {
	account := "serviceAccountName"
	if stringAt(spec, account) == "" {
		account = "serviceAccount" // its old name, which the server still copies
	}
	r.named("ServiceAccount", spec, account, func() string { return path })
	for i, secret := range items(spec, "imagePullSecrets") {
		r.named("Secret", secret, "name", func() string { return element(path+".imagePullSecrets", i) })
	}
	for i, volume := range items(spec, "volumes") {
		r.volume(volume, func() string { return element(path+".volumes", i) })
	}
	for _, list := range []string{"initContainers", "containers", "ephemeralContainers"} {
		for i, container := range items(spec, list) {
			r.container(container, func() string { return element(path+"."+list, i) })
		}
	}
}

// volumeSources are the kinds of volumes that name an object of the pod's namespace: the field, below it where, and its kind.
var volumeSources = []struct{ source, below, field, kind string }{
	{"configMap", "", "name", "ConfigMap"},
	{"secret", "", "secretName", "Secret"},
	{"persistentVolumeClaim", "", "claimName", "PersistentVolumeClaim"},
	{"azureFile", "", "secretName", "Secret"},
	{"cephfs", "secretRef", "name", "Secret"},
	{"cinder", "secretRef", "name", "Secret"},
	{"csi", "nodePublishSecretRef", "name", "Secret"},
	{"flexVolume", "secretRef", "name", "Secret"},
	{"iscsi", "secretRef", "name", "Secret"},
	{"rbd", "secretRef", "name", "Secret"},
	{"scaleIO", "secretRef", "name", "Secret"},
	{"storageos", "secretRef", "name", "Secret"},
}

func (r *references) volume(volume *yaml.Node, path func() string) {
	for _, s := range volumeSources {
		node := lookup(volume, s.source)
		if node == nil {
			continue
		}
		at := func() string { return path() + "." + s.source }
		if s.below != "" {
			node, at = lookup(node, s.below), func() string { return path() + "." + s.source + "." + s.below }
		}
		r.withItems(s.kind, node, s.field, at)
	}
	for i, source := range items(lookup(volume, "projected"), "sources") {
		at := func(field string) func() string {
			return func() string { return element(path()+".projected.sources", i) + "." + field }
		}
		r.withItems("ConfigMap", lookup(source, "configMap"), "name", at("configMap"))
		r.withItems("Secret", lookup(source, "secret"), "name", at("secret"))
	}
}

// withItems adds the object that a volume names, and each key of it that the volume takes.
func (r *references) withItems(kind string, node *yaml.Node, field string, path func() string) {
	r.named(kind, node, field, path)
	name := stringAt(node, field)
	for i, item := range items(node, "items") {
		if key := stringAt(item, "key"); key != "" && name != "" {
			r.add(reference{
				to: ID{Kind: kind, Name: name}, at: element(path()+".items", i), key: key, optional: isTrue(lookup(node, "optional")),
			})
		}
	}
}

func (r *references) container(container *yaml.Node, path func() string) {
	for i, source := range items(container, "envFrom") {
		at := func(field string) func() string {
			return func() string { return element(path()+".envFrom", i) + "." + field }
		}
		r.named("ConfigMap", lookup(source, "configMapRef"), "name", at("configMapRef"))
		r.named("Secret", lookup(source, "secretRef"), "name", at("secretRef"))
	}
	for i, variable := range items(container, "env") {
		from := lookup(variable, "valueFrom")
		if from == nil {
			continue
		}
		at := func(field string) func() string {
			return func() string { return element(path()+".env", i) + ".valueFrom." + field }
		}
		r.named("ConfigMap", lookup(from, "configMapKeyRef"), "name", at("configMapKeyRef"))
		r.named("Secret", lookup(from, "secretKeyRef"), "name", at("secretKeyRef"))
	}
}

// ingress adds the Services that an Ingress sends requests to.
func (r *references) ingress(spec *yaml.Node) {
	backend := func(node *yaml.Node, at string) {
		service := lookup(node, "service")
		// A port of this name stands for an action in an annotation, by the convention of one controller.
		if name := stringAt(service, "name"); name != "" && stringAt(service, "port", "name") != "use-annotation" {
			r.add(reference{to: ID{Kind: "Service", Name: name}, at: at + ".service", name: "name"})
		}
	}
	backend(lookup(spec, "defaultBackend"), "spec.defaultBackend")
	for i, rule := range items(spec, "rules") {
		for j, path := range items(lookup(rule, "http"), "paths") {
			backend(lookup(path, "backend"), element(element("spec.rules", i)+".http.paths", j)+".backend")
		}
	}
}

// binding adds the role that a binding gives, and the ServiceAccounts that it gives it to.
func (r *references) binding(node *yaml.Node) {
	if kind, name := stringAt(node, "roleRef", "kind"), stringAt(node, "roleRef", "name"); name != "" {
		r.add(reference{to: ID{Group: rbacGroup, Kind: kind, Name: name}, at: "roleRef", name: "name", used: true})
	}
	for i, subject := range items(node, "subjects") {
		namespace, name := stringAt(subject, "namespace"), stringAt(subject, "name")
		if stringAt(subject, "kind") == "ServiceAccount" && namespace != "" && name != "" {
			r.add(reference{to: ID{Kind: "ServiceAccount", Namespace: namespace, Name: name}, at: element("subjects", i), name: "name"})
		}
	}
}

// element is the path of a list's item.
func element(list string, i int) string { return list + "[" + strconv.Itoa(i) + "]" }

func isTrue(node *yaml.Node) bool {
	if node == nil || node.Kind != yaml.ScalarNode {
		return false
	}
	s, err := document.Resolve(node)
	return err == nil && s.Kind == document.Bool && s.JSON == "true"
}

// items returns the elements of the sequence under a key; none when there is no sequence.
func items(node *yaml.Node, name string) []*yaml.Node {
	_, value := entry(node, name)
	if value == nil || value.Kind != yaml.SequenceNode {
		return nil
	}
	return value.Content
}

// inNamespace returns the same objects in the namespace of the object that uses them.
func inNamespace(used []ID, namespace string) []ID {
	placed := slices.Clone(used)
	for i := range placed {
		if placed[i].Kind != "ClusterRole" {
			placed[i].Namespace = namespace
		}
	}
	return placed
}
