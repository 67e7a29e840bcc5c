package main

import (
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"kilter.dev/kilter/api/v1alpha1"
)

func crdsCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "crds",
		Short:   "Print the CustomResourceDefinitions",
		Example: "  kilter crds | kubectl apply --server-side -f -",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			files, err := fs.Glob(v1alpha1.CRDs, "crds/*.yaml")
			if err != nil {
				return err
			}
			for _, file := range files {
				crd, err := v1alpha1.CRDs.ReadFile(file)
				if err != nil {
					return err
				}
				if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s", crd); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
