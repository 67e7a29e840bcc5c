package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/duration"

	"kilter.dev/kilter/internal/phrase"
)

// outputFlag adds --output, whose values are the names of the formats.
func outputFlag[F any](cmd *cobra.Command, value *string, formats map[string]F) {
	names := slices.Sorted(maps.Keys(formats))
	cmd.Flags().StringVarP(value, "output", "o", "text", "format: "+strings.Join(names, ", "))
	cobra.CheckErr(cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp)))
}

// chosen returns the format of that name, or an error that names all of them.
func chosen[F any](formats map[string]F, name string) (F, error) {
	format, known := formats[name]
	if !known {
		return format, fmt.Errorf("-o %q: must be one of %s", name, strings.Join(slices.Sorted(maps.Keys(formats)), ", "))
	}
	return format, nil
}

// writeJSON writes any value as indented JSON.
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

// age returns how long ago a time was, as kubectl does; nothing for no time.
func age(then, now time.Time) string {
	if then.IsZero() {
		return ""
	}
	return duration.HumanDuration(now.Sub(then))
}

// length returns a duration as kubectl does; nothing for none.
func length(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return duration.HumanDuration(d)
}
