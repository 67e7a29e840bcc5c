package manifests

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"kilter.dev/kilter/manifests/verdict"
)

// scope answers which kinds exist and are namespaced: from the tree's own CRDs first, then from the target.
type scope struct {
	defined map[schema.GroupVersionKind]bool // namespaced?
	target  Target
}

func newScope(manifests []*manifest, target Target) scope {
	s := scope{defined: map[schema.GroupVersionKind]bool{}, target: target}
	for _, m := range manifests {
		if d := m.defines; d != nil && !m.local {
			for _, version := range d.versions {
				s.defined[d.kind.WithVersion(version)] = d.namespaced
			}
		}
	}
	return s
}

func (s scope) of(gvk schema.GroupVersionKind) (namespaced, known bool) {
	if namespaced, ok := s.defined[gvk]; ok {
		return namespaced, true
	}
	if s.target.Scope != nil {
		return s.target.Scope(gvk)
	}
	return offline(gvk)
}

// clusterScoped lists Kubernetes' own kinds that live in no namespace, by API group.
var clusterScoped = map[string][]string{
	"": {"ComponentStatus", "Namespace", "Node", "PersistentVolume"},
	"admissionregistration.k8s.io": {
		"MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding", "MutatingWebhookConfiguration",
		"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "ValidatingWebhookConfiguration",
	},
	"apiextensions.k8s.io":         {"CustomResourceDefinition"},
	"authentication.k8s.io":        {"SelfSubjectReview", "TokenReview"},
	"authorization.k8s.io":         {"SelfSubjectAccessReview", "SelfSubjectRulesReview", "SubjectAccessReview"},
	"certificates.k8s.io":          {"CertificateSigningRequest", "ClusterTrustBundle"},
	"flowcontrol.apiserver.k8s.io": {"FlowSchema", "PriorityLevelConfiguration"},
	"internal.apiserver.k8s.io":    {"StorageVersion"},
	"networking.k8s.io":            {"IPAddress", "IngressClass", "ServiceCIDR"},
	"node.k8s.io":                  {"RuntimeClass"},
	"policy":                       {"PodSecurityPolicy"},
	"rbac.authorization.k8s.io":    {"ClusterRole", "ClusterRoleBinding"},
	"resource.k8s.io":              {"DeviceClass", "DeviceTaintRule", "ResourcePoolStatusRequest", "ResourceSlice"},
	"scheduling.k8s.io":            {"PriorityClass"},
	"storage.k8s.io":               {"CSIDriver", "CSINode", "StorageClass", "VolumeAttachment", "VolumeAttributesClass"},
	"storagemigration.k8s.io":      {"StorageVersionMigration"},
}

// aggregation is the one group of kube-apiserver itself whose types are not part of k8s.io/api.
const aggregation = "apiregistration.k8s.io"

// offline answers for a kind when no cluster is asked.
func offline(gvk schema.GroupVersionKind) (namespaced, known bool) {
	switch {
	case gvk.Group == aggregation:
		return false, gvk.Kind == "APIService"
	case !verdict.BuiltinGroup(gvk.Group):
		return true, true
	case !verdict.Builtin(gvk):
		return false, false
	}
	_, _, removed := verdict.Removed(gvk)
	return !slices.Contains(clusterScoped[gvk.Group], gvk.Kind), !removed
}

// unknownKind says that nothing serves a kind, and the way out.
func unknownKind(gvk schema.GroupVersionKind, clusterAsked bool) string {
	where := gvk.GroupVersion().String()
	if clusterAsked {
		where += " on this cluster"
	}
	release, replacement, removed := verdict.Removed(gvk)
	switch {
	case removed && !replacement.Empty():
		return fmt.Sprintf("%s %s is not served since Kubernetes %s: use apiVersion: %s and kind: %s",
			gvk.GroupVersion(), gvk.Kind, release, replacement.GroupVersion(), replacement.Kind)
	case removed:
		return fmt.Sprintf("%s %s is not served since Kubernetes %s", gvk.GroupVersion(), gvk.Kind, release)
	case verdict.BuiltinGroup(gvk.Group):
		return fmt.Sprintf("no kind %q in %s: correct apiVersion and kind", gvk.Kind, where)
	}
	return fmt.Sprintf("no kind %q in %s: install its CRD, put it in this tree, or correct apiVersion and kind", gvk.Kind, where)
}
