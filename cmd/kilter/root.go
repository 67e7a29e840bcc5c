package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/klog/v2"
)

// The exit codes.
const (
	exitFine     = 0
	exitProblems = 1 // problems in manifests, failures in the cluster
	exitUsage    = 2 // a wrong command line, or something that could not be read or reached
)

// exitError ends the program with a code other than exitUsage. The text was printed already where silent is true.
type exitError struct {
	code   int
	err    error
	silent bool
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// run executes one command line and returns its exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:   "kilter",
		Short: "Keep Kubernetes workloads exactly as Git says",
		Long: `Kilter pulls manifests from Git, gives each one the API server's own verdict before anything is touched, compares them with
the live cluster, applies what differs, waits for the outcome and exports it as Prometheus metrics.

Exit codes: 0 fine; 1 problems or failures; 2 usage or I/O.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetArgs(args)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())
	})
	root.AddCommand(commands()...)

	// What goes wrong in client-go comes back as an error, which says it better than client-go's own log on stderr.
	klog.SetLogger(logr.Discard())

	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitFine
	}
	code := exitUsage
	if exit := (*exitError)(nil); errors.As(err, &exit) {
		code = exit.code
		if exit.silent {
			return code
		}
	}
	fmt.Fprintf(stderr, "kilter: %v\n", err)
	return code
}

// commands are the verbs.
func commands() []*cobra.Command {
	return []*cobra.Command{
		planCommand(), runCommand(), validateCommand(),
		getCommand(), statusCommand(), treeCommand(), historyCommand(), eventsCommand(),
		reconcileCommand(), rerunCommand(), triggerCommand(), suspendCommand(), resumeCommand(),
		crdsCommand(), sourceCommand(), versionCommand(),
	}
}

// noArguments refuses what is left of a command line when flags are all that a command takes.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fmt.Errorf("%s takes flags only, not %q; see %[1]s --help", cmd.CommandPath(), args[0])
}
