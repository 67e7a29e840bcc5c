package schema

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"
	kjson "sigs.k8s.io/json"

	"kilter.dev/kilter/manifests/verdict"
)

// maxCauses bounds what one object can say.
const maxCauses = 100

// Create returns the server's verdict on creating the object that text holds as JSON, with apiVersion and kind of this version and its
// namespace filled in. The context bounds the evaluation of CEL rules: when it ends, the verdict is not to be used.
//
// It is the verdict on a POST first. What a POST accepts and server-side apply refuses is refused as well: a POST drops a null where
// the schema allows none, and server-side apply keeps it.
func (v *Version) Create(ctx context.Context, text []byte) verdict.Verdict {
	post := v.create(ctx, text, defaulting.PruneNonNullableNullsWithoutDefaults)
	if len(post.Causes) > 0 || !bytes.Contains(text, []byte("null")) {
		return post
	}
	apply := v.create(ctx, text, func(any, *structuralschema.Structural) {})
	for i := range apply.Causes {
		if c := &apply.Causes[i]; strings.HasSuffix(c.Message, `: "null"`) {
			c.Message += " (server-side apply keeps a null: leave the field out)"
		}
	}
	return apply
}

// create takes an object through the steps of the server, of which nulls is one.
func (v *Version) create(ctx context.Context, text []byte, nulls func(any, *structuralschema.Structural)) verdict.Verdict {
	var content map[string]any
	if err := kjson.UnmarshalCaseSensitivePreserveInts(text, &content); err != nil {
		return undecodable("", "not a JSON object")
	}
	object := &unstructured.Unstructured{Object: content}
	unknown, refused := v.decode(object, text, nulls)
	if len(refused.Causes) > 0 {
		return refused
	}
	if len(unknown) > 0 {
		return v.unknownFields(unknown)
	}
	defaulting.Default(content, v.structural)
	rest.FillObjectMetaSystemFields(object)
	v.strategy.PrepareForCreate(ctx, object)
	if errs := rest.ValidateCreate(ctx, object, v.strategy); len(errs) > 0 {
		return verdict.Verdict{Causes: v.causes(errs, content)}
	}
	return verdict.Verdict{Warnings: slices.Concat(v.warnings, v.strategy.WarningsOnCreate(ctx, object))}
}

// decode follows unstructuredSchemaCoercer.apply in customresource_handler.go: it prunes what the schema does not know, and returns its paths.
func (v *Version) decode(
	object *unstructured.Unstructured, text []byte, nulls func(any, *structuralschema.Structural),
) (unknown []string, refused verdict.Verdict) {
	apiVersion, kind := object.GetAPIVersion(), object.GetKind()
	metadata, found, unknown, err := objectmeta.GetObjectMetaWithOptions(object.Object, objectmeta.ObjectMetaOptions{ReturnUnknownFieldPaths: true})
	if err != nil {
		if causes := verdict.DecodeMetadata(text); len(causes) > 0 {
			return nil, verdict.Verdict{Causes: causes}
		}
		return nil, undecodable("metadata", "not the metadata of an object")
	}
	unknown = append(unknown, pruning.PruneWithOptions(object.Object, v.structural, true,
		structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})...)
	nulls(object.Object, v.structural)
	malformed, paths := objectmeta.CoerceWithOptions(nil, object.Object, v.structural, false, objectmeta.CoerceOptions{ReturnUnknownFieldPaths: true})
	if malformed != nil {
		return nil, embedded(malformed)
	}
	unknown = append(unknown, paths...)
	object.SetAPIVersion(apiVersion)
	object.SetKind(kind)
	if found {
		if err := objectmeta.SetObjectMeta(object.Object, metadata); err != nil {
			return nil, undecodable("metadata", "not the metadata of an object")
		}
	}
	return unknown, verdict.Verdict{}
}

// undecodable is the verdict on an object that the server cannot read; its own words may hold values.
func undecodable(at, message string) verdict.Verdict {
	return verdict.Verdict{Causes: []verdict.Cause{{Field: at, Reason: string(metav1.CauseTypeTypeInvalid), Message: message}}}
}

// embedded is the verdict on an object within the object whose apiVersion, kind or metadata the server cannot read.
func embedded(malformed *field.Error) verdict.Verdict {
	parent, ok := strings.CutSuffix(malformed.Field, "metadata")
	if text, err := json.Marshal(map[string]any{"metadata": malformed.BadValue}); ok && err == nil {
		if causes := verdict.DecodeMetadata(text); len(causes) > 0 {
			for i := range causes {
				causes[i].Field = parent + causes[i].Field
			}
			return verdict.Verdict{Causes: causes}
		}
	}
	return undecodable(malformed.Field, "must be a string")
}

// unknownFields is the verdict on an object with fields that the schema does not have. The server says nothing else of it.
func (v *Version) unknownFields(paths []string) verdict.Verdict {
	slices.Sort(paths)
	paths = slices.Compact(paths)
	var out verdict.Verdict
	for _, path := range paths[:min(len(paths), maxCauses)] {
		message := "unknown field"
		if near := v.nearest(path); near != "" {
			message += ": did you mean " + near + "?"
		}
		out.Causes = append(out.Causes, verdict.Cause{Field: path, Reason: verdict.ReasonUnknownField, Message: message})
	}
	return out
}

// nearest returns the field of the schema, beside the unknown one, that was probably meant.
func (v *Version) nearest(path string) string {
	parent, name := "", path
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		parent, name = path[:i], path[i+1:]
	}
	at := v.structural
	for segment := range strings.FieldsFuncSeq(parent, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		switch property, ok := at.Properties[segment]; {
		case ok:
			at = &property
		case at.Items != nil:
			at = at.Items
		case at.AdditionalProperties != nil && at.AdditionalProperties.Structural != nil:
			at = at.AdditionalProperties.Structural
		default:
			return ""
		}
	}
	return verdict.Nearest(name, slices.Collect(maps.Keys(at.Properties)))
}

// causes turns the strategy's errors into causes, in the order of their fields: the server walks maps and has none.
func (v *Version) causes(errs field.ErrorList, content map[string]any) []verdict.Cause {
	slices.SortStableFunc(errs, func(a, b *field.Error) int {
		return cmp.Or(cmp.Compare(a.Field, b.Field), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Detail, b.Detail))
	})
	errs = errs[:min(len(errs), maxCauses)]
	v.texts.redact(errs, content)
	causes := verdict.Causes(errs)
	for i := range causes {
		if causes[i].Field == rootPath {
			causes[i].Field = ""
		}
	}
	return causes
}

// rootPath is how a *field.Path of no element prints.
const rootPath = "<nil>"
