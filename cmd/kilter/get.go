package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"kilter.dev/kilter/internal/phrase"
	"kilter.dev/kilter/reconcile"
)

// getOptions are the flags of kilter get, and what they lead to.
type getOptions struct {
	access
	namespace     string
	allNamespaces bool
	output        string
	names         []string

	cluster *reconcile.Cluster
	stdout  io.Writer
	stderr  io.Writer
}

// getKind is a kind that kilter get shows.
type getKind struct {
	names []string // the plural first
	run   func(context.Context, *getOptions) error
}

func getKinds() []getKind {
	return []getKind{
		{[]string{"daemonsets", "daemonset", "ds"}, getDaemonSets},
		{[]string{"statefulsets", "statefulset", "sts"}, getStatefulSets},
	}
}

// getFormats are the values of --output.
var getFormats = map[string]bool{"text": true, "json": true}

func getCommand() *cobra.Command {
	var o getOptions
	var plurals []string
	for _, kind := range getKinds() {
		plurals = append(plurals, kind.names[0])
	}
	cmd := &cobra.Command{
		Use:   "get KIND [NAME...]",
		Short: "Show workloads as Kilter judges them: " + strings.Join(plurals, ", "),
		Long: `Show the workloads of a kind that belong to a Sync, or those named, as Kilter judges them: ` + strings.Join(plurals, ", ") + `.

Exit codes: 0 fine; 1 there is none of a name; 2 a wrong command line, or a cluster that cannot be read.`,
		Example: `  kilter get daemonsets -A
  kilter get statefulset db -n shop -o json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 && getKindOf(args[0]) != nil {
				return nil
			}
			return fmt.Errorf("%s needs a kind: one of %s", cmd.CommandPath(), strings.Join(plurals, ", "))
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.stdout, o.stderr, o.names = cmd.OutOrStdout(), cmd.ErrOrStderr(), args[1:]
			if _, err := chosen(getFormats, o.output); err != nil {
				return err
			}
			if err := o.open(); err != nil {
				return err
			}
			return getKindOf(args[0]).run(cmd.Context(), &o)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.namespace, "namespace", "n", "", "namespace (default: that of the kubeconfig's context)")
	flags.BoolVarP(&o.allNamespaces, "all-namespaces", "A", false, "in all namespaces")
	outputFlag(cmd, &o.output, getFormats)
	o.addCluster(flags)
	return cmd
}

func getKindOf(name string) *getKind {
	for _, kind := range getKinds() {
		if slices.Contains(kind.names, name) {
			return &kind
		}
	}
	return nil
}

// open finds the cluster and the namespace. It sends no request.
func (o *getOptions) open() (err error) {
	if o.cluster, err = o.connect(); err != nil {
		return err
	}
	if o.namespace == "" {
		o.namespace, _, err = o.loader().Namespace()
	}
	return err
}

// where returns the namespace to list in; empty for all.
func (o *getOptions) where() string {
	if o.allNamespaces {
		return ""
	}
	return o.namespace
}

// writeJSON writes a value as indented JSON.
func writeJSON[T any](to io.Writer, value T) error {
	encoder := json.NewEncoder(to)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// writeTable writes rows in columns, as kubectl does. An empty cell is a dash.
func writeTable(to io.Writer, header []string, rows [][]string) error {
	out := tabwriter.NewWriter(to, 0, 8, 2, ' ', 0)
	for _, row := range append([][]string{header}, rows...) {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = orDash(phrase.Printable(cell))
		}
		if _, err := fmt.Fprintln(out, strings.Join(cells, "\t")); err != nil {
			return err
		}
	}
	return out.Flush()
}
