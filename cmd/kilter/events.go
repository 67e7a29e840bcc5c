package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kilter.dev/kilter/internal/phrase"
	"kilter.dev/kilter/reconcile/view"
)

// eventsOptions are the flags of kilter events.
type eventsOptions struct {
	question
	tail int
}

// said is the JSON of kilter events.
type said struct {
	Omitted int          `json:"omitted"` // how many earlier ones are left out
	Events  []view.Event `json:"events"`  // the oldest first
	Gaps    []view.Gap   `json:"gaps,omitempty"`
}

// eventsFormats are the values of --output.
var eventsFormats = map[string]func(io.Writer, said) error{"text": writeEvents, "json": writeJSON[said]}

func eventsCommand() *cobra.Command {
	var o eventsOptions
	cmd := &cobra.Command{
		Use:   "events [SYNC | KIND/NAME]",
		Short: "Show what was said of a Sync, its objects and their pods",
		Long: `Show the Events of a Sync, the oldest first: what Kilter said of it and of its objects, those included that are gone, and what controllers,
the scheduler and kubelets said of the objects, their Jobs and pods. The SYNC may be left out where the namespace has only one. With
KIND/NAME it shows those of one object and of what its controller made.

The API server keeps Events for an hour, unless it was told otherwise.`,
		Example: `  kilter events shop
  kilter events job/migrate -n shop --tail 20`,
		Args: atMostOne("Sync or object"),
		RunE: func(cmd *cobra.Command, args []string) error {
			write, err := chosen(eventsFormats, o.output)
			switch {
			case err != nil:
				return err
			case o.tail < 0:
				return errors.New("--tail must be a number of Events, or 0 for all")
			}
			if err := o.open(cmd); err != nil {
				return err
			}
			found, err := o.events(cmd.Context(), strings.Join(args, ""))
			if err != nil {
				return err
			}
			if len(found.Events) == 0 {
				fmt.Fprintln(cmd.ErrOrStderr(), "No Events: nothing was said, or longer ago than the server keeps Events.")
			}
			return write(o.stdout, found)
		},
	}
	cmd.Flags().IntVar(&o.tail, "tail", 100, "how many Events to show at most, the newest; 0 for all")
	outputFlag(cmd, &o.output, eventsFormats)
	o.add(cmd, false)
	return cmd
}

func (o *eventsOptions) events(ctx context.Context, what string) (said, error) {
	sight, events, err := o.read(ctx, what)
	if err != nil {
		return said{}, err
	}
	found := said{Events: events, Gaps: sight.Gaps}
	if o.tail > 0 && len(events) > o.tail {
		found.Omitted = len(events) - o.tail
		found.Events = events[found.Omitted:]
	}
	return found, nil
}

// read finds the Events of a Sync, or of an object.
func (o *eventsOptions) read(ctx context.Context, what string) (*view.Sight, []view.Event, error) {
	if !strings.Contains(what, "/") {
		set, err := o.theSet(ctx, what)
		if err != nil {
			return nil, nil, err
		}
		sight, err := o.reader.Look(ctx, set)
		if err != nil {
			return nil, nil, err
		}
		events, err := o.reader.Events(ctx, sight)
		return sight, events, err
	}
	id, err := o.reader.Find(o.namespace, what)
	if err != nil {
		return nil, nil, err
	}
	sight := &view.Sight{} // of an object that is gone, or that no Sync keeps, its own Events are all that can be found
	if _, set, err := o.reader.Up(ctx, id); err == nil && set != nil {
		if sight, err = o.reader.Look(ctx, *set); err != nil {
			return nil, nil, err
		}
	}
	events, err := o.reader.EventsOf(ctx, sight, id)
	return sight, events, err
}

func writeEvents(to io.Writer, all said) error {
	out := &output{Writer: to}
	if all.Omitted > 0 {
		out.printf("%s left out; --tail 0 shows all.\n", phrase.Count(all.Omitted, "earlier Event"))
	}
	now := time.Now()
	rows := make([][]string, len(all.Events))
	for i, e := range all.Events {
		message := e.Message
		if e.Count > 1 {
			message += fmt.Sprintf(" (%d times since %s)", e.Count, age(e.First, now))
		}
		rows[i] = []string{age(e.Last, now), e.Type, e.Reason, e.Object.String(), e.Source, message}
	}
	if len(rows) > 0 && out.err == nil {
		out.err = writeTable(to, []string{"AGE", "TYPE", "REASON", "OBJECT", "FROM", "MESSAGE"}, rows)
	}
	for _, gap := range all.Gaps {
		out.printf("%s\n", phrase.Printable(gap.String()))
	}
	return out.err
}
