package verdict

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/warning"
)

// dedupOwners removes repeated owner references before anything is judged, and warns of that, as the server's handlers do
// (dedupOwnerReferences in k8s.io/apiserver/pkg/endpoints/handlers/rest.go).
func dedupOwners(ctx context.Context, object metav1.Object) {
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
		return
	}
	object.SetOwnerReferences(kept)
	warning.AddWarning(ctx, "", fmt.Sprintf(".metadata.ownerReferences contains duplicate entries; API server dedups owner references "+
		"in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: %s",
		strings.Join(repeated, ", ")))
}
