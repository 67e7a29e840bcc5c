package main

// kubeControllerManager runs all default controllers, without leader election, without a port of its own, and with
// client limits that never slow a test.
func kubeControllerManager() component {
	const name = "kube-controller-manager"
	return component{name: name, args: []string{
		"--kubeconfig=" + kubeconfigOf(name),
		"--leader-elect=false",
		"--secure-port=0",
		"--root-ca-file=" + caCert,
		"--service-account-private-key-file=" + serviceAccountKey,
		"--kube-api-qps=500",
		"--kube-api-burst=1000",
		"--profiling=false",
	}}
}
