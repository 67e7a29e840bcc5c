package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/reconcile"
)

// access is how a verb reaches the cluster and the repositories.
type access struct {
	kubeconfig       string
	context          string
	allowInsecureGit bool
	gitTimeout       time.Duration
	dataDir          string // for what is fetched
	limits           limits // on what is loaded of a commit; the defaults where the verb has no flags for them
}

// add adds the flags of verbs that read repositories; those of dataDir and of limits are for some of them only.
func (a *access) add(flags *pflag.FlagSet) {
	a.addCluster(flags)
	flags.BoolVar(&a.allowInsecureGit, "allow-insecure-git", false, "allow plain http:// repositories")
	flags.DurationVar(&a.gitTimeout, "git-timeout", time.Minute, "how long one look at a repository may take")
}

// addCluster adds the flags of verbs that reach no repository.
func (a *access) addCluster(flags *pflag.FlagSet) {
	flags.StringVar(&a.kubeconfig, "kubeconfig", "", "kubeconfig file (default: $KUBECONFIG, ~/.kube/config, or the Pod's own ServiceAccount)")
	flags.StringVar(&a.context, "context", "", "context of the kubeconfig (default: its current one)")
}

// makeDataDir makes a temporary directory for what is fetched, unless one was given, and returns what removes it.
func (a *access) makeDataDir() (remove func() error, err error) {
	if a.dataDir != "" {
		return func() error { return nil }, nil
	}
	if a.dataDir, err = os.MkdirTemp("", "kilter-"); err != nil {
		return nil, fmt.Errorf("cannot make a directory for what is fetched: %w", err)
	}
	return func() error { return os.RemoveAll(a.dataDir) }, nil
}

// contextNamespace returns the namespace of the kubeconfig's context, "default" where it names none.
func (a *access) contextNamespace() (string, error) {
	namespace, _, err := a.loader().Namespace()
	return namespace, err
}

// connect finds the cluster as kubectl does. It sends no request.
func (a *access) connect() (*reconcile.Cluster, error) {
	config, err := a.config()
	if err != nil {
		return nil, err
	}
	return reconcile.Connect(config)
}

// config says how to reach the cluster.
func (a *access) config() (*rest.Config, error) {
	config, err := a.loader().ClientConfig()
	switch {
	case clientcmd.IsEmptyConfig(err):
		return nil, errors.New("cannot find the cluster: there is no kubeconfig; name one with --kubeconfig or KUBECONFIG")
	case err != nil:
		return nil, fmt.Errorf("cannot find the cluster: %w; check --kubeconfig, KUBECONFIG and --context", err)
	}
	config.UserAgent = "kilter/" + version
	return config, nil
}

// loader reads the kubeconfig as kubectl does.
func (a *access) loader() clientcmd.ClientConfig {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = a.kubeconfig
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: a.context})
}

// storeDir is where the repository of one Sync is kept.
func (a *access) storeDir(sync *v1alpha1.Sync) string {
	return filepath.Join(a.dataDir, sync.Namespace, sync.Name)
}
