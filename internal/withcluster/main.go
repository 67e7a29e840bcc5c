//go:build unix

// Command withcluster runs another command with a cluster to test on: `withcluster go test ./...`.
//
// The command finds the cluster's kubeconfig in TEST_KUBECONFIG. Where that is set already, the command runs as it is. Otherwise
// withcluster starts bin/devcluster for as long as the command runs, and leaves nothing of it behind. It exits as the command does.
// It is for this repository's Makefile and knows its paths; no package depends on it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"kilter.dev/kilter/internal/process"
)

const (
	kubeconfigVariable = "TEST_KUBECONFIG"
	stopTimeout        = 30 * time.Second // from the interrupt until the command is killed
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

	start := time.Now()
	cluster, err := process.StartDevCluster(ctx, filepath.Join("bin", "devcluster"), dir)
	if err != nil {
		return 2, err
	}
	fmt.Fprintf(os.Stderr, "withcluster: dev cluster ready in %.1f s\n", time.Since(start).Seconds())
	code, err = runCommand(ctx, args, append(os.Environ(), kubeconfigVariable+"="+cluster.Kubeconfig))
	if stopErr := cluster.Stop(); stopErr != nil {
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
