package e2e

import (
	"context"
	"strings"
	"testing"
	"testing/fstest"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	fieldselector "k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

// TestEvents looks for the Events that `kubectl describe` shows of an object and of the inventory: drift that was corrected, with file and
// line, a deletion, and how a pass ended. A drift that comes again is counted, not told again.
func TestEvents(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	ns := c.namespace(t, "events")
	repo, url := repository(t, fstest.MapFS{"prod/a.yaml": configMap("a"), "prod/b.yaml": configMap("b"), "prod/c.yaml": configMap("c")})
	run := kilter(t, "run", "-f", syncFile(t, ns, url, "  maxPrune: \"100%\"\n"), "--kubeconfig", c.kubeconfig, "--allow-insecure-git")
	line(ctx, t, run, "3 objects: 3 current")
	c.event(ctx, t, "kilter-e2e", ns, func(e *corev1.Event) bool {
		return e.Reason == "ReconciliationSucceeded" && strings.Contains(e.Message, "3 created: 3 objects: 3 current")
	})

	a, err := c.CoreV1().ConfigMaps(ns).Get(ctx, "a", metav1.GetOptions{})
	must(t, err)
	for _, manager := range []string{"one", "another"} {
		_, err := c.CoreV1().ConfigMaps(ns).Patch(ctx, "a", types.MergePatchType, []byte(`{"data":{"key":"other"}}`), metav1.PatchOptions{FieldManager: manager})
		must(t, err)
		c.event(ctx, t, "a", ns, func(e *corev1.Event) bool {
			return e.Type == corev1.EventTypeNormal && e.Reason == "DriftCorrected" && e.InvolvedObject.UID == a.UID &&
				strings.HasPrefix(e.Message, "prod/a.yaml:1:1: changed by "+manager+" at 20") && strings.HasSuffix(e.Message, "Z: .data.key")
		})
	}

	must(t, repo.Remove("prod/b.yaml"))
	push(t, repo)
	c.event(ctx, t, "b", ns, func(e *corev1.Event) bool { return e.Reason == "Pruned" && e.Message == "left Git" })
}

// event waits for an Event on the object of that name.
func (c *cluster) event(ctx context.Context, t *testing.T, name, namespace string, is func(*corev1.Event) bool) {
	t.Helper()
	lw := cache.NewListWatchFromClient(c.CoreV1().RESTClient(), "events", namespace, fieldselector.OneTermEqualSelector("involvedObject.name", name))
	_, err := watchtools.UntilWithSync(ctx, lw, &corev1.Event{}, nil, func(event watch.Event) (bool, error) {
		e, ok := event.Object.(*corev1.Event)
		return ok && event.Type != watch.Deleted && is(e), nil
	})
	if err != nil {
		t.Fatalf("waiting for an Event on %s: %v", name, err)
	}
}
