package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"kilter.dev/kilter/internal/phrase"
)

func resumeCommand() *cobra.Command {
	var q question
	cmd := &cobra.Command{
		Use:   "resume cronjob/NAME | sync/NAME",
		Short: "End the suspension of a CronJob before its time, or of a Sync",
		Long: `End the suspension of a CronJob before its time: an exception made by kilter suspend, or spec.suspend: true set by hand. What Git suspends is
resumed in Git. A run that was due meanwhile starts at once, unless startingDeadlineSeconds has passed; those before it do not.`,
		Example: `  kilter resume cronjob/report -n shop
  kilter resume sync/shop`,
		Args: oneSuspendable,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := q.open(cmd); err != nil {
				return err
			}
			what := readSuspendable(args[0])
			if what.sync != "" {
				return q.pause(cmd, what.sync, false)
			}
			return resume(cmd.Context(), &q, what.cronJob)
		},
	}
	q.add(cmd, false)
	return cmd
}

func resume(ctx context.Context, q *question, name string) error {
	after, resumed, err := q.reader.ResumeCronJob(ctx, q.namespace, name, time.Now())
	if err != nil {
		return err
	}
	text := after.String()
	switch {
	case after.Suspended:
		text += " is still suspended " + after.ScheduleHealth.Reason
	case !resumed:
		text += " is not suspended"
	default:
		text += " is resumed"
	}
	const minute = "2006-01-02 15:04 MST"
	switch {
	case after.Suspended:
	case !after.CatchUp.IsZero():
		text += fmt.Sprintf("; the run of %s starts at once", after.CatchUp.Format(minute))
	case len(after.Next) > 0:
		text += fmt.Sprintf("; the next run is due at %s", after.Next[0].Format(minute))
	}
	_, err = fmt.Fprintln(q.stdout, phrase.Printable(text))
	return err
}
