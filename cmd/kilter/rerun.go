package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/reconcile/view"
)

// rerunOptions are the flags of kilter rerun.
type rerunOptions struct {
	question
	sync    string
	reason  string
	wait    bool
	timeout time.Duration
}

func rerunCommand() *cobra.Command {
	var o rerunOptions
	cmd := &cobra.Command{
		Use:   "rerun job/NAME",
		Short: "Run a Job once more",
		Long: `Run a Job that a Sync keeps once more, whatever its kilter.dev/run says: also after it failed, and after its TTL has deleted it. A JobRun is
created that asks for it; the Sync's loop starts the run, from the manifest as Git has it.

Exit codes: 0 fine; 1 with --wait, the run did not complete; 2 it cannot be asked for, or its outcome was not known in time.`,
		Example: `  kilter rerun job/migrate -n shop --reason "the table was locked"
  kilter rerun job/migrate -n shop --wait`,
		Args: exactlyOne("Job, as job/NAME"),
		RunE: func(cmd *cobra.Command, args []string) error { return o.rerun(cmd, args[0]) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.sync, "sync", "", "Sync that keeps a Job which has never run (default: the only one in the namespace)")
	flags.StringVar(&o.reason, "reason", "", "why, for the record")
	flags.BoolVar(&o.wait, "wait", false, "wait for the outcome of the run")
	flags.DurationVar(&o.timeout, "timeout", 10*time.Minute, "how long to wait")
	o.add(cmd, false)
	return cmd
}

func (o *rerunOptions) rerun(cmd *cobra.Command, name string) error {
	if err := o.open(cmd); err != nil {
		return err
	}
	job, err := o.job(name)
	if err != nil {
		return err
	}
	why := "asked for with kilter rerun"
	if o.reason != "" {
		why += ": " + o.reason
	}
	run, err := o.reader.Rerun(cmd.Context(), job, o.sync, why)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(o.stdout, "run %d of %s is asked for: JobRun %s/%s; Sync %s starts it\n",
		view.Number(run), job, run.Namespace, run.Name, run.Spec.Sync)
	if err != nil {
		return err
	}
	if namespace, name, ok := strings.Cut(run.Spec.Sync, "/"); ok {
		set, err := o.reader.Set(cmd.Context(), namespace, name)
		if err == nil && set.Sync != nil && set.Sync.Spec.Suspend {
			fmt.Fprintf(cmd.ErrOrStderr(), "Sync %s is suspended: it starts the run once spec.suspend is false\n", run.Spec.Sync)
		}
	}
	if !o.wait {
		return nil
	}
	return o.await(cmd.Context(), run)
}

// await waits for the outcome and shows what is on record of the run.
func (o *rerunOptions) await(ctx context.Context, run *v1alpha1.JobRun) error {
	waiting, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	ended, err := o.reader.AwaitRun(waiting, run)
	switch {
	case errors.Is(err, context.Canceled):
		return errors.New("interrupted before the outcome was known")
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("the run had not ended after %s; kilter history job/%s -n %s shows how it goes on", o.timeout, run.Spec.Job, run.Namespace)
	case err != nil:
		return err
	}
	if err := writeRun(o.stdout, view.NewRun(ended)); err != nil {
		return err
	}
	if ended.Status.Outcome != v1alpha1.RunComplete {
		return unhappy("the run did not complete")
	}
	return nil
}
