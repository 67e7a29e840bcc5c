package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/internal/phrase"
	"kilter.dev/kilter/reconcile"
	"kilter.dev/kilter/source"
)

func sourceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "source",
		Short: "Look at the repository that a Sync names",
		Args:  noArguments,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(sourceCheckCommand())
	return cmd
}

// sourceCheckOptions are the flags of kilter source check.
type sourceCheckOptions struct {
	access
	file   string
	output string
	stdout io.Writer
}

// sourceCheckFormats are the values of --output.
var sourceCheckFormats = map[string]func(io.Writer, *sourceCheck) error{"text": writeSourceCheckText, "json": writeSourceCheckJSON}

func sourceCheckCommand() *cobra.Command {
	var o sourceCheckOptions
	cmd := &cobra.Command{
		Use:   "check -f sync.yaml",
		Short: "Try each step of reading the repository, and say which one fails and how to mend it",
		Long: `Try each step of reading the repository that a Sync names: read the credentials, resolve the host, connect, authenticate, list the refs,
fetch, verify the signatures, walk the path. The cluster is asked for the Secrets that the Sync names, and for nothing else.

Exit codes: 0 fine; 1 a step failed; 2 a wrong command line, or a Sync that cannot be read.`,
		Example: `  kilter source check -f sync.yaml`,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.stdout = cmd.OutOrStdout()
			return o.run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.file, "filename", "f", "", "file with one Sync document")
	o.add(flags)
	outputFlag(cmd, &o.output, sourceCheckFormats)
	return cmd
}

func (o *sourceCheckOptions) run(ctx context.Context) (err error) {
	write, err := chosen(sourceCheckFormats, o.output)
	switch {
	case err != nil:
		return err
	case o.file == "":
		return errors.New("kilter source check needs a Sync document: add -f sync.yaml")
	}
	sync, err := readSync(o.file)
	if err != nil {
		return err
	}
	var cluster *reconcile.Cluster
	if git := sync.Spec.Git; git.SecretRef != nil || git.ProxySecretRef != nil || git.Verify != nil {
		if cluster, err = o.connect(); err != nil {
			return err
		}
	}
	remove, err := o.makeDataDir()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	check, err := o.check(ctx, sync, cluster)
	if err != nil {
		return err
	}
	if err := write(o.stdout, check); err != nil {
		return fmt.Errorf("cannot write the result: %w", err)
	}
	if check.Failure != nil {
		return &exitError{code: exitProblems, err: errors.New(check.Failure.Message), silent: true}
	}
	return nil
}

// sourceCheck is what became of each step; docs/private-repositories.md describes its JSON.
type sourceCheck struct {
	URL      string              `json:"url"`
	Revision string              `json:"revision,omitempty"`
	Steps    []sourceStep        `json:"steps"`
	Failure  *sourceCheckFailure `json:"failure,omitempty"`
}

type sourceStep struct {
	Step    source.Step `json:"step"`
	Outcome string      `json:"outcome"` // ok, failed or skipped
	Detail  string      `json:"detail,omitempty"`
}

type sourceCheckFailure struct {
	Reason  source.Reason `json:"reason"`
	Message string        `json:"message"`
	Hint    string        `json:"hint,omitempty"`
}

// check reads the repository once.
func (o *sourceCheckOptions) check(ctx context.Context, sync *v1alpha1.Sync, cluster *reconcile.Cluster) (*sourceCheck, error) {
	repository, err := o.open(sync, cluster)
	if err != nil {
		return nil, err
	}
	defer repository.Close()
	snapshot, err := repository.Fetch(ctx)
	check := &sourceCheck{URL: repository.URL(), Revision: snapshot.Revision}
	failure, failed := errors.AsType[*source.Error](err)
	if err != nil && !failed {
		return nil, err
	}
	details := map[source.Step]string{}
	if failed {
		check.Failure = &sourceCheckFailure{Reason: failure.Reason, Message: failure.Message, Hint: failure.Hint}
		details[failure.Step] = failure.Message
	} else if details, err = readDetails(snapshot); err != nil {
		return nil, err
	}
	reached := true
	for _, step := range source.Steps() {
		outcome := "ok"
		switch {
		case failed && failure.Step == step:
			outcome, reached = "failed", false
		case !reached, step == source.StepVerify && sync.Spec.Git.Verify == nil:
			outcome = "skipped"
		}
		check.Steps = append(check.Steps, sourceStep{Step: step, Outcome: outcome, Detail: details[step]})
	}
	return check, nil
}

// readDetails says what there is to say of steps that went well.
func readDetails(snapshot source.Snapshot) (map[source.Step]string, error) {
	files := 0
	err := fs.WalkDir(snapshot.Tree, snapshot.Path, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files++
		}
		return err
	})
	details := map[source.Step]string{
		source.StepList: snapshot.Revision,
		source.StepWalk: fmt.Sprintf("%s at path %s", phrase.Count(files, "file"), snapshot.Path),
	}
	if snapshot.Signer != "" {
		details[source.StepVerify] = "signed by " + snapshot.Signer
	}
	return details, err
}

func writeSourceCheckText(w io.Writer, check *sourceCheck) error {
	fmt.Fprintf(w, "%s\n\n", check.URL)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, step := range check.Steps {
		fmt.Fprintf(table, "  %s\t%s", step.Step, step.Outcome)
		if step.Detail != "" {
			fmt.Fprintf(table, "\t%s", step.Detail)
		}
		fmt.Fprintln(table)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if check.Failure != nil && check.Failure.Hint != "" {
		_, err := fmt.Fprintf(w, "\nTo mend it: %s\n", check.Failure.Hint)
		return err
	}
	return nil
}

func writeSourceCheckJSON(w io.Writer, check *sourceCheck) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(check)
}
