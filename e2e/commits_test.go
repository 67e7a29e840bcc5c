package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// TestG15CommitsAreNeverMixed pushes ten commits as fast as git can while the loop works. Every commit gives all objects one value; whatever
// commits the loop takes, each object goes through the same ones.
func TestG15CommitsAreNeverMixed(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	ns := c.namespace(t, "mixed")
	const objects, commits = 20, 10
	repo, url := repository(t, fstest.MapFS{"prod/c00.yaml": configMap("c00")})
	write := func(commit int) error {
		for i := range objects {
			text := fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c%02d}\ndata: {commit: \"%d\"}\n", i, commit)
			if err := repo.Write(fmt.Sprintf("prod/c%02d.yaml", i), text); err != nil {
				return err
			}
		}
		if _, err := repo.Commit(ctx, fmt.Sprint("commit ", commit)); err != nil {
			return err
		}
		return repo.Push(ctx)
	}
	must(t, write(0))
	run := kilter(t, "run", "-f", syncFile(t, ns, url, ""), "--kubeconfig", c.kubeconfig, "--allow-insecure-git")
	line(ctx, t, run, "20 objects: 20 current")
	list, err := c.CoreV1().ConfigMaps(ns).List(ctx, metav1.ListOptions{})
	must(t, err)
	changes, err := c.CoreV1().ConfigMaps(ns).Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	must(t, err)
	defer changes.Stop()

	pushed := make(chan error, 1)
	go func() {
		var err error
		for commit := 1; commit <= commits && err == nil; commit++ {
			err = write(commit)
		}
		pushed <- err
	}()
	went := map[string][]string{}
	for arrived := 0; arrived < objects; {
		event, open := <-changes.ResultChan()
		if !open {
			t.Fatalf("only %d objects arrived at the last commit: %v", arrived, went)
		}
		changed, is := event.Object.(*corev1.ConfigMap)
		if !is || !strings.HasPrefix(changed.Name, "c") {
			continue
		}
		if event.Type != watch.Modified {
			t.Errorf("%s was %s", changed.Name, event.Type)
		}
		value := changed.Data["commit"]
		if seen := went[changed.Name]; len(seen) == 0 || seen[len(seen)-1] != value {
			went[changed.Name] = append(seen, value)
			if value == fmt.Sprint(commits) {
				arrived++
			}
		}
	}
	must(t, <-pushed)
	for name, values := range went {
		if !slices.Equal(values, went["c00"]) {
			t.Errorf("%s went through the commits %v, and c00 through %v", name, values, went["c00"])
		}
	}
	t.Logf("of ten commits the loop took %v", went["c00"])
}

// TestG8RewrittenHistory rewrites history: the new one is followed, and that is told.
func TestG8RewrittenHistory(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	ns := c.namespace(t, "rewritten")
	repo, url := repository(t, fstest.MapFS{"prod/good.yaml": configMap("good")})
	push(t, repo)
	run := kilter(t, "run", "-f", syncFile(t, ns, url, ""), "--kubeconfig", c.kubeconfig, "--allow-insecure-git")
	line(ctx, t, run, "1 object: 1 current")

	must(t, repo.Write("prod/second.yaml", string(configMap("second").Data)))
	left := push(t, repo)
	line(ctx, t, run, "2 objects: 2 current")
	_, err := repo.Git(ctx, "reset", "--quiet", "--hard", "HEAD~1")
	must(t, err)
	must(t, repo.Write("prod/third.yaml", string(configMap("third").Data)))
	_, err = repo.Commit(ctx, "another history")
	must(t, err)
	must(t, repo.ForcePush(ctx))
	line(ctx, t, run, "rewritten", "pushed by force", left[:12])
	line(ctx, t, run, "deleted", "ConfigMap "+ns+"/second")
	if code := run.Stop(patience); code != nil {
		t.Error(code)
	}
}
