package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apiextensions-apiserver/pkg/crdserverscheme"
	"k8s.io/apiextensions-apiserver/pkg/registry/customresource"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/rest"
)

// Version is one version of a custom resource, ready to judge objects. It is safe for concurrent use.
type Version struct {
	structural *structuralschema.Structural
	strategy   rest.RESTCreateStrategy
	warnings   []string // for every object of a deprecated version
	texts      texts
}

// Compile reads one version of the CustomResourceDefinition that definition holds as JSON in apiextensions.k8s.io/v1. The error says
// why the server could not serve the version; it holds no value of the definition.
func Compile(definition []byte, version string) (*Version, error) {
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := json.Unmarshal(definition, crd); err != nil {
		return nil, errors.New("the definition is no CustomResourceDefinition")
	}
	i := slices.IndexFunc(crd.Spec.Versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool { return v.Name == version })
	switch {
	case i < 0 || !crd.Spec.Versions[i].Served:
		return nil, fmt.Errorf("version %s is not served", version)
	case crd.Spec.PreserveUnknownFields:
		return nil, errors.New("spec.preserveUnknownFields is not allowed in apiextensions.k8s.io/v1")
	}
	v := &crd.Spec.Versions[i]
	if v.Schema == nil || v.Schema.OpenAPIV3Schema == nil {
		return nil, fmt.Errorf("version %s has no schema", version)
	}
	internal := &apiextensions.CustomResourceValidation{}
	if err := apiextensionsv1.Convert_v1_CustomResourceValidation_To_apiextensions_CustomResourceValidation(v.Schema, internal, nil); err != nil {
		return nil, errors.New("the schema cannot be read")
	}
	return compile(crd, v, internal.OpenAPIV3Schema)
}

// compile follows getOrCreateServingInfoFor in customresource_handler.go.
func compile(
	crd *apiextensionsv1.CustomResourceDefinition, v *apiextensionsv1.CustomResourceDefinitionVersion, props *apiextensions.JSONSchemaProps,
) (*Version, error) {
	visit(props, func(p *apiextensions.JSONSchemaProps) { // what a schema says to people is most of its size, and no rule reads it
		p.Description, p.Title, p.Example, p.ExternalDocs = "", "", nil, nil
	})
	structural, err := structuralschema.NewStructural(props)
	if err != nil || len(structuralschema.ValidateStructural(nil, structural)) > 0 {
		return nil, errors.New("the schema is not structural")
	}
	structural = structural.DeepCopy() // its defaults are props' own
	if err := defaulting.PruneDefaults(structural); err != nil {
		return nil, errors.New("the schema's defaults do not fit it")
	}
	validator, _, err := validation.NewSchemaValidator(props)
	if err != nil {
		return nil, errors.New("the schema cannot be compiled")
	}
	var status *apiextensions.CustomResourceSubresourceStatus
	var scale *apiextensions.CustomResourceSubresourceScale
	if sub := v.Subresources; sub != nil {
		if sub.Status != nil {
			status = &apiextensions.CustomResourceSubresourceStatus{}
		}
		if sub.Scale != nil {
			scale = &apiextensions.CustomResourceSubresourceScale{
				SpecReplicasPath: sub.Scale.SpecReplicasPath, StatusReplicasPath: sub.Scale.StatusReplicasPath,
				LabelSelectorPath: sub.Scale.LabelSelectorPath,
			}
		}
	}
	compiled := &Version{
		structural: structural,
		strategy: customresource.NewStrategy(crdserverscheme.NewUnstructuredObjectTyper(), crd.Spec.Scope == apiextensionsv1.NamespaceScoped,
			schema.GroupVersionKind{Group: crd.Spec.Group, Version: v.Name, Kind: crd.Spec.Names.Kind},
			validator, nil, structural, status, scale, v.SelectableFields),
		texts: textsOf(props),
	}
	if v.Deprecated {
		compiled.warnings = []string{deprecation(crd, v)}
	}
	return compiled, nil
}

// visit calls f for a schema and every schema within it.
func visit(props *apiextensions.JSONSchemaProps, f func(*apiextensions.JSONSchemaProps)) {
	if props == nil {
		return
	}
	f(props)
	for name, p := range props.Properties {
		visit(&p, f)
		props.Properties[name] = p
	}
	for _, list := range [][]apiextensions.JSONSchemaProps{props.AllOf, props.AnyOf, props.OneOf} {
		for i := range list {
			visit(&list[i], f)
		}
	}
	visit(props.Not, f)
	if props.Items != nil {
		visit(props.Items.Schema, f)
	}
	if props.AdditionalProperties != nil {
		visit(props.AdditionalProperties.Schema, f)
	}
}
