package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// upTimeout is how long a cluster may take to become ready; five seconds suffice on two idle cores.
const upTimeout = 2 * time.Minute

type upOptions struct {
	dir        string
	kubeconfig string // where the administrator's kubeconfig goes
	nodes      int
	realNode   bool // one more, which runs containers
	verbose    bool
	stdout     io.Writer
	stderr     io.Writer
}

// cluster is one control plane and the directory that holds all of it.
type cluster struct {
	upOptions
	log       *slog.Logger
	port      *port
	fail      context.CancelCauseFunc // ends the cluster because a process died
	processes []*process              // in the order of their start
	watchers  sync.WaitGroup          // one goroutine for each process
	stopping  chan struct{}           // closed before processes are ended on purpose
}

// up starts a cluster, serves until ctx ends, and ends everything that it started. It returns an error when the cluster
// did not become ready or when a component died.
func up(ctx context.Context, options upOptions) error {
	if options.nodes < 1 {
		return fmt.Errorf("cannot start %d nodes: Jobs and Deployments need at least one", options.nodes)
	}
	if options.realNode {
		if err := checkRealNode(); err != nil {
			return err
		}
	}
	level := slog.LevelWarn
	if options.verbose {
		level = slog.LevelInfo
	}
	var err error
	if options.dir, err = filepath.Abs(options.dir); err != nil {
		return fmt.Errorf("cannot find the directory %s: %w", options.dir, err)
	}
	unlock, err := prepareDir(options.dir)
	if err != nil {
		return err
	}
	defer unlock()

	c := &cluster{
		upOptions: options,
		log:       slog.New(slog.NewTextHandler(options.stderr, &slog.HandlerOptions{Level: level})),
		stopping:  make(chan struct{}),
	}
	if c.port, err = reservePort(); err != nil {
		return err
	}
	defer c.port.release()

	ctx, c.fail = context.WithCancelCause(ctx)
	defer c.fail(nil)
	defer c.teardown()

	if err := c.bringUp(ctx); err != nil {
		return outcome(ctx, err)
	}
	fmt.Fprintln(c.stdout, "ready")
	<-ctx.Done()
	return outcome(ctx, nil)
}

// outcome prefers what ended the context (a component that died) to the error that followed from it. A signal is not an
// error.
func outcome(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if died, ok := errors.AsType[*componentError](cause); ok {
		return died
	}
	if cause != nil {
		return nil
	}
	return err
}

// prepareDir creates what is missing of the cluster's directory and locks it until unlock is called.
func prepareDir(dir string) (unlock func(), err error) {
	for _, sub := range []string{"kubeconfig", "log", "pid", "pki"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("cannot prepare the directory %s: %w", dir, err)
		}
	}
	lock, err := fileutil.TryLockFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	switch {
	case errors.Is(err, fileutil.ErrLocked):
		return nil, fmt.Errorf("cannot use %s: another devcluster is up in it; stop that one or give another --dir", dir)
	case err != nil:
		return nil, fmt.Errorf("cannot lock %s: %w", dir, err)
	}
	return func() { _ = lock.Close() }, nil
}

// bringUp starts all components, each when what it needs is there, and returns when workloads work.
func (c *cluster) bringUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, upTimeout, fmt.Errorf("not ready after %s", upTimeout))
	defer cancel()

	ca, err := preparePKI(c.dir)
	if err != nil {
		return err
	}
	if err := writeKubeconfigs(c.dir, ca, c.port.number, admin, "kube-controller-manager", "kube-scheduler", "kwok"); err != nil {
		return err
	}
	if err := c.start(etcd(), kubeAPIServer(c.port.number)); err != nil {
		return err
	}
	config, err := adminConfig(c.dir)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("cannot make a client: %w", err)
	}
	if err := waitForAPIServer(ctx, client); err != nil {
		return c.lateError(ctx, "the API server", err)
	}
	c.log.Info("the API server is up", "server", config.Host)
	if err := c.start(kubeControllerManager(), kubeScheduler(), kwok()); err != nil {
		return err
	}
	if err := c.startRealNode(ctx, client, ca); err != nil {
		return err
	}
	if err := c.populate(ctx, client); err != nil {
		return err
	}
	return c.writeAdminKubeconfig()
}

// populate gives the cluster its nodes and storage and waits until workloads work.
func (c *cluster) populate(ctx context.Context, client kubernetes.Interface) error {
	if err := ensureNodes(ctx, client, c.nodes); err != nil {
		return err
	}
	if err := ensureStorageClass(ctx, client); err != nil {
		return err
	}
	group, proving := errgroup.WithContext(ctx)
	group.Go(func() error { return proveWorkloads(proving, client, c.log) })
	if c.realNode {
		group.Go(func() error { return proveRealNode(proving, client, c.log) })
	}
	if err := group.Wait(); err != nil {
		return c.lateError(ctx, "workloads", err)
	}
	return nil
}

// startRealNode starts the real node if there is to be one, and forgets that of an earlier start if not.
func (c *cluster) startRealNode(ctx context.Context, client kubernetes.Interface, ca *certAuthority) error {
	if !c.realNode {
		return deleteRealNode(ctx, client)
	}
	if err := ensureRealNode(ctx, client); err != nil {
		return err
	}
	if err := prepareRealNode(c.dir, ca, c.port.number); err != nil {
		return err
	}
	return c.start(realNodeComponent(c.port.number))
}

// lateError says what could not be waited for, and where to look.
func (c *cluster) lateError(ctx context.Context, what string, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return fmt.Errorf("cannot bring up %s: %w; see the logs in %s", what, err, filepath.Join(c.dir, "log"))
}

// writeAdminKubeconfig puts the administrator's kubeconfig where the user wants it.
func (c *cluster) writeAdminKubeconfig() error {
	config, err := clientcmd.LoadFromFile(filepath.Join(c.dir, kubeconfigOf(admin)))
	if err == nil {
		err = clientcmd.WriteToFile(*config, c.kubeconfig)
	}
	if err != nil {
		return fmt.Errorf("cannot write the kubeconfig: %w", err)
	}
	return nil
}

// start starts components and watches over them: if one ends before teardown, the whole cluster ends with its failure.
func (c *cluster) start(components ...component) error {
	for _, component := range components {
		p, err := component.start(c.dir)
		if err != nil {
			return err
		}
		c.log.Info("started", "component", p.name, "pid", p.cmd.Process.Pid, "log", p.log)
		c.processes = append(c.processes, p)
		c.watchers.Go(func() {
			select {
			case <-p.ended:
				c.fail(p.failure())
			case <-c.stopping:
			}
		})
	}
	return nil
}

// teardown ends all processes, the last started first, and returns when they are gone.
func (c *cluster) teardown() {
	close(c.stopping)
	c.watchers.Wait()
	for _, p := range slices.Backward(c.processes) {
		begin := time.Now()
		p.stop()
		c.log.Info("ended", "component", p.name, "after", time.Since(begin).Round(time.Millisecond))
	}
	if err := removeCgroups(c.dir); err != nil { // those of a real node that was killed
		c.log.Warn("left behind", "error", err)
	}
}

// waitForAPIServer returns when the API server says that it is ready. It asks again and again, because before that there
// is nothing to be notified by.
func waitForAPIServer(ctx context.Context, client kubernetes.Interface) error {
	return wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		err := client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
		return err == nil, nil
	})
}
