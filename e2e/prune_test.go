package e2e

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kilter.dev/kilter/reconcile/inventory"
)

// TestDeleteEverything empties the directory, by accident and in earnest: a directory without manifests is an error, a commit that deletes
// nearly everything is applied and deletes nothing, and the annotation with that very commit lets it.
func TestDeleteEverything(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	ns := c.namespace(t, "everything")
	files := fstest.MapFS{"README.md": file("kept, so that there is always something to commit\n")}
	for i := range 10 {
		name := fmt.Sprintf("object-%d", i)
		files["prod/"+name+".yaml"] = configMap(name)
	}
	repo, url := repository(t, files)
	left := func() int {
		t.Helper()
		list, err := c.CoreV1().ConfigMaps(ns).List(ctx, metav1.ListOptions{LabelSelector: inventory.PartOfLabel})
		must(t, err)
		return len(list.Items)
	}
	run, sync := c.follow(ctx, t, ns, url, "")
	line(ctx, t, run, "10 objects: 10 current")

	for i := range 10 {
		must(t, repo.Remove(fmt.Sprintf("prod/object-%d.yaml", i)))
	}
	push(t, repo)
	line(ctx, t, run, "FetchFailed")
	gone := untilReason(ctx, t, sync, "FetchFailed")
	checkStatus(t, "everything-emptied.yaml", gone, ns, "NS", url, "URL")

	must(t, repo.Write("prod/note.yaml", "# nothing but a comment\n"))
	checkStatus(t, "everything-no-objects.yaml", atRest(ctx, t, sync, push(t, repo)), ns, "NS")

	must(t, repo.Write("prod/new.yaml", strings.Replace(string(configMap("new").Data), "value", "other", 1)))
	commit := push(t, repo)
	checkStatus(t, "everything-blocked.yaml", atRest(ctx, t, sync, commit), ns, "NS")
	if n := left(); n != 11 {
		t.Errorf("%d objects are left of 11: the new one is applied, and none is deleted", n)
	}

	annotate(ctx, t, sync, "kilter.dev/allow-prune", strings.Repeat("0", 40))
	annotate(ctx, t, sync, "kilter.dev/allow-prune", commit)
	line(ctx, t, run, "deleted", "ConfigMap "+ns+"/object-9")
	line(ctx, t, run, "1 object: 1 current")
	if n := left(); n != 1 {
		t.Errorf("%d objects are left, want the new one alone", n)
	}
}
