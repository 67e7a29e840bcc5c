// Program devcluster runs a real Kubernetes control plane from Go modules, for demos and tests.
//
// The binary is every process of the cluster: "devcluster up" starts itself again as etcd, kube-apiserver,
// kube-controller-manager, kube-scheduler and KWOK (component.go), each in a process of its own so that their global
// state cannot clash and one can be killed alone. One file per component says how it is set up; up.go is the order in
// which they start and end; ready.go proves that workloads work before "ready" is printed.
//
// It never pulls an image or runs a container: KWOK plays the kubelet, and stages/pod.yaml decides how a pod ends.
package main

import (
	"context"
	"fmt"
	"os"
)

func main() {
	if err := newCommand().ExecuteContext(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "devcluster:", err)
		os.Exit(1)
	}
}
