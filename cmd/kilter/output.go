package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
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
