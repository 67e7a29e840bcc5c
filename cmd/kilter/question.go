package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"kilter.dev/kilter/internal/phrase"
	"kilter.dev/kilter/reconcile"
	"kilter.dev/kilter/reconcile/view"
)

// question is what the verbs share that ask the cluster something.
type question struct {
	access
	namespace     string
	allNamespaces bool
	output        string
	stdout        io.Writer

	cluster *reconcile.Cluster
	reader  *view.Reader
}

// add adds the flags; that for all namespaces only where a verb can answer for all of them.
func (q *question) add(cmd *cobra.Command, everywhere bool) {
	flags := cmd.Flags()
	flags.StringVarP(&q.namespace, "namespace", "n", "", "namespace (default: that of the kubeconfig's context)")
	if everywhere {
		flags.BoolVarP(&q.allNamespaces, "all-namespaces", "A", false, "in all namespaces")
	}
	q.addCluster(flags)
}

// open finds the cluster and the namespace. It sends no request.
func (q *question) open(cmd *cobra.Command) error {
	q.stdout = cmd.OutOrStdout()
	var err error
	if q.cluster, err = q.connect(); err != nil {
		return err
	}
	q.reader = view.New(q.cluster)
	if q.namespace == "" {
		q.namespace, err = q.contextNamespace()
	}
	return err
}

// where returns the namespace to list in; empty for all.
func (q *question) where() string {
	if q.allNamespaces {
		return ""
	}
	return q.namespace
}

// theSet returns the set of the Sync that was named or, when none was, of the only one in the namespace.
func (q *question) theSet(ctx context.Context, name string) (view.Set, error) {
	if name != "" {
		return q.reader.Set(ctx, q.namespace, name)
	}
	sets, err := q.reader.Sets(ctx, q.namespace)
	switch {
	case err != nil:
		return view.Set{}, err
	case len(sets) == 0:
		return view.Set{}, fmt.Errorf("there is no Sync in namespace %s; kilter get syncs -A lists all", q.namespace)
	case len(sets) > 1:
		names := make([]string, len(sets))
		for i, set := range sets {
			names[i] = strings.TrimPrefix(set.SyncName(), q.namespace+"/")
		}
		return view.Set{}, fmt.Errorf("namespace %s has %s: name one of %s", q.namespace, phrase.Count(len(sets), "Sync"), phrase.Few(names, 10))
	}
	return sets[0], nil
}

// atMostOne refuses a second argument.
func atMostOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return fmt.Errorf("%s takes one %s, not %q as well; see %[1]s --help", cmd.CommandPath(), what, args[1])
		}
		return nil
	}
}

// exactlyOne refuses anything but one argument.
func exactlyOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return fmt.Errorf("%s needs a %s; see %[1]s --help", cmd.CommandPath(), what)
		}
		return atMostOne(what)(cmd, args)
	}
}

// unhappy ends the program with 1 for what its text has told already.
func unhappy(text string) error {
	return &exitError{code: exitProblems, err: errors.New(text), silent: true}
}
