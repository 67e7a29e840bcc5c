package v1alpha1

import "embed"

// CRDs holds the CustomResourceDefinitions of this package's kinds, a YAML file each, as controller-gen makes them.
//
//go:embed crds/*.yaml
var CRDs embed.FS
