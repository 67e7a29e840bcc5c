package verdict

import (
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// TestRepeatedOwnersAreOne gives one controller twice: only two different ones are refused.
func TestRepeatedOwnersAreOne(t *testing.T) {
	const owner = `{"apiVersion":"example.com/v1","kind":"Owner","name":"o","uid":"u","controller":true}`
	const manifest = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","ownerReferences":[` + owner + "," + owner + `]}}`
	got, ok := Create(schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}, "", []byte(manifest))
	if !ok || len(got.Causes) != 0 || len(got.Warnings) != 1 {
		t.Errorf("%v, %+v; want one warning", ok, got)
	}
}
