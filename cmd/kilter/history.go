package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kilter.dev/kilter/internal/phrase"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/view"
)

// historyOptions are the flags of kilter history.
type historyOptions struct {
	question
	run int
}

// runs is the JSON of kilter history.
type runs struct {
	Runs []view.Run `json:"runs"` // the newest first
}

// historyFormats are the values of --output.
var historyFormats = map[string]func(io.Writer, runs) error{"text": writeHistory, "json": writeJSON[runs]}

func historyCommand() *cobra.Command {
	var o historyOptions
	cmd := &cobra.Command{
		Use:   "history [job/NAME]",
		Short: "Show how Jobs have run: outcome, exit code, commit, log",
		Long: `Show the runs of the Jobs that Syncs keep, the newest first: those of one Job, or all of the namespace. They are on record for as long as
the Job's history limit says, whether or not the Job and its pods are still there.

With --run it shows all that is on record of one run, with the last lines of its log; --run 0 is the newest.`,
		Example: `  kilter history -n shop
  kilter history job/migrate --run 3`,
		Args: atMostOne("Job"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.show(cmd, strings.Join(args, ""))
		},
	}
	cmd.Flags().IntVar(&o.run, "run", 0, "number of the run to show with its log; 0 for the newest (needs a Job)")
	outputFlag(cmd, &o.output, historyFormats)
	o.add(cmd, true)
	return cmd
}

func (o *historyOptions) show(cmd *cobra.Command, job string) error {
	write, err := chosen(historyFormats, o.output)
	if err != nil {
		return err
	}
	one := cmd.Flags().Changed("run")
	if one && job == "" {
		return fmt.Errorf("--run needs a Job: kilter history job/NAME --run %d", o.run)
	}
	if err := o.open(cmd); err != nil {
		return err
	}
	found, err := o.find(cmd, job)
	if err != nil {
		return err
	}
	if !one {
		return write(o.stdout, found)
	}
	at := slices.IndexFunc(found.Runs, func(r view.Run) bool { return r.Number == o.run || o.run == 0 && !r.Asked })
	if at < 0 {
		return fmt.Errorf("no run %d of %s is on record; kilter history %[2]s lists those that are", o.run, job)
	}
	found.Runs = found.Runs[at : at+1]
	if o.output == "text" {
		return writeRun(o.stdout, found.Runs[0])
	}
	return write(o.stdout, found)
}

// find reads the runs of one Job, or of all where none is named.
func (o *historyOptions) find(cmd *cobra.Command, job string) (runs, error) {
	var id manifests.ID
	if job != "" {
		var err error
		if id, err = o.job(job); err != nil {
			return runs{}, err
		}
	}
	records, err := o.reader.Runs(cmd.Context(), o.where(), id.Name)
	found := runs{Runs: make([]view.Run, len(records))}
	for i := range records {
		found.Runs[i] = view.NewRun(&records[i])
	}
	if err == nil && len(records) == 0 {
		if job != "" {
			return found, fmt.Errorf("no run of %s is on record%s; kilter get jobs -A lists the Jobs that Syncs keep", job, inNamespace(o.where()))
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "No runs%s.\n", inNamespace(o.where()))
	}
	return found, err
}

// job returns the ID of a Job that is named as job/NAME.
func (q *question) job(text string) (manifests.ID, error) {
	id, err := q.reader.Find(q.namespace, text)
	if err == nil && (id.Group != "batch" || id.Kind != "Job") {
		err = fmt.Errorf("%s is a %s, and only a Job has runs: name it as job/NAME", text, id.Kind)
	}
	return id, err
}

func writeHistory(to io.Writer, all runs) error {
	if len(all.Runs) == 0 {
		return nil
	}
	now := time.Now()
	rows := make([][]string, len(all.Runs))
	for i, r := range all.Runs {
		number := ""
		if r.Number > 0 {
			number = strconv.Itoa(r.Number)
		}
		reason := r.Reason
		if reason == string(r.Outcome) {
			reason = ""
		}
		rows[i] = []string{
			r.Namespace + "/" + r.Job, number, outcomeCell(r), reason, exitCell(r), started(r, now), length(r.Took(now)),
			view.ShortRevision(r.Revision), r.File,
		}
	}
	return writeTable(to, []string{"JOB", "RUN", "OUTCOME", "REASON", "EXIT", "STARTED", "DURATION", "REVISION", "FILE"}, rows)
}

// outcomeCell is what came of a run, or how far it is.
func outcomeCell(r view.Run) string {
	switch {
	case r.Asked:
		return "asked for"
	case r.Outcome == "":
		return "goes on"
	}
	return string(r.Outcome)
}

// writeRun shows all that is on record of one run.
func writeRun(to io.Writer, r view.Run) error {
	out := &output{Writer: to}
	out.printf("Job %s/%s, run %d\n", r.Namespace, r.Job, r.Number)
	row := func(name, text string) {
		if text != "" {
			out.printf("  %-10s %s\n", name, phrase.Printable(text))
		}
	}
	outcome := outcomeCell(r)
	if r.Reason != "" && r.Reason != outcome {
		outcome += " (" + r.Reason + ")"
	}
	if r.Message != "" {
		outcome += ": " + r.Message
	}
	row("outcome", outcome)
	if r.Start != nil {
		text := r.Start.UTC().Format(time.RFC3339)
		if took := r.Took(time.Now()); took > 0 {
			text += ", took " + length(took)
		}
		row("started", text)
	}
	row("why", r.Why)
	row("sync", r.Sync)
	row("revision", r.Revision)
	row("file", r.File)
	if r.Succeeded+r.Failed > 0 {
		row("pods", fmt.Sprintf("%d succeeded, %d failed", r.Succeeded, r.Failed))
	}
	if r.CompletedIndexes != "" {
		row("completed", "indexes "+r.CompletedIndexes)
	}
	if r.FailedIndexes != "" {
		row("failed", "indexes "+r.FailedIndexes)
	}
	if c := r.Container; c != nil {
		text := fmt.Sprintf("%d, container %s of Pod %s", c.ExitCode, c.Name, c.Pod)
		if c.Reason != "" {
			text += " (" + c.Reason + ")"
		}
		row("exit code", text)
	}
	if r.Log != "" {
		out.printf("  %s\n", "log")
		for line := range strings.Lines(r.Log) {
			out.printf("    %s\n", phrase.Printable(strings.TrimRight(line, "\r\n")))
		}
	}
	return out.err
}
