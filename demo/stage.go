package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"kilter.dev/kilter/internal/gitserver"
	"kilter.dev/kilter/internal/process"
)

// namespace is where the examples live.
const namespace = "shop"

// syncDocument is the Sync that the demo runs: that of examples/sync.yaml with another repository and a short interval.
const syncDocument = `apiVersion: kilter.dev/v1alpha1
kind: Sync
metadata:
  name: shop
  namespace: shop
spec:
  git:
    url: %s
    ref:
      branch: main
    path: prod
  interval: 200ms
  timeout: 2m
`

// stage is everything that stands before the first scene. Its teardown runs last in, first out.
type stage struct {
	dir        string
	kubeconfig string
	cluster    kubernetes.Interface
	repo       *gitserver.Repo
	kilter     *process.Process
	teardown   []func()
}

func (s *stage) later(undo func()) { s.teardown = append(s.teardown, undo) }

func (s *stage) close() {
	for i := len(s.teardown) - 1; i >= 0; i-- {
		s.teardown[i]()
	}
}

// setUp starts the cluster, the Git server and Kilter.
func (s *stage) setUp(ctx context.Context) error {
	var err error
	if s.dir, err = os.MkdirTemp("", "kilter-demo-"); err != nil {
		return err
	}
	s.later(func() { os.RemoveAll(s.dir) })
	if err := s.startCluster(ctx); err != nil {
		return err
	}
	url, err := s.startGit(ctx)
	if err != nil {
		return err
	}
	return s.startKilter(url)
}

// startCluster finds or starts the cluster to play on, and makes the namespace.
func (s *stage) startCluster(ctx context.Context) (err error) {
	s.kubeconfig = os.Getenv("DEMO_KUBECONFIG")
	if s.kubeconfig == "" {
		start := time.Now()
		cluster, err := process.StartDevCluster(ctx, filepath.Join("bin", "devcluster"), filepath.Join(s.dir, "cluster"))
		if err != nil {
			return err
		}
		s.later(func() { _ = cluster.Stop() })
		s.kubeconfig = cluster.Kubeconfig
		say("a Kubernetes 1.37.2 control plane with 3 nodes", time.Since(start))
	}
	config, err := clientcmd.BuildConfigFromFlags("", s.kubeconfig)
	if err != nil {
		return fmt.Errorf("cannot read the kubeconfig: %w", err)
	}
	if s.cluster, err = kubernetes.NewForConfig(config); err != nil {
		return err
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	_, err = s.cluster.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("the cluster has a namespace %s already: the demo will not touch it; delete it, or use another cluster", namespace)
	}
	if err == nil && os.Getenv("DEMO_KUBECONFIG") != "" {
		s.later(func() {
			_ = s.cluster.CoreV1().Namespaces().Delete(context.WithoutCancel(ctx), namespace, metav1.DeleteOptions{})
		})
	}
	return err
}

// startGit serves the examples as a repository and returns its URL.
func (s *stage) startGit(ctx context.Context) (url string, err error) {
	start := time.Now()
	server, err := gitserver.Start(gitserver.Options{Dir: filepath.Join(s.dir, "git")})
	if err != nil {
		return "", err
	}
	s.later(func() { _ = server.Close() })
	work := filepath.Join(s.dir, "workloads")
	if err := os.CopyFS(work, os.DirFS("examples")); err != nil {
		return "", err
	}
	if s.repo, err = server.Create(ctx, "workloads", work); err != nil {
		return "", err
	}
	if err := s.push(ctx, "Describe the shop's workloads"); err != nil {
		return "", err
	}
	say("a Git server with examples/ as "+server.URL("workloads"), time.Since(start))
	return server.URL("workloads"), nil
}

func (s *stage) startKilter(url string) (err error) {
	file := filepath.Join(s.dir, "sync.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, syncDocument, url), 0o600); err != nil {
		return err
	}
	s.kilter, err = process.Start(process.Options{
		Path: filepath.Join("bin", "kilter"),
		Args: []string{"run", "-f", file, "--kubeconfig", s.kubeconfig, "--allow-insecure-git"},
		Echo: func(line string) { fmt.Println("    │ " + line) },
	})
	if err != nil {
		return fmt.Errorf("%w; build it with `make build`", err)
	}
	s.later(func() { _ = s.kilter.Stop(10 * time.Second) })
	return nil
}

// push commits the work tree and pushes it.
func (s *stage) push(ctx context.Context, message string) error {
	if _, err := s.repo.Commit(ctx, message); err != nil {
		return err
	}
	return s.repo.Push(ctx)
}

func say(what string, took time.Duration) {
	fmt.Printf("  ready after %5.1fs: %s\n", took.Seconds(), what)
}
