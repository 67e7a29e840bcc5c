package manifests

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"kilter.dev/kilter/manifests/verdict"
)

// scope answers which kinds exist and are namespaced: from the tree's own CRDs first, then from the target.
type scope struct {
	definitions map[schema.GroupKind]*manifest // the CRD of each kind that the tree defines
	target      Target
	answers     map[schema.GroupVersionKind]answer // a tree has few kinds and many objects
}

type answer struct{ namespaced, known bool }

func newScope(manifests []*manifest, target Target) *scope {
	s := &scope{definitions: map[schema.GroupKind]*manifest{}, target: target, answers: map[schema.GroupVersionKind]answer{}}
	for _, m := range manifests {
		if d := m.defines; d != nil && !m.local && s.definitions[d.kind] == nil {
			s.definitions[d.kind] = m
		}
	}
	return s
}

func (s *scope) of(gvk schema.GroupVersionKind) (namespaced, known bool) {
	a, ok := s.answers[gvk]
	if !ok {
		a.namespaced, a.known = s.ask(gvk)
		s.answers[gvk] = a
	}
	return a.namespaced, a.known
}

// ask answers anew. A kind whose CRD is in the tree exists as the CRD says, in no other version: it is applied before its objects.
func (s *scope) ask(gvk schema.GroupVersionKind) (namespaced, known bool) {
	if crd := s.definitions[gvk.GroupKind()]; crd != nil {
		return crd.defines.namespaced, slices.Contains(crd.defines.versions, gvk.Version)
	}
	if s.target.Scope != nil {
		return s.target.Scope(gvk)
	}
	return offline(gvk)
}

// kinds remembers what the last load's scope answered, so that objects are settled again only when an answer has changed.
type kinds struct {
	numbers   map[schema.GroupVersionKind]int // from 1
	answers   []answer                        // by number less one
	namespace string                          // the default one
	settled   int                             // counts changes of any of them
}

// update asks the scope anew about every kind that was ever seen, and returns the number of the settlement.
func (k *kinds) update(manifests []*manifest, s *scope, namespace string) int {
	if k.numbers == nil || len(k.numbers) > 1000+len(manifests) { // almost all of them gone
		*k = kinds{numbers: map[schema.GroupVersionKind]int{}, settled: k.settled + 1}
		for _, m := range manifests {
			m.kind = 0
		}
	}
	for _, m := range manifests {
		if m.kind > 0 {
			continue
		}
		gvk := m.object.GroupVersionKind()
		if k.numbers[gvk] == 0 {
			k.numbers[gvk] = len(k.numbers) + 1
			k.answers = append(k.answers, answer{})
		}
		m.kind = k.numbers[gvk]
	}
	changed := k.namespace != namespace
	for gvk, number := range k.numbers {
		var now answer
		now.namespaced, now.known = s.of(gvk)
		changed = changed || k.answers[number-1] != now
		k.answers[number-1] = now
	}
	if changed {
		k.namespace = namespace
		k.settled++
	}
	return k.settled
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
	_, later := verdict.Introduced(gvk)
	return !slices.Contains(clusterScoped[gvk.Group], gvk.Kind), !removed && !later
}

// unknown says that nothing serves a kind, and the way out.
func (s *scope) unknown(gvk schema.GroupVersionKind) string {
	where := gvk.GroupVersion().String()
	if crd := s.definitions[gvk.GroupKind()]; crd != nil {
		served := "no version"
		if versions := crd.defines.versions; len(versions) > 0 {
			served = strings.Join(versions, ", ") + " only"
		}
		return fmt.Sprintf("%s is not served: the CRD in %s serves %s", where, s.target.origin(crd.object.Origin), served)
	}
	if s.target.Scope != nil {
		where += " on this cluster"
	}
	release, replacement, removed := verdict.Removed(gvk)
	since, later := verdict.Introduced(gvk)
	switch {
	case removed && !replacement.Empty():
		return fmt.Sprintf("%s %s is not served since Kubernetes %s: use apiVersion: %s and kind: %s",
			gvk.GroupVersion(), gvk.Kind, release, replacement.GroupVersion(), replacement.Kind)
	case removed:
		return fmt.Sprintf("%s %s is not served since Kubernetes %s", gvk.GroupVersion(), gvk.Kind, release)
	case later:
		return fmt.Sprintf("%s %s is served since Kubernetes %s only, and this is to be for %s", gvk.GroupVersion(), gvk.Kind, since, verdict.Version())
	case verdict.BuiltinGroup(gvk.Group):
		return fmt.Sprintf("no kind %q in %s: correct apiVersion and kind", gvk.Kind, where)
	}
	return fmt.Sprintf("no kind %q in %s: install its CRD, put it in this tree, or correct apiVersion and kind", gvk.Kind, where)
}
