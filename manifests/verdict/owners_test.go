package verdict

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// TestRepeatedOwnersAreOne updates an object with one controller twice, of which the server only warns: two different ones are
// refused.
func TestRepeatedOwnersAreOne(t *testing.T) {
	const (
		owner = `{"apiVersion":"example.com/v1","kind":"Owner","name":"o","uid":"u","controller":true}`
		live  = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"b","uid":"v","resourceVersion":"1"%s}}`
	)
	gvk := schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}
	update := func(owners string) Verdict {
		old, text := strings.Replace(live, "%s", "", 1), strings.Replace(live, "%s", `,"ownerReferences":[`+owners+`]`, 1)
		v, ok := Update(gvk, "b", []byte(old), []byte(text))
		if !ok {
			t.Fatal("not linked")
		}
		return v
	}
	if got := update(owner + "," + owner); len(got.Causes) != 0 || len(got.Warnings) != 1 {
		t.Errorf("the same twice: %+v; want one warning", got)
	}
	if got := update(owner + "," + strings.Replace(owner, `"u"`, `"w"`, 1)); len(got.Causes) != 1 {
		t.Errorf("two controllers: %+v; want one cause", got)
	}
}
