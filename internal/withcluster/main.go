//go:build unix

// Command withcluster runs another command with a cluster to test on: `withcluster go test ./...`.
//
// The command finds the cluster's kubeconfig in TEST_KUBECONFIG. Where that is set already, the command runs as it is. Otherwise
// withcluster starts bin/devcluster for as long as the command runs, and leaves nothing of it behind. It exits as the command does.
// It is for this repository's Makefile and knows its paths; no package depends on it.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

const (
	kubeconfigVariable = "TEST_KUBECONFIG"
	program            = "bin/devcluster"
	startTimeout       = 3 * time.Minute  // it takes seconds; a busy machine gets more
	stopTimeout        = 30 * time.Second // from the interrupt until it is killed
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: withcluster COMMAND [ARG...]")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	code, err := run(ctx, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "withcluster:", err)
	}
	os.Exit(code)
}

// run returns the command's exit code, or 2 and an error when the command or its cluster cannot be run.
func run(ctx context.Context, args []string) (code int, err error) {
	if os.Getenv(kubeconfigVariable) != "" {
		return runCommand(ctx, args, os.Environ())
	}
	dir, err := os.MkdirTemp("", "withcluster-")
	if err != nil {
		return 2, err
	}
	defer os.RemoveAll(dir)

	cluster, err := start(ctx, dir)
	if err != nil {
		return 2, err
	}
	code, err = runCommand(ctx, args, append(os.Environ(), kubeconfigVariable+"="+cluster.kubeconfig))
	if stopErr := cluster.stop(); stopErr != nil {
		return max(code, 1), errors.Join(err, stopErr)
	}
	return code, err
}

// runCommand runs args and returns its exit code. When ctx ends it interrupts the command with all that it started, and waits.
func runCommand(ctx context.Context, args, env []string) (int, error) {
	command := exec.CommandContext(ctx, args[0], args[1:]...)
	command.Env, command.Stdout, command.Stderr = env, os.Stdout, os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGINT) }
	command.WaitDelay = stopTimeout
	err := command.Run()
	switch exit, ok := errors.AsType[*exec.ExitError](err); {
	case err == nil:
		return 0, nil
	case ok:
		return max(exit.ExitCode(), 1), nil // -1 is a command that a signal ended
	case ctx.Err() != nil:
		return 1, nil // interrupted, and it took that for success
	}
	return 2, fmt.Errorf("cannot run %s: %w", args[0], err)
}

// devCluster is a running dev cluster.
type devCluster struct {
	kubeconfig string
	process    *exec.Cmd
	ended      chan struct{} // closed when the process has ended; err is set before
	err        error
}

// start starts a dev cluster in dir and returns when it is ready. Its log goes to dir and is shown when it cannot start.
func start(ctx context.Context, dir string) (*devCluster, error) {
	log, err := os.Create(filepath.Join(dir, "devcluster.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()

	c := &devCluster{kubeconfig: filepath.Join(dir, "kubeconfig"), ended: make(chan struct{})}
	c.process = exec.Command(program, "up", "--dir", filepath.Join(dir, "data"), "--kubeconfig", c.kubeconfig, "--nodes", "3")
	c.process.Stderr = log
	// A process group of its own: an interrupt from the terminal ends the command first, then we end the cluster.
	c.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdout, err := c.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.process.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w: build it with 'make devcluster'", program, err)
	}

	ready := make(chan struct{})
	go func() {
		defer close(c.ended)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			if lines.Text() == "ready" {
				close(ready)
				break
			}
		}
		io.Copy(io.Discard, stdout) //nolint:errcheck // reading on lets the cluster write on; how it ends is Wait's to say
		c.err = c.process.Wait()
	}()

	begin := time.Now()
	deadline := time.NewTimer(startTimeout)
	defer deadline.Stop()
	select {
	case <-ready:
		fmt.Fprintf(os.Stderr, "withcluster: dev cluster ready in %.1f s\n", time.Since(begin).Seconds())
		return c, nil
	case <-c.ended:
		err = fmt.Errorf("%s ended before it was ready: %w", program, c.err)
	case <-deadline.C:
		err = errors.Join(fmt.Errorf("%s was not ready after %s", program, startTimeout), c.stop())
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), c.stop())
	}
	if text, readErr := os.ReadFile(log.Name()); readErr == nil {
		err = fmt.Errorf("%w; its log:\n%s", err, tail(text, 4<<10))
	}
	return nil, err
}

// stop interrupts the cluster and waits until it has ended; it is killed when it takes longer than stopTimeout.
func (c *devCluster) stop() error {
	interruptErr := c.process.Process.Signal(os.Interrupt)
	select {
	case <-c.ended:
	case <-time.After(stopTimeout):
		killErr := c.process.Process.Kill()
		<-c.ended
		return errors.Join(fmt.Errorf("%s did not end %s after an interrupt and was killed", program, stopTimeout), killErr)
	}
	if c.err != nil {
		return fmt.Errorf("%s failed: %w", program, errors.Join(interruptErr, c.err))
	}
	return nil
}

// tail returns the last n bytes of text at most.
func tail(text []byte, n int) []byte { return text[max(0, len(text)-n):] }
