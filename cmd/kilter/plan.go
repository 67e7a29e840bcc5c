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
	file      string
	dir       string
	namespace string
	output    string
	exitCode  bool
	stdout    io.Writer
}

// planFormats are the values of --output.
var planFormats = map[string]func(io.Writer, *forecast) error{
	"text": writePlanText, "json": writePlanJSON, "markdown": writePlanMarkdown,
}

func planCommand() *cobra.Command {
	var o planOptions
	cmd := &cobra.Command{
		Use:   "plan -f sync.yaml | --dir DIR",
		Short: "Say what a commit or a directory would change in the cluster",
		Long: `Say what the newest commit of a Sync would change in the cluster, field by field, and change nothing. The plan is the one that kilter run
would make; each object that would be applied is tried by one dry run, so that refusals of the server are known before.

With --dir a directory of this machine stands in for the commit, as it is, uncommitted edits included. Whose it is, is found in the cluster: the
Sync that enforces what the directory names. What that Sync has applied and the directory lacks is planned to be deleted.

Exit codes: 0 fine; 1 the commit or an object would be refused, or with --exit-code there are changes; 2 a wrong command line, or what
cannot be read or reached.`,
		Example: `  kilter plan -f sync.yaml
  kilter plan --dir ./prod --context staging
  kilter plan -f sync.yaml -o markdown > comment.md`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.stdout = cmd.OutOrStdout()
			return o.run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.file, "filename", "f", "", "file with one Sync document")
	flags.StringVar(&o.dir, "dir", "", "directory whose files stand in for the newest commit's")
	flags.StringVarP(&o.namespace, "namespace", "n", "", "namespace of objects in --dir that name none (default: that of their Sync, or of the context)")
	cobra.CheckErr(cmd.MarkFlagDirname("dir"))
	outputFlag(cmd, &o.output, planFormats)
	flags.BoolVar(&o.exitCode, "exit-code", false, "exit with 1 when anything would change")
	o.add(flags)
	o.limits.add(flags)
	return cmd
}

func (o *planOptions) run(ctx context.Context) (err error) {
	write, err := chosen(planFormats, o.output)
	switch {
	case err != nil:
		return err
	case o.file == "" && o.dir == "":
		return errNothingToPlan
	case o.namespace != "" && (o.dir == "" || o.file != ""):
		return errors.New("-n goes with --dir alone: with -f the Sync says where objects go that name no namespace")
	}
	cluster, err := o.connect()
	if err != nil {
		return err
	}
	f, err := o.forecast(ctx, cluster)
	if err != nil {
		return err
	}
	if err := write(o.stdout, f); err != nil {
		return fmt.Errorf("cannot write the plan: %w", err)
	}
	if len(f.Problems)+f.Summary.failures() > 0 || o.exitCode && f.Summary.changes() > 0 {
		return &exitError{code: exitProblems, err: errors.New("the plan has changes or refusals"), silent: true}
	}
	return nil
}

// forecast looks at the files, of a directory or a commit, and at the cluster.
func (o *planOptions) forecast(ctx context.Context, cluster *reconcile.Cluster) (f *forecast, err error) {
	var s *subject
	if o.dir != "" {
		s, err = o.directory(ctx, cluster)
	} else {
		var closing func() error
		s, closing, err = o.commit(ctx, cluster)
		defer func() { err = errors.Join(err, closing()) }()
	}
	if err != nil {
		return nil, err
	}
	loop, err := reconcile.NewLoop(reconcile.Options{
		Sync: s.sync, Object: s.object, Cluster: cluster, Fetch: s.fetch, Name: s.name, Loader: s.loader, Clock: time.Now,
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
	return newForecast(s, found), nil
}

// commit makes a subject of the newest commit that the Sync in the file of -f names. The function that it returns ends the subject.
func (o *planOptions) commit(ctx context.Context, cluster *reconcile.Cluster) (s *subject, closing func() error, err error) {
	closing = func() error { return nil }
	s = &subject{loader: manifests.NewLoader(o.limits.options()), owned: true}
	if err := o.readSync(ctx, cluster, s); err != nil {
		return nil, closing, err
	}
	remove, err := o.makeDataDir()
	if err != nil {
		return nil, closing, err
	}
	repository, err := o.openAny(s.sync, cluster)
	if err != nil {
		return nil, remove, err
	}
	s.fetch = repository.Fetch
	return s, func() error { return errors.Join(repository.Close(), remove()) }, nil
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
