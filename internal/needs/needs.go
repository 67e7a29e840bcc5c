// Package needs finds what a test needs of the machine. Where it is missing the test is skipped, and says how to get it; in CI, which has it all,
// the test fails.
package needs

import "os"

// T is a test: a *testing.T, or that of a script.
type T interface {
	Skip(...any)
	Fatal(...any)
}

// Cluster returns the kubeconfig of the cluster to test on. The administrator's rights come with it.
func Cluster(t T) (kubeconfig string) {
	return variable(t, "TEST_KUBECONFIG", "needs a cluster: run make test, or set TEST_KUBECONFIG")
}

// RealNode returns the name of the cluster's node that runs containers; devcluster/README.md says where there can be one.
func RealNode(t T) string {
	return variable(t, "TEST_REAL_NODE",
		"needs a real node: run make test as root, on Linux with containerd and runc (apt-get install -y containerd runc)")
}

func variable(t T, name, otherwise string) string {
	value := os.Getenv(name)
	if value == "" {
		Missing(t, otherwise)
	}
	return value
}

// Missing ends a test for want of something, which it names: a text or an error.
func Missing(t T, what any) {
	if os.Getenv("CI") != "" {
		t.Fatal(what)
	}
	t.Skip(what)
}
