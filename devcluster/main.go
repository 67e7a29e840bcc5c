package main

import (
	"os"

	_ "go.etcd.io/etcd/server/v3/embed"
	_ "sigs.k8s.io/kwok/pkg/kwok/cmd"
	_ "sigs.k8s.io/kwok/kustomize/stage/node/fast"
	_ "sigs.k8s.io/kwok/kustomize/stage/pod/fast"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	kcm "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

func main() {
	_ = apiserver.NewAPIServerCommand
	_ = kcm.NewControllerManagerCommand
	_ = scheduler.NewSchedulerCommand
	os.Exit(0)
}
