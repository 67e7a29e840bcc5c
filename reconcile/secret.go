package reconcile

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"kilter.dev/kilter/manifests"
)

// withoutSecrets cuts what a Secret holds out of the text. Policies and webhooks word their refusals as they like, and may quote anything.
func (f *Failure) withoutSecrets(object *manifests.Object) *Failure {
	if object == nil || object.ID.GroupKind() != (schema.GroupKind{Kind: "Secret"}) {
		return f
	}
	var held struct {
		Data       map[string]string `json:"data"`
		StringData map[string]any    `json:"stringData"`
	}
	clean := *f
	if json.Unmarshal(object.JSON, &held) != nil {
		clean.Text = "the server refuses it"
		return &clean
	}
	clean.Text = withoutStrings(clean.Text, held.StringData)
	for _, key := range slices.Sorted(maps.Keys(held.Data)) {
		encoded := held.Data[key]
		clean.Text = withoutStrings(clean.Text, encoded)
		if decoded, err := base64.StdEncoding.DecodeString(encoded); err == nil {
			clean.Text = withoutStrings(clean.Text, string(decoded))
		}
	}
	return &clean
}
