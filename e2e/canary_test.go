package e2e

import (
	"context"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"kilter.dev/kilter/api/v1alpha1"
)

// canary is part of every credential in the tests; internal/canary looks for it in all that they print.
const canary = "c4n4ry"

// holdsNoCredential looks for it in what Kilter has written into a namespace for people to read.
func (c *cluster) holdsNoCredential(ctx context.Context, t testing.TB, namespace string) {
	t.Helper()
	for _, resource := range []schema.GroupVersionResource{
		v1alpha1.GroupVersion.WithResource(v1alpha1.SyncResource), v1alpha1.GroupVersion.WithResource(v1alpha1.JobRunResource),
		{Version: "v1", Resource: "events"},
	} {
		list, err := c.dynamic.Resource(resource).Namespace(namespace).List(ctx, metav1.ListOptions{})
		if apierrors.IsNotFound(err) { // the test needed no such kind
			continue
		}
		must(t, err)
		for _, object := range list.Items {
			text, err := object.MarshalJSON()
			must(t, err)
			if strings.Contains(string(text), canary) {
				t.Errorf("%s %s holds a credential", object.GetKind(), object.GetName())
			}
		}
	}
}
