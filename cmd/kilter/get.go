package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// getOptions are the flags of kilter get.
type getOptions struct {
	question
	names  []string // only these; empty: all
	stderr io.Writer
	now    time.Time
}

// getKind is one kind of thing that kilter get lists. A kind is a file get_<kind>.go.
type getKind struct {
	names []string // what people call it, the first of them in the help
	short string
	run   func(ctx context.Context, o *getOptions) error
}

// getKinds lists them in the order of the help.
func getKinds() []getKind {
	return []getKind{
		{names: []string{"syncs", "sync"}, short: "what is kept in sync: ready or not, at which commit", run: getSyncs},
		{names: []string{"jobs", "job"}, short: "the Jobs that Syncs keep, with their last runs", run: getJobs},
		{names: []string{"cronjobs", "cronjob", "cj"}, short: "when CronJobs ran, run next, and whether they keep their schedules", run: getCronJobs},
		{names: []string{"daemonsets", "daemonset", "ds"}, short: "how far DaemonSets have come, node by node", run: getDaemonSets},
		{names: []string{"statefulsets", "statefulset", "sts"}, short: "how far StatefulSets have come, pod by pod", run: getStatefulSets},
	}
}

// getFormats are the values of --output.
var getFormats = map[string]bool{"text": true, "json": true}

func getCommand() *cobra.Command {
	var o getOptions
	kinds := getKinds()
	var list strings.Builder
	for _, kind := range kinds {
		fmt.Fprintf(&list, "  %-12s %s\n", kind.names[0], kind.short)
	}
	cmd := &cobra.Command{
		Use:   "get KIND [NAME...]",
		Short: "List what Syncs keep",
		Long:  "List what Syncs keep, with what kubectl get does not tell. The kinds:\n\n" + list.String(),
		Example: `  kilter get syncs -A
  kilter get jobs -n shop
  kilter get job migrate -o json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("%s needs a kind; see %[1]s --help", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := chosen(getFormats, o.output); err != nil {
				return err
			}
			at := slices.IndexFunc(kinds, func(k getKind) bool { return slices.Contains(k.names, strings.ToLower(args[0])) })
			if at < 0 {
				return fmt.Errorf("kilter get knows no kind %q; see kilter get --help, and use kubectl get for others", args[0])
			}
			o.names, o.stderr, o.now = args[1:], cmd.ErrOrStderr(), time.Now()
			if err := o.open(cmd); err != nil {
				return err
			}
			return kinds[at].run(cmd.Context(), &o)
		},
	}
	outputFlag(cmd, &o.output, getFormats)
	o.add(cmd, true)
	return cmd
}

// listing is one answer of kilter get. Its rows are of any type whose JSON is documented in docs/cli.md.
type listing[R any] struct {
	kind   string // as the key of the JSON has it: "jobs"
	rows   []R
	key    func(R) (namespace, name string)
	header []string // without the namespace
	cells  func(R) []string
}

// show prints a listing: the rows whose names were asked for, as text with the namespace in front where all are listed. An error names what was
// asked for and is not there.
func show[R any](o *getOptions, l listing[R]) error {
	missing := slices.Clone(o.names)
	rows := []R{}
	for _, row := range l.rows {
		_, name := l.key(row)
		if len(o.names) == 0 || slices.Contains(o.names, name) {
			rows = append(rows, row)
		}
		missing = slices.DeleteFunc(missing, func(wanted string) bool { return wanted == name })
	}
	if err := l.print(o, rows); err != nil {
		return err
	}
	if len(missing) > 0 {
		return fmt.Errorf("there are no %s %s%s", l.kind, strings.Join(missing, ", "), inNamespace(o.where()))
	}
	return nil
}

func (l listing[R]) print(o *getOptions, rows []R) error {
	if o.output == "json" {
		return writeJSON(o.stdout, map[string][]R{l.kind: rows})
	}
	if len(rows) == 0 {
		_, err := fmt.Fprintf(o.stderr, "No %s%s.\n", l.kind, inNamespace(o.where()))
		return err
	}
	header, lines := l.header, make([][]string, len(rows))
	if o.allNamespaces {
		header = append([]string{"NAMESPACE"}, header...)
	}
	for i, row := range rows {
		lines[i] = l.cells(row)
		if o.allNamespaces {
			namespace, _ := l.key(row)
			lines[i] = append([]string{namespace}, lines[i]...)
		}
	}
	return writeTable(o.stdout, header, lines)
}

// inNamespace returns " in namespace x", or nothing for all of them.
func inNamespace(namespace string) string {
	if namespace == "" {
		return ""
	}
	return " in namespace " + namespace
}
