package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kilter.dev/kilter/internal/phrase"
	"kilter.dev/kilter/reconcile/health"
	"kilter.dev/kilter/reconcile/view"
)

// triggerOptions are the flags of kilter trigger.
type triggerOptions struct {
	question
	force bool
	wait  bool
}

func triggerCommand() *cobra.Command {
	var o triggerOptions
	cmd := &cobra.Command{
		Use:   "trigger cronjob/NAME",
		Short: "Start a run of a CronJob now",
		Long: `Start a run of a CronJob now, suspended or not: a Job from its template, as kubectl create job --from makes it. The run counts as one of the
CronJob's own: for its history limits, and for whether it is failing. Where concurrencyPolicy is Forbid and a run goes on, none is started.

Exit codes: 0 started, or with --wait completed; 1 a run goes on already, or with --wait the run failed; 2 a wrong command line, or what
cannot be read or reached.`,
		Example: `  kilter trigger cronjob/report -n shop
  kilter trigger cronjob/report --wait`,
		Args: oneCronJob,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.open(cmd); err != nil {
				return err
			}
			return o.run(cmd.Context(), nameOfCronJob(args[0]))
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.force, "force", false, "start it although a run goes on and concurrencyPolicy is Forbid")
	flags.BoolVar(&o.wait, "wait", false, "wait until the run has ended")
	o.add(cmd, false)
	return cmd
}

func (o *triggerOptions) run(ctx context.Context, name string) error {
	started, err := o.reader.TriggerCronJob(ctx, view.Trigger{Namespace: o.namespace, Name: name, Force: o.force}, time.Now())
	if busy := (*view.BusyError)(nil); errors.As(err, &busy) {
		return &exitError{code: exitProblems, err: err}
	}
	if err != nil {
		return err
	}
	out := &output{Writer: o.stdout}
	out.printf("job/%s created from %s\n", started.Job, phrase.Printable(started.String()))
	if started.Beside {
		out.printf("The schedule takes no notice of it: the run of %s starts beside it if it goes on until then.\n",
			started.Next[0].Format("2006-01-02 15:04:05 MST"))
	}
	if out.err != nil || !o.wait {
		return out.err
	}
	run, err := o.reader.AwaitJob(ctx, o.namespace, started.Job)
	switch {
	case ctx.Err() != nil:
		return &exitError{code: exitUsage, err: fmt.Errorf("interrupted; job/%s goes on", started.Job)}
	case err != nil:
		return err
	case run.Result == health.RunFailed:
		return &exitError{code: exitProblems, err: fmt.Errorf("job/%s failed: %s; kubectl logs -n %s job/%[1]s shows why", run.Name, run.Reason, o.namespace)}
	}
	_, err = fmt.Fprintf(o.stdout, "job/%s completed after %s\n", run.Name, age(run.Created, run.Finished))
	return err
}

// oneCronJob refuses arguments other than one cronjob/NAME.
func oneCronJob(cmd *cobra.Command, args []string) error {
	if len(args) == 1 && nameOfCronJob(args[0]) != "" {
		return nil
	}
	return fmt.Errorf("%s takes one cronjob/NAME; see %[1]s --help", cmd.CommandPath())
}

// nameOfCronJob returns the name in "cronjob/report"; empty where it says something else.
func nameOfCronJob(arg string) string {
	kind, name, _ := strings.Cut(arg, "/")
	switch strings.ToLower(kind) {
	case "cronjob", "cronjobs", "cj", "cronjob.batch", "cronjobs.batch":
		return name
	}
	return ""
}
