package verdict

import (
	"errors"
	"reflect"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	kjson "sigs.k8s.io/json"
)

// builtin holds every type that the server serves by itself, CustomResourceDefinition included; it is never written to.
var builtin = func() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(s))
	utilruntime.Must(apiextensionsv1.AddToScheme(s))
	return s
}()

// Decode strictly decodes the object as the server does: unknown fields, duplicate fields and wrong types are causes. It
// returns false when the kind is not built into Kubernetes.
func Decode(gvk schema.GroupVersionKind, json []byte) ([]Cause, bool) {
	if !builtin.Recognizes(gvk) {
		return nil, false
	}
	_, causes := decode(builtin, gvk, json)
	return causes, true
}

// DecodeMetadata strictly decodes only the metadata of an object of any kind.
func DecodeMetadata(json []byte) []Cause {
	var object metav1.PartialObjectMetadata
	_, causes := strict(&object, json)
	return slices.DeleteFunc(causes, func(c Cause) bool { return !strings.HasPrefix(c.Field, "metadata") })
}

// Builtin reports whether Kubernetes itself defines the kind, in this or an earlier release.
func Builtin(gvk schema.GroupVersionKind) bool { return builtin.Recognizes(gvk) }

// BuiltinGroup reports whether Kubernetes itself defines the API group: nobody else can add kinds to it.
func BuiltinGroup(group string) bool { return builtin.IsGroupRegistered(group) }

// List reports whether the kind is a built-in list of objects, such as v1 ConfigMapList.
func List(gvk schema.GroupVersionKind) bool {
	t, ok := builtin.AllKnownTypes()[gvk]
	if !ok || !strings.HasSuffix(gvk.Kind, "List") {
		return false
	}
	_, ok = t.FieldByName("Items")
	return ok
}

// Removed returns the release that stopped serving a built-in API version, such as "1.22", and what replaces it, or false when it
// is still served. The source is the API's own lifecycle markers.
func Removed(gvk schema.GroupVersionKind) (release string, replacement schema.GroupVersionKind, ok bool) {
	return removed(gvk)
}

// decode strictly decodes into the scheme's type of that kind.
func decode(scheme *runtime.Scheme, gvk schema.GroupVersionKind, json []byte) (runtime.Object, []Cause) {
	obj, err := scheme.New(gvk)
	if err != nil {
		return nil, refusal("kind", metav1.CauseTypeFieldValueNotSupported, err).Causes
	}
	_, causes := strict(obj, json)
	return obj, causes
}

// strict unmarshals as the server's strict serializer does (k8s.io/apimachinery/pkg/runtime/serializer/json), and turns what it
// says into causes. A value of the wrong type hides unknown fields, as it does on the server.
func strict[T any](into T, json []byte) (T, []Cause) {
	strictErrs, err := kjson.UnmarshalStrict(json, into)
	if err != nil {
		return into, mismatches(reflect.TypeOf(into).Elem(), json)
	}
	var causes []Cause
	for _, err := range strictErrs {
		causes = append(causes, strictCause(reflect.TypeOf(into).Elem(), err))
	}
	return into, causes
}

// strictCause names the field of a strict decoding error.
func strictCause(t reflect.Type, err error) Cause {
	fieldErr, ok := errors.AsType[kjson.FieldError](err)
	if !ok {
		return Cause{Reason: string(metav1.CauseTypeFieldValueInvalid), Message: err.Error()}
	}
	path := fieldErr.FieldPath()
	if strings.HasPrefix(err.Error(), "duplicate") {
		return Cause{Field: path, Reason: string(metav1.CauseTypeFieldValueDuplicate), Message: "the field is given twice: remove one"}
	}
	return Cause{Field: path, Reason: ReasonUnknownField, Message: "unknown field" + suggestion(t, path)}
}
