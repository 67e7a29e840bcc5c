package verdict

import (
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// TestRepeatedOwnersAreOne gives one controller twice: a POST refuses only two different ones, and an apply any list with the same key twice.
func TestRepeatedOwnersAreOne(t *testing.T) {
	const owner = `{"apiVersion":"example.com/v1","kind":"Owner","name":"o","uid":"u","controller":true}`
	const manifest = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","ownerReferences":[` + owner + "," + owner + `]}}`
	got, ok := Create(schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}, "", []byte(manifest))
	if !ok || len(got.Causes) != 1 || !got.Causes[0].Apply {
		t.Errorf("%v, %+v; want one cause, of an apply", ok, got)
	}
}
