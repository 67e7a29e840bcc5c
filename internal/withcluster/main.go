//go:build unix

// Command withcluster runs another command with a cluster to test on: `withcluster [-real-node] go test ./...`.
//
// The command finds the cluster's kubeconfig in TEST_KUBECONFIG. Where that is set already, the command runs as it is. Otherwise
// withcluster starts bin/devcluster for as long as the command runs, and leaves nothing of it behind. It exits as the command does.
// With -real-node, one of the cluster's nodes runs containers, and the command finds its name in TEST_REAL_NODE; where the machine
// cannot run it, withcluster says why and goes on without.
// It is for this repository's Makefile and knows its paths; no package depends on it.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
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
	realNodeVariable   = "TEST_REAL_NODE"
	realNode           = "real-node"      // as the dev cluster calls it
	stopTimeout        = 30 * time.Second // from the interrupt until the command is killed
)

func main() {
	flag.Usage = func() { fmt.Fprintln(os.Stderr, "usage: withcluster [-real-node] COMMAND [ARG...]") }
	withRealNode := flag.Bool("real-node", false, "")
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	code, err := run(ctx, *withRealNode, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "withcluster:", err)
	}
	os.Exit(code)
}

// run returns the command's exit code, or 2 and an error when the command or its cluster cannot be run.
func run(ctx context.Context, withRealNode bool, args []string) (code int, err error) {
	if os.Getenv(kubeconfigVariable) != "" {
		return runCommand(ctx, args, os.Environ())
	}
	dir, err := os.MkdirTemp("", "withcluster-")
	if err != nil {
		return 2, err
	}
	defer os.RemoveAll(dir)

	program := filepath.Join("bin", "devcluster")
	var flags []string
	environment := os.Environ()
	if withRealNode && canRunRealNode(ctx, program) {
		flags, environment = append(flags, "--real-node"), append(environment, realNodeVariable+"="+realNode)
	}
	start := time.Now()
	cluster, err := process.StartDevCluster(ctx, program, dir, flags...)
	if err != nil {
		return 2, err
	}
	fmt.Fprintf(os.Stderr, "withcluster: dev cluster ready in %.1f s\n", time.Since(start).Seconds())
	code, err = runCommand(ctx, args, append(environment, kubeconfigVariable+"="+cluster.Kubeconfig))
	if stopErr := cluster.Stop(); stopErr != nil {
		return max(code, 1), errors.Join(err, stopErr)
	}
	return code, err
}

// canRunRealNode asks the dev cluster's program, and passes on what it says is missing.
func canRunRealNode(ctx context.Context, program string) bool {
	answer, err := exec.CommandContext(ctx, program, "check-real-node").CombinedOutput()
	if err != nil {
		fmt.Fprintf(os.Stderr, "withcluster: no real node: %s\n", bytes.TrimSpace(answer))
	}
	return err == nil
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
