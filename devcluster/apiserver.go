package main

import "strconv"

// kubeAPIServer listens on 127.0.0.1 only. Admission plugins and feature gates are the defaults; RBAC is enforced.
func kubeAPIServer(port int) component {
	return component{name: "kube-apiserver", args: []string{
		"--etcd-servers=" + etcdURL,
		"--bind-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(port),
		"--permit-port-sharing=true", // with our own reservation, see port.go
		"--tls-cert-file=" + serverCert,
		"--tls-private-key-file=" + serverKey,
		"--client-ca-file=" + caCert,
		"--kubelet-certificate-authority=" + caCert,
		"--kubelet-client-certificate=" + kubeletClientCert,
		"--kubelet-client-key=" + kubeletClientKey,
		"--authorization-mode=Node,RBAC",
		"--allow-privileged=true",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + serviceAccountKey,
		"--service-account-signing-key-file=" + serviceAccountKey,
		"--service-cluster-ip-range=10.96.0.0/16",
		"--endpoint-reconciler-type=none", // a loopback address may not be an endpoint
		"--profiling=false",
	}}
}
