package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile"
)

// planOptions are the flags of kilter plan.
type planOptions struct {
	access
	file     string
	output   string
	exitCode bool
	stdout   io.Writer
}

// planFormats are the values of --output.
var planFormats = map[string]func(io.Writer, *forecast) error{
	"text": writePlanText, "json": writePlanJSON, "markdown": writePlanMarkdown,
}

func planCommand() *cobra.Command {
	var o planOptions
	cmd := &cobra.Command{
		Use:   "plan -f sync.yaml",
		Short: "Say what the newest commit would change in the cluster",
		Long: `Say what the newest commit would change in the cluster, field by field, and change nothing. The plan is the one that kilter run would make;
each object that would be applied is tried by one dry run, so that refusals of the server are known before.

Exit codes: 0 fine; 1 the commit or an object would be refused, or with --exit-code there are changes; 2 a wrong command line, or what
cannot be read or reached.`,
		Example: `  kilter plan -f sync.yaml
  kilter plan -f sync.yaml -o markdown > comment.md`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.stdout = cmd.OutOrStdout()
			return o.run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.file, "filename", "f", "", "file with one Sync document")
	outputFlag(cmd, &o.output, planFormats)
	flags.BoolVar(&o.exitCode, "exit-code", false, "exit with 1 when the commit would change anything")
	o.add(flags)
	return cmd
}

func (o *planOptions) run(ctx context.Context) (err error) {
	write, err := chosen(planFormats, o.output)
	switch {
	case err != nil:
		return err
	case o.file == "":
		return errors.New("kilter plan needs a Sync document: add -f sync.yaml")
	}
	sync, err := readSync(o.file)
	if err != nil {
		return err
	}
	cluster, err := o.connect()
	if err != nil {
		return err
	}
	remove, err := o.makeDataDir()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	f, err := o.forecast(ctx, sync, cluster)
	if err != nil {
		return err
	}
	if err := write(o.stdout, f); err != nil {
		return fmt.Errorf("cannot write the plan: %w", err)
	}
	if len(f.Problems) > 0 || f.Summary.Refused+f.Summary.Conflict > 0 || o.exitCode && f.Summary.changes() > 0 {
		return &exitError{code: exitProblems, err: errors.New("the plan has changes or refusals"), silent: true}
	}
	return nil
}

// forecast looks at the repository and the cluster.
func (o *planOptions) forecast(ctx context.Context, sync *v1alpha1.Sync, cluster *reconcile.Cluster) (*forecast, error) {
	repository, err := o.open(sync, cluster)
	if err != nil {
		return nil, err
	}
	defer repository.Close()
	loop, err := reconcile.NewLoop(reconcile.Options{
		Sync: sync, Cluster: cluster, Fetch: repository.Fetch, Loader: manifests.NewLoader(manifests.Options{}), Clock: time.Now,
	})
	if err != nil {
		return nil, err
	}
	found, err := loop.Forecast(ctx)
	switch {
	case err != nil:
		return nil, err
	case found.FetchError != nil:
		return nil, found.FetchError
	case found.ClusterError != nil:
		return nil, found.ClusterError
	}
	return newForecast(sync, found), nil
}

// readSync reads the one Sync in a file.
func readSync(file string) (*v1alpha1.Sync, error) {
	document, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("cannot read the Sync: %w", err)
	}
	sync, err := v1alpha1.Read(document)
	if err != nil {
		return nil, fmt.Errorf("cannot read the Sync in %s: %w", file, err)
	}
	return sync, nil
}
