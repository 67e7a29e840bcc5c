package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"kilter.dev/kilter/internal/phrase"
	"kilter.dev/kilter/reconcile/view"
)

// suspendOptions are the flags of kilter suspend.
type suspendOptions struct {
	question
	duration time.Duration
	reason   string
}

func suspendCommand() *cobra.Command {
	var o suspendOptions
	cmd := &cobra.Command{
		Use:   "suspend cronjob/NAME --for DURATION | sync/NAME",
		Short: "Suspend a CronJob for a time, or a whole Sync",
		Long: `Suspend a CronJob for a time, whatever Git says: an exception that the loop of its Sync keeps, shows in the Sync's status, and ends when its
time is over, or by kilter resume. Everything else about the CronJob still follows Git. Runs that are going on are left alone.

An exception lasts at most 168h, a week. To suspend a CronJob for good, write spec.suspend: true in Git.

A Sync that is suspended reads, applies and prunes nothing until kilter resume sync/NAME; its workloads run on.`,
		Example: `  kilter suspend cronjob/report --for 2h --reason "the database moves"
  kilter suspend sync/shop`,
		Args: oneSuspendable,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.open(cmd); err != nil {
				return err
			}
			what := readSuspendable(args[0])
			if what.sync == "" {
				return o.run(cmd.Context(), what.cronJob)
			}
			if o.duration != 0 || o.reason != "" {
				return errForASync
			}
			return o.pause(cmd, what.sync, true)
		},
	}
	flags := cmd.Flags()
	flags.DurationVar(&o.duration, "for", 0, "how long, such as 90m or 48h; at most 168h")
	flags.StringVar(&o.reason, "reason", "", "why, for those who come across it")
	o.add(cmd, false)
	return cmd
}

func (o *suspendOptions) run(ctx context.Context, name string) error {
	wanted := view.Suspend{Namespace: o.namespace, Name: name, For: o.duration, Reason: o.reason}
	suspended, err := o.reader.SuspendCronJob(ctx, wanted, time.Now())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(o.stdout, phrase.Printable(fmt.Sprintf("%s is suspended %s", suspended, suspended.ScheduleHealth.Reason)))
	return err
}
