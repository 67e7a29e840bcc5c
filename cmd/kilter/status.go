package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/internal/phrase"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile"
	"kilter.dev/kilter/reconcile/health"
	"kilter.dev/kilter/reconcile/view"
)

// states is the JSON of kilter status.
type states struct {
	Syncs []view.State `json:"syncs"`
}

// statusFormats are the values of --output.
var statusFormats = map[string]func(io.Writer, states) error{"text": writeStates, "json": writeJSON[states]}

func statusCommand() *cobra.Command {
	var o question
	cmd := &cobra.Command{
		Use:   "status [SYNC]",
		Short: "Say how a Sync stands: ready or not, at which commit, what is wrong, what waits",
		Long: `Say how a Sync stands, or every Sync of the namespace: its conditions, the commit, the objects by health, what is wrong with file and line, and
what waits for what. Of a Sync that is kept from a file (kilter run -f) only the objects are known here; the rest is told where it runs.

Exit codes: 0 all are ready, or suspended; 1 one is not; 2 a wrong command line, or what cannot be read or reached.`,
		Example: `  kilter status shop
  kilter status -A -o json`,
		Args: atMostOne("Sync"),
		RunE: func(cmd *cobra.Command, args []string) error {
			write, err := chosen(statusFormats, o.output)
			if err != nil {
				return err
			}
			if err := o.open(cmd); err != nil {
				return err
			}
			found, err := o.states(cmd.Context(), strings.Join(args, ""))
			if err != nil {
				return err
			}
			if len(found.Syncs) == 0 {
				fmt.Fprintf(cmd.ErrOrStderr(), "No Syncs%s.\n", inNamespace(o.where()))
			}
			if err := write(o.stdout, found); err != nil {
				return err
			}
			for _, s := range found.Syncs {
				if !s.Well() {
					return unhappy("a Sync is not ready")
				}
			}
			return nil
		},
	}
	outputFlag(cmd, &o.output, statusFormats)
	o.add(cmd, true)
	return cmd
}

// states reads one Sync, or all.
func (q *question) states(ctx context.Context, name string) (states, error) {
	var sets []view.Set
	var err error
	if name != "" {
		sets = make([]view.Set, 1)
		sets[0], err = q.reader.Set(ctx, q.namespace, name)
	} else {
		sets, err = q.reader.Sets(ctx, q.where())
	}
	if err != nil {
		return states{}, err
	}
	found := states{Syncs: []view.State{}}
	for _, set := range sets {
		state := set.State()
		if set.Sync == nil {
			sight, err := q.reader.Look(ctx, set)
			if err != nil {
				return states{}, err
			}
			state.Count(sight.Tree())
		}
		found.Syncs = append(found.Syncs, state)
	}
	return found, nil
}

func writeStates(to io.Writer, all states) error {
	out := &output{Writer: to}
	for i, s := range all.Syncs {
		if i > 0 {
			out.printf("\n")
		}
		writeState(out, s)
	}
	return out.err
}

func writeState(out *output, s view.State) {
	row := func(name, text string) {
		if text != "" {
			out.printf("  %-9s %s\n", name, phrase.Printable(text))
		}
	}
	out.printf("Sync %s/%s\n", s.Namespace, s.Name)
	ready := s.Ready
	if ready == "" {
		ready = string(health.Unknown)
	}
	row("ready", ready+": "+s.Summary())
	if meta.IsStatusConditionTrue(s.Conditions, v1alpha1.ConditionStalled) {
		row("stalled", "nothing will change before somebody acts")
	}
	row("applied", s.Applied)
	if s.Attempted != s.Applied {
		row("attempted", s.Attempted)
	}
	if s.Objects != nil {
		row("objects", objectsText(*s.Objects))
	}
	for i, p := range s.Problems {
		row(once(i, "problems"), problemText(p))
	}
	for i, b := range s.Blocked {
		row(once(i, "blocked"), b.Object+" waits for "+b.By+": "+b.Message)
	}
}

// problemText is a problem in the style of a compiler.
func problemText(p v1alpha1.ObjectProblem) string {
	text := p.Message
	if p.Object != "" {
		text = p.Object + ": " + text
	}
	if at := (manifests.Origin{File: p.File, Line: p.Line}).String(); at != "" {
		text = at + ": " + text
	}
	return text + " (" + p.Reason + ")"
}

// objectsText renders the objects by health: "34: 31 current, 3 in progress".
func objectsText(c v1alpha1.ObjectCounts) string {
	r := reconcile.Result{Objects: c.Total, Health: map[health.Word]int{
		health.Current: c.Current, health.InProgress: c.InProgress, health.Failed: c.Failed, health.Terminating: c.Terminating,
		health.NotFound: c.NotFound, health.Unknown: c.Unknown,
	}}
	return r.Counts()
}

// once returns the name for the first of several rows, and blanks for the others.
func once(i int, name string) string {
	if i == 0 {
		return name
	}
	return ""
}
