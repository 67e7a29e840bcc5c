package verdict

import (
	"fmt"
	"slices"
	"strings"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/deprecation"
)

// What the server warns of before it asks a strategy.

// warned is the verdict with further warnings before its own. A refusal has none.
func (v Verdict) warned(warnings []string) Verdict {
	if len(v.Causes) == 0 {
		v.Warnings = append(warnings, v.Warnings...)
	}
	return v
}

// deprecated returns the warning of a deprecated API version, as in k8s.io/apiserver/pkg/endpoints/installer.go.
func (k linked) deprecated(gvk schema.GroupVersionKind) []string {
	obj, err := k.scheme.New(gvk)
	current := rules().EmulationVersion()
	if err != nil || !deprecation.IsDeprecated(obj, int(current.Major()), int(current.Minor())) {
		return nil
	}
	obj.GetObjectKind().SetGroupVersionKind(gvk)
	return []string{deprecation.WarningMessage(obj)}
}

// dedupOwners removes repeated owner references before anything is judged and returns the warning of that, as the server's handlers do
// (dedupOwnerReferences in k8s.io/apiserver/pkg/endpoints/handlers/rest.go).
func dedupOwners(object metav1.Object) []string {
	var kept []metav1.OwnerReference
	var repeated []string
	for _, owner := range object.GetOwnerReferences() {
		if slices.ContainsFunc(kept, func(o metav1.OwnerReference) bool { return apiequality.Semantic.DeepEqual(o, owner) }) {
			repeated = append(repeated, string(owner.UID))
		} else {
			kept = append(kept, owner)
		}
	}
	if repeated == nil {
		return nil
	}
	object.SetOwnerReferences(kept)
	return []string{fmt.Sprintf(".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may reject "+
		"such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: %s", strings.Join(repeated, ", "))}
}
