package manifests

import (
	"slices"

	"go.yaml.in/yaml/v3"
)

// podSpecs says where each built-in kind keeps the spec of its pods.
var podSpecs = map[string][]string{
	"/Pod":                   {"spec"},
	"/ReplicationController": {"spec", "template", "spec"},
	"apps/DaemonSet":         {"spec", "template", "spec"},
	"apps/Deployment":        {"spec", "template", "spec"},
	"apps/ReplicaSet":        {"spec", "template", "spec"},
	"apps/StatefulSet":       {"spec", "template", "spec"},
	"batch/CronJob":          {"spec", "jobTemplate", "spec", "template", "spec"},
	"batch/Job":              {"spec", "template", "spec"},
}

// uses returns what an object cannot work without, sorted: the ConfigMaps, Secrets, claims and the ServiceAccount of its pods, and the role
// that a binding binds. Namespaced ones get the namespace later, with the object itself.
func uses(id ID, node *yaml.Node) []ID {
	var found []ID
	add := func(group, kind, name string) {
		if name != "" {
			found = append(found, ID{Group: group, Kind: kind, Name: name})
		}
	}
	if at, ok := podSpecs[id.Group+"/"+id.Kind]; ok {
		podUses(lookup(node, at...), func(kind, name string) { add("", kind, name) })
	}
	if id.Group == rbacGroup && (id.Kind == "RoleBinding" || id.Kind == "ClusterRoleBinding") {
		add(rbacGroup, stringAt(node, "roleRef", "kind"), stringAt(node, "roleRef", "name"))
	}
	slices.SortFunc(found, ID.Compare)
	return slices.Compact(found)
}

const rbacGroup = "rbac.authorization.k8s.io"

// podUses reports each object that a pod refers to.
func podUses(spec *yaml.Node, add func(kind, name string)) {
	add("ServiceAccount", stringAt(spec, "serviceAccountName"))
	for _, secret := range items(spec, "imagePullSecrets") {
		add("Secret", stringAt(secret, "name"))
	}
	for _, volume := range items(spec, "volumes") {
		add("ConfigMap", stringAt(volume, "configMap", "name"))
		add("Secret", stringAt(volume, "secret", "secretName"))
		add("PersistentVolumeClaim", stringAt(volume, "persistentVolumeClaim", "claimName"))
		for _, source := range items(lookup(volume, "projected"), "sources") {
			add("ConfigMap", stringAt(source, "configMap", "name"))
			add("Secret", stringAt(source, "secret", "name"))
		}
	}
	for _, container := range slices.Concat(items(spec, "initContainers"), items(spec, "containers")) {
		for _, source := range items(container, "envFrom") {
			add("ConfigMap", stringAt(source, "configMapRef", "name"))
			add("Secret", stringAt(source, "secretRef", "name"))
		}
		for _, variable := range items(container, "env") {
			add("ConfigMap", stringAt(variable, "valueFrom", "configMapKeyRef", "name"))
			add("Secret", stringAt(variable, "valueFrom", "secretKeyRef", "name"))
		}
	}
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
