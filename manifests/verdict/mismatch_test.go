package verdict

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// TestMismatchesThatHide finds values of wrong types where they are not in sight: behind a later one of the same name, and within
// a type that decodes itself.
func TestMismatchesThatHide(t *testing.T) {
	for _, test := range []struct {
		gvk        schema.GroupVersionKind
		text, want string
	}{
		{
			schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"},
			`{"immutable":1,"immutable":true}`,
			"immutable: the field is given twice, and not every value fits: remove one",
		},
		{
			schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"},
			`{"spec":{"versions":[{"schema":{"openAPIV3Schema":{"items":{"maxLength":"9"}}}}]}}`,
			"spec.versions[0].schema.openAPIV3Schema.items.maxLength: must be an integer, found a string: remove the quotes",
		},
	} {
		v, _ := Create(test.gvk, "", []byte(test.text))
		var got []string
		for _, cause := range v.Causes {
			got = append(got, cause.Field+": "+cause.Message)
		}
		if diff := cmp.Diff([]string{test.want}, got); diff != "" {
			t.Errorf("%s, -want +got:\n%s", test.text, diff)
		}
	}
}
