package verdict

import (
	"context"
	"errors"
	_ "time/tzdata" // spec.timeZone is checked against the zones that the server knows, whatever this machine has

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/capabilities"
)

// Verdict is what the server would answer. The zero Verdict means that it would create the object without a remark.
type Verdict struct {
	Causes   []Cause  // why the object would be refused, in the server's order; empty when it would be created
	Warnings []string // what the server would warn of, in its words; only for objects that it would create
}

// Cause is one reason for a refusal.
type Cause struct {
	Field   string // the server's field path, such as "spec.template.spec.containers[0].image"; empty for the whole object
	Reason  string // a metav1.CauseType, or ReasonUnknownField
	Message string // the server's wording, without values that could be secret
}

// ReasonUnknownField is the reason of a field that the type does not have. The server has no cause type for it: it answers
// "strict decoding error".
const ReasonUnknownField = "UnknownField"

// Create returns the API server's verdict on creating the object that json holds in namespace, or false when no strategy is
// linked for the kind. A manifest that names its own namespace must name the same. Empty namespace means "default".
func Create(gvk schema.GroupVersionKind, namespace string, json []byte) (Verdict, bool) {
	kind, ok := kinds[gvk]
	if !ok {
		return Verdict{}, false
	}
	versioned, causes := decode(legacyscheme.Scheme, gvk, json)
	if len(causes) > 0 {
		return Verdict{Causes: causes}, true
	}
	legacyscheme.Scheme.Default(versioned)
	obj, err := legacyscheme.Scheme.UnsafeConvertToVersion(versioned, runtime.InternalGroupVersioner)
	if err != nil {
		hidden := errors.New("the server cannot convert the object to its internal version") // err may hold values
		return refusal("", metav1.CauseTypeFieldValueInvalid, hidden), true
	}
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	return survive(func() Verdict {
		return create(request(gvk, kind, namespace), kind.strategy, obj, namespace)
	}), true
}

// create follows BeforeCreate in k8s.io/apiserver/pkg/registry/rest/create.go, whose error would hold the causes as text only,
// with the values in it.
func create(ctx context.Context, strategy rest.RESTCreateStrategy, obj runtime.Object, namespace string) Verdict {
	object, err := meta.Accessor(obj)
	if err != nil {
		return refusal("metadata", metav1.CauseTypeFieldValueInvalid, err)
	}
	capabilities.Setup(true, 0) // every distribution runs the server with --allow-privileged; the first call counts, for the process
	warnings := dedupOwners(object)
	rest.FillObjectMetaSystemFields(object)
	if object.GetName() == "" && object.GetGenerateName() != "" {
		object.SetName(strategy.GenerateName(object.GetGenerateName()))
	}
	expected := rest.ExpectedNamespaceForScope(namespace, strategy.NamespaceScoped())
	if err := rest.EnsureObjectNamespaceMatchesRequestNamespace(expected, object); err != nil {
		return refusal("metadata.namespace", metav1.CauseTypeFieldValueInvalid, err)
	}
	strategy.PrepareForCreate(ctx, obj)
	if errs := rest.ValidateCreate(ctx, obj, strategy); len(errs) > 0 {
		return Verdict{Causes: causes(errs)}
	}
	return Verdict{Warnings: append(warnings, strategy.WarningsOnCreate(ctx, obj)...)}
}

// request returns the context of the POST that would create the object: declarative validation reads the API version from it.
// Kubernetes logs where its hand-written and its declarative rules disagree; that log is for its developers and is dropped.
func request(gvk schema.GroupVersionKind, kind linked, namespace string) context.Context {
	ctx := klog.NewContext(context.Background(), logr.Discard())
	ctx = genericapirequest.WithNamespace(ctx, namespace)
	return genericapirequest.WithRequestInfo(ctx, &genericapirequest.RequestInfo{
		IsResourceRequest: true,
		Verb:              "create",
		APIPrefix:         "apis",
		APIGroup:          gvk.Group,
		APIVersion:        gvk.Version,
		Namespace:         namespace,
		Resource:          kind.resource,
	})
}

// refusal is a Verdict with the one cause err.
func refusal(field string, reason metav1.CauseType, err error) Verdict {
	return Verdict{Causes: []Cause{{Field: field, Reason: string(reason), Message: err.Error()}}}
}
