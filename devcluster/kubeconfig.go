package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	authentication "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// admin is the name of the administrator's kubeconfig in the cluster's directory.
const admin = "admin"

// tokenTTL is how long a ServiceAccount's token is valid.
const tokenTTL = 365 * 24 * time.Hour

// kubeconfigOf returns the path of a component's kubeconfig, relative to the cluster's directory.
func kubeconfigOf(name string) string { return filepath.Join("kubeconfig", name) }

// newKubeconfig returns a kubeconfig with one context.
func newKubeconfig(server string, ca []byte, user string, credentials *clientcmdapi.AuthInfo) *clientcmdapi.Config {
	const cluster = "devcluster"
	config := clientcmdapi.NewConfig()
	config.Clusters[cluster] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: ca}
	config.AuthInfos[user] = credentials
	config.Contexts[cluster] = &clientcmdapi.Context{Cluster: cluster, AuthInfo: user}
	config.CurrentContext = cluster
	return config
}

// writeKubeconfigs writes one kubeconfig with a client certificate for each name into the cluster's directory.
func writeKubeconfigs(dir string, ca *certAuthority, port int, names ...string) error {
	for _, name := range names {
		pair, err := ca.issueClient(name)
		if err != nil {
			return fmt.Errorf("cannot issue a certificate for %s: %w", name, err)
		}
		credentials := &clientcmdapi.AuthInfo{ClientCertificateData: pair.cert, ClientKeyData: pair.key}
		config := newKubeconfig("https://127.0.0.1:"+strconv.Itoa(port), ca.pem, name, credentials)
		if err := clientcmd.WriteToFile(*config, filepath.Join(dir, kubeconfigOf(name))); err != nil {
			return fmt.Errorf("cannot write the kubeconfig of %s: %w", name, err)
		}
	}
	return nil
}

// adminConfig returns the administrator's client configuration of the cluster in dir, without client-side limits.
func adminConfig(dir string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(dir, kubeconfigOf(admin)))
	if err != nil {
		return nil, fmt.Errorf("cannot find a cluster in %s, start one with devcluster up: %w", dir, err)
	}
	config.QPS = -1
	return config, nil
}

// serviceAccountKubeconfig asks the cluster in dir for a token of the ServiceAccount "namespace/name" and returns a
// kubeconfig that holds it.
func serviceAccountKubeconfig(ctx context.Context, dir, account string) ([]byte, error) {
	namespace, name, ok := strings.Cut(account, "/")
	if !ok || namespace == "" || name == "" || strings.Contains(name, "/") {
		return nil, fmt.Errorf("cannot read the ServiceAccount %q: write it as NAMESPACE/NAME", account)
	}
	config, err := adminConfig(dir)
	if err != nil {
		return nil, err
	}
	config.Timeout = 10 * time.Second
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("cannot make a client for the cluster in %s: %w", dir, err)
	}
	seconds := int64(tokenTTL.Seconds())
	request := &authentication.TokenRequest{Spec: authentication.TokenRequestSpec{ExpirationSeconds: &seconds}}
	token, err := client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, request, metav1.CreateOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("cannot issue a token for ServiceAccount %s: it does not exist; create it first", account)
	case err != nil:
		return nil, fmt.Errorf("cannot issue a token for ServiceAccount %s (is the cluster in %s up?): %w", account, dir, err)
	}
	user := "system:serviceaccount:" + namespace + ":" + name
	credentials := &clientcmdapi.AuthInfo{Token: token.Status.Token}
	result := newKubeconfig(config.Host, config.CAData, user, credentials)
	result.Contexts[result.CurrentContext].Namespace = namespace
	return clientcmd.Write(*result)
}
