package main

// kubeScheduler runs the default scheduler, without leader election and without a port of its own.
func kubeScheduler() component {
	const name = "kube-scheduler"
	return component{name: name, args: []string{
		"--kubeconfig=" + kubeconfigOf(name),
		"--leader-elect=false",
		"--secure-port=0",
		"--kube-api-qps=500",
		"--kube-api-burst=1000",
		"--profiling=false",
	}}
}
