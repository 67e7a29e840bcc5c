package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"kilter.dev/kilter/reconcile/view"
)

// reconcileOptions are the flags of kilter reconcile.
type reconcileOptions struct {
	question
	wait    bool
	timeout time.Duration
}

func reconcileCommand() *cobra.Command {
	var o reconcileOptions
	cmd := &cobra.Command{
		Use:   "reconcile SYNC",
		Short: "Have a Sync look at its repository now",
		Long: `Have a Sync look at its repository now, and try again at once whatever it would try later. It sets the annotation kilter.dev/requestedAt,
which the Sync's status answers in lastHandledReconcileAt.

Exit codes: 0 fine; 1 with --wait, the Sync is not ready; 2 it cannot be asked, or did not answer in time.`,
		Example: `  kilter reconcile shop --wait`,
		Args:    exactlyOne("Sync"),
		RunE:    func(cmd *cobra.Command, args []string) error { return o.request(cmd, args[0]) },
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.wait, "wait", false, "wait until nothing moves any more, and say how the Sync stands")
	flags.DurationVar(&o.timeout, "timeout", 10*time.Minute, "how long to wait")
	o.add(cmd, false)
	return cmd
}

func (o *reconcileOptions) request(cmd *cobra.Command, name string) error {
	if err := o.open(cmd); err != nil {
		return err
	}
	set, err := o.reader.Set(cmd.Context(), o.namespace, name)
	switch {
	case err != nil:
		return err
	case set.Sync == nil:
		return fmt.Errorf("Sync %s is kept from a file: it looks at its repository every spec.interval, and when kilter run is started", set.SyncName())
	}
	value := time.Now().UTC().Format(time.RFC3339Nano)
	if err := o.reader.Request(cmd.Context(), set, value); err != nil {
		return err
	}
	if !o.wait {
		_, err := fmt.Fprintf(o.stdout, "Sync %s is asked to look at its repository\n", set.SyncName())
		return err
	}
	return o.await(cmd.Context(), set, value)
}

// await waits for the answer and shows how the Sync stands then.
func (o *reconcileOptions) await(ctx context.Context, set view.Set, value string) error {
	waiting, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	answered, err := o.reader.AwaitAnswer(waiting, set, value)
	switch {
	case errors.Is(err, context.Canceled):
		return errors.New("interrupted before the outcome was known")
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("Sync %s has not come to rest after %s: see kilter status, and check that Kilter runs and follows the namespace",
			set.SyncName(), o.timeout)
	case err != nil:
		return err
	}
	set.Sync = answered
	state := set.State()
	if err := writeStates(o.stdout, states{Syncs: []view.State{state}}); err != nil {
		return err
	}
	if !state.Well() {
		return unhappy("the Sync is not ready")
	}
	return nil
}
