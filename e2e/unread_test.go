package e2e

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestNodesUnread has a Sync whose ServiceAccount may not read nodes: it says so once, and waits as the status does.
func TestNodesUnread(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	ns := c.namespace(t, "unread")
	c.pool(ctx, t, ns, 2)
	meta := metav1.ObjectMeta{Name: "deployer", Namespace: ns}
	_, err := c.CoreV1().ServiceAccounts(ns).Create(ctx, &corev1.ServiceAccount{ObjectMeta: meta}, metav1.CreateOptions{})
	must(t, err)
	rules := []rbacv1.PolicyRule{
		{APIGroups: []string{"apps"}, Resources: []string{"daemonsets", "controllerrevisions"}, Verbs: []string{"*"}},
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list"}},
	}
	_, err = c.RbacV1().Roles(ns).Create(ctx, &rbacv1.Role{ObjectMeta: meta, Rules: rules}, metav1.CreateOptions{})
	must(t, err)
	_, err = c.RbacV1().RoleBindings(ns).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: meta, Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: meta.Name, Namespace: ns}},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name},
	}, metav1.CreateOptions{})
	must(t, err)
	_, url := repository(t, fstest.MapFS{"prod/agent.yaml": agent(ns, "{}", ofItsPool)})
	sync := syncFile(t, ns, url, "  serviceAccountName: deployer\n")
	must(t, replaceIn(sync, "timeout: 1m", "timeout: 3s"))
	run := kilter(t, "run", "-f", sync, "--kubeconfig", c.kubeconfig, "--allow-insecure-git")
	line(ctx, t, run, "unread", "rollouts are judged without nodes: nodes is forbidden")
	// On the object's line, or on the next pass's where the time was over before the pods had been read.
	line(ctx, t, run, "not finished in 3s: 1 of 2 pods available; waits for "+ns+"-1 (Pending); which of the nodes are ready is not known, since Kilter may not list nodes")
	if n := strings.Count(run.Output(), "judged without"); n != 1 {
		t.Errorf("said %d times that nodes are not read", n)
	}
}

func replaceIn(file, old, by string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(strings.ReplaceAll(string(text), old, by)), 0o600)
}
