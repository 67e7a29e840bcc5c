package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/reconcile"
	"kilter.dev/kilter/source"
)

// repository is where commits come from.
type repository interface {
	Fetch(context.Context) (source.Snapshot, error)
	Close() error
}

// openAny opens the repository that the Sync of a file names, which may be one on this machine's disk.
func (a *access) openAny(sync *v1alpha1.Sync, cluster *reconcile.Cluster) (repository, error) {
	dir, local := source.LocalPath(sync.Spec.Git.URL)
	switch {
	case !local:
		return a.open(sync, cluster)
	case sync.Spec.Git.Verify != nil:
		return nil, errors.New("signatures are not verified in a local repository: remove spec.git.verify, or use the repository's URL on a server")
	}
	return localRepository{dir: dir, git: sync.Spec.Git}, nil
}

// localRepository is opened anew for each look: Git may have packed it meanwhile. What was read before stays open for those who still read it.
type localRepository struct {
	dir string
	git v1alpha1.GitSource
}

func (l localRepository) Fetch(ctx context.Context) (source.Snapshot, error) {
	repository, err := source.OpenLocal(l.dir)
	if err != nil {
		return source.Snapshot{}, err
	}
	return repository.Fetch(ctx, ref(l.git), l.git.Path)
}

// Close does nothing: no file stays open between reads.
func (l localRepository) Close() error { return nil }

func ref(git v1alpha1.GitSource) source.Ref {
	return source.Ref{
		Branch: git.Ref.Branch, Tag: git.Ref.Tag, SemVer: git.Ref.SemVer,
		Commit: source.Commit(git.Ref.Commit), Name: git.Ref.Name,
	}
}

// open opens the repository that a Sync names. Its credentials are read from the cluster at every fetch, so that a rotated Secret needs
// no restart.
func (a *access) open(sync *v1alpha1.Sync, cluster *reconcile.Cluster) (*source.Repository, error) {
	git := sync.Spec.Git
	options := source.Options{
		URL:           git.URL,
		Ref:           ref(git),
		Path:          git.Path,
		Dir:           a.storeDir(sync),
		Submodules:    git.Submodules,
		AllowInsecure: a.allowInsecureGit,
		Timeout:       a.gitTimeout,
	}
	if git.SecretRef != nil || git.ProxySecretRef != nil {
		options.Credentials = func(ctx context.Context) (source.Credentials, error) { return readCredentials(ctx, sync, cluster) }
	}
	if verify := git.Verify; verify != nil {
		options.Verify = &source.Verification{
			Mode: source.VerifyMode(verify.Mode),
			Keys: func(ctx context.Context) (map[string][]byte, error) {
				keys, err := cluster.Secret(ctx, sync.Namespace, verify.SecretRef.Name)
				if err != nil {
					return nil, fmt.Errorf("%w; spec.git.verify.secretRef names it", err)
				}
				return keys, nil
			},
		}
	}
	repository, err := source.Open(options)
	if refused, ok := errors.AsType[*source.Error](err); ok && refused.Reason == source.InsecureURL {
		refused.Hint = "use https, or run Kilter with --allow-insecure-git"
	}
	return repository, err
}

// readCredentials reads the Secrets that a Sync names.
func readCredentials(ctx context.Context, sync *v1alpha1.Sync, cluster *reconcile.Cluster) (c source.Credentials, err error) {
	if ref := sync.Spec.Git.SecretRef; ref != nil {
		data, err := cluster.Secret(ctx, sync.Namespace, ref.Name)
		if err != nil {
			return c, fmt.Errorf("%w; spec.git.secretRef names it", err)
		}
		if c, err = credentials(sync.Namespace+"/"+ref.Name, data); err != nil {
			return c, err
		}
	}
	if ref := sync.Spec.Git.ProxySecretRef; ref != nil {
		data, err := cluster.Secret(ctx, sync.Namespace, ref.Name)
		if err != nil {
			return c, fmt.Errorf("%w; spec.git.proxySecretRef names it", err)
		}
		if len(data["address"]) == 0 {
			return c, fmt.Errorf("Secret %s/%s lacks the key address, such as http://proxy.example.com:3128", sync.Namespace, ref.Name)
		}
		c.Proxy = source.Proxy{
			Address: line(data["address"]), Username: line(data["username"]), Password: line(data["password"]),
		}
	}
	return c, nil
}

// credentials reads the keys that Flux' users know. Which of them the URL's protocol needs is source's business.
func credentials(secret string, data map[string][]byte) (source.Credentials, error) {
	c := source.Credentials{
		Username: line(data["username"]), Password: line(data["password"]),
		BearerToken: line(data["bearerToken"]), CABundle: data["ca.crt"],
		Certificate: data["tls.crt"], Key: data["tls.key"],
		Identity: data["identity"], PublicKey: data["identity.pub"], KnownHosts: data["known_hosts"],
	}
	for _, key := range []string{"password", "bearerToken", "ca.crt", "tls.crt", "identity"} {
		if len(data[key]) > 0 {
			return c, nil
		}
	}
	return c, fmt.Errorf("Secret %s holds none of the keys username and password, bearerToken, identity and known_hosts, tls.crt and tls.key, ca.crt", secret)
}

// line is a value without the end of its line, which whoever makes a Secret from a file mostly has in it.
func line(value []byte) string { return strings.TrimRight(string(value), "\r\n") }
