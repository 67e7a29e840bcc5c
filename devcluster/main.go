// Program devcluster runs a real Kubernetes control plane from Go modules, for demos and tests.
//
// The binary is every process of the cluster: "devcluster up" starts itself again as etcd, kube-apiserver,
// kube-controller-manager, kube-scheduler and KWOK (component.go), each in a process of its own so that their global
// state cannot clash and one can be killed alone. One file per component says how it is set up; up.go is the order in
// which they start and end; ready.go proves that workloads work before "ready" is printed.
//
// KWOK plays the kubelet, runs no container, and the files in stages decide how a pod ends. With --real-node there is one more node, a
// machine in namespaces of its own with containerd and a kubelet (realnode.go); the images of its containers are made here (image.go), of
// the program workload. Nothing ever pulls an image.
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
