package process

import (
	"context"
	"fmt"
	"path/filepath"
	"time"
)

// DevCluster is a running dev cluster.
type DevCluster struct {
	Kubeconfig string // of its administrator
	process    *Process
}

// StartDevCluster starts program, which is bin/devcluster, with everything below dir and with more flags of `devcluster up`, and returns
// when the cluster is ready.
func StartDevCluster(ctx context.Context, program, dir string, flags ...string) (*DevCluster, error) {
	c := &DevCluster{Kubeconfig: filepath.Join(dir, "kubeconfig")}
	data := filepath.Join(dir, "data")
	args := append([]string{"up", "--dir", data, "--kubeconfig", c.Kubeconfig, "--nodes", "3"}, flags...)
	var err error
	c.process, err = Start(Options{Path: program, Args: args})
	if err != nil {
		return nil, fmt.Errorf("%w; build it with `make devcluster`", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute) // it takes seconds; a busy machine gets more
	defer cancel()
	if _, err := c.process.Line(ctx, "ready"); err != nil {
		_ = c.Stop()
		return nil, err
	}
	return c, nil
}

// Stop ends the cluster and everything it started.
func (c *DevCluster) Stop() error { return c.process.Stop(30 * time.Second) }
