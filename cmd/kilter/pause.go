package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// A suspendable is what kilter suspend and kilter resume take: a CronJob, for a time, or a whole Sync.
type suspendable struct{ cronJob, sync string }

// readSuspendable reads "cronjob/report" or "sync/shop"; neither is set where it says something else.
func readSuspendable(arg string) suspendable {
	if name := nameOfCronJob(arg); name != "" {
		return suspendable{cronJob: name}
	}
	kind, name, _ := strings.Cut(arg, "/")
	switch strings.ToLower(kind) {
	case "sync", "syncs", "sync.kilter.dev", "syncs.kilter.dev":
		return suspendable{sync: name}
	}
	return suspendable{}
}

// oneSuspendable refuses anything but one of them.
func oneSuspendable(cmd *cobra.Command, args []string) error {
	if len(args) == 1 && readSuspendable(args[0]) != (suspendable{}) {
		return nil
	}
	return fmt.Errorf("%s takes one cronjob/NAME or sync/NAME; see %[1]s --help", cmd.CommandPath())
}

// pause suspends or resumes a Sync object.
func (q *question) pause(cmd *cobra.Command, name string, suspend bool) error {
	set, err := q.reader.Set(cmd.Context(), q.namespace, name)
	switch {
	case err != nil:
		return err
	case set.Sync == nil:
		return fmt.Errorf("Sync %s is kept from a file: stop kilter run, or write spec.suspend in its document", set.SyncName())
	}
	state, meaning := "resumed", "it looks at its repository now"
	if suspend {
		state, meaning = "suspended", "nothing is read, applied or pruned until kilter resume sync/"+name
	}
	if set.Sync.Spec.Suspend == suspend {
		_, err := fmt.Fprintf(q.stdout, "Sync %s is %s already\n", set.SyncName(), state)
		return err
	}
	if err := q.reader.Suspend(cmd.Context(), set, suspend); err != nil {
		return err
	}
	_, err = fmt.Fprintf(q.stdout, "Sync %s is %s: %s\n", set.SyncName(), state, meaning)
	return err
}

// errForASync is said where flags are given that only an exception has.
var errForASync = errors.New("--for and --reason are for a cronjob/NAME: a Sync stays suspended until kilter resume")
