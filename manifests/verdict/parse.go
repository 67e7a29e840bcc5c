package verdict

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	kjson "sigs.k8s.io/json"
)

// builtin holds every type that the server serves by itself, in every version it ever had; nothing adds to it.
var builtin = sync.OnceValue(func() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(s))
	utilruntime.Must(apiextensionsv1.AddToScheme(s))
	utilruntime.Must(apiregistrationv1.AddToScheme(s))
	return s
})

// Parsed is a manifest of a built-in kind that fits its type.
type Parsed struct {
	// Object has the kind's Go type from k8s.io/api (or k8s.io/apiextensions-apiserver, k8s.io/kube-aggregator), with what the
	// manifest says and no defaults. It is for reading.
	Object runtime.Object

	kind linked // without a strategy when none is linked for the kind
	gvk  schema.GroupVersionKind
}

// Parse strictly decodes a manifest as the server does: unknown fields, duplicate fields and values of a wrong type are causes,
// and then there is nothing to judge. It returns false when the kind is not built into Kubernetes.
func Parse(gvk schema.GroupVersionKind, json []byte) (Parsed, []Cause, bool) {
	kind, scheme := kinds()[gvk], builtin()
	if kind.scheme != nil {
		scheme = kind.scheme
	}
	if !scheme.Recognizes(gvk) {
		return Parsed{}, nil, false
	}
	obj, causes := decode(scheme, gvk, json)
	if len(causes) > 0 {
		return Parsed{}, causes, true
	}
	return Parsed{Object: obj, kind: kind, gvk: gvk}, nil, true
}

// Create is the verdict on creating the object in namespace, as of the function Create. Object stays as it is. For a kind that is
// not linked, nothing is known beyond its type, and the verdict is the zero one.
func (p Parsed) Create(namespace string) Verdict {
	if p.kind.strategy == nil {
		return Verdict{}
	}
	return p.kind.apply(p.gvk, namespace, p.Object.DeepCopyObject())
}

// DecodeMetadata strictly decodes only the metadata of an object of any kind.
func DecodeMetadata(json []byte) []Cause {
	var object metav1.PartialObjectMetadata
	causes := strict(&object, json)
	return slices.DeleteFunc(causes, func(c Cause) bool { return !strings.HasPrefix(c.Field, "metadata") })
}

// Builtin reports whether Kubernetes itself defines the kind, in this or an earlier release.
func Builtin(gvk schema.GroupVersionKind) bool { return builtin().Recognizes(gvk) }

// BuiltinGroup reports whether Kubernetes itself defines the API group: nobody else can add kinds to it.
func BuiltinGroup(group string) bool { return builtin().IsGroupRegistered(group) }

// List reports whether the kind is a built-in list of objects, such as v1 ConfigMapList.
func List(gvk schema.GroupVersionKind) bool {
	t, ok := builtin().AllKnownTypes()[gvk]
	if !ok || !strings.HasSuffix(gvk.Kind, "List") {
		return false
	}
	_, ok = t.FieldByName("Items")
	return ok
}

// decode strictly decodes into the scheme's type of that kind.
func decode(scheme *runtime.Scheme, gvk schema.GroupVersionKind, json []byte) (runtime.Object, []Cause) {
	obj, err := scheme.New(gvk)
	if err != nil {
		return nil, []Cause{{Field: "kind", Reason: string(metav1.CauseTypeFieldValueNotSupported), Message: err.Error()}}
	}
	return obj, strict(obj, json)
}

// strict unmarshals as the server's strict serializer does (k8s.io/apimachinery/pkg/runtime/serializer/json), and turns what it
// says into causes. A value of the wrong type hides unknown fields, as it does on the server.
func strict(into any, json []byte) []Cause {
	t := reflect.TypeOf(into).Elem()
	strictErrs, err := kjson.UnmarshalStrict(json, into)
	if err != nil {
		return mismatches(t, json)
	}
	var causes []Cause
	for _, err := range strictErrs {
		causes = append(causes, strictCause(t, err))
	}
	return causes
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
