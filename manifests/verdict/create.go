package verdict

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/warning"
	"k8s.io/klog/v2"
)

// Verdict is what the server would answer. The zero Verdict means that it would do as asked without a remark.
type Verdict struct {
	Causes   []Cause  // why the object would be refused, in the server's order; empty when it would be accepted
	Warnings []string // what the server would warn of, in its words; only for objects that it would accept
}

// Cause is one reason for a refusal.
type Cause struct {
	Field   string // the server's field path, such as "spec.template.spec.containers[0].image"; empty for the whole object
	Reason  string // a metav1.CauseType, or ReasonUnknownField
	Message string // the server's wording, without values that could be secret
	Apply   bool   // only server-side apply refuses this; a POST would pass
}

// ReasonUnknownField is the reason of a field that the type does not have. The server has no cause type for it: it answers
// "strict decoding error".
const ReasonUnknownField = "UnknownField"

// Create returns the API server's verdict on creating the object that json holds in namespace by server-side apply, or false when
// no strategy is linked for the kind. A manifest that names its own namespace must name the same. Empty namespace means
// "default"; kinds that live in no namespace ignore it.
func Create(gvk schema.GroupVersionKind, namespace string, json []byte) (Verdict, bool) {
	kind, ok := kinds()[gvk]
	if !ok {
		return Verdict{}, false
	}
	obj, causes := decode(kind.scheme, gvk, json)
	if len(causes) > 0 {
		return Verdict{Causes: causes}, true
	}
	return kind.apply(gvk, namespace, obj), true
}

// apply judges a decoded object as a create by server-side apply. The object is changed.
func (k linked) apply(gvk schema.GroupVersionKind, namespace string, versioned runtime.Object) Verdict {
	unmerged := unmergeable(gvk, versioned) // before anything is changed
	v := k.post(gvk, namespace, versioned)
	for _, cause := range unmerged {
		if !v.says(cause) {
			v.Causes, v.Warnings = append(v.Causes, cause), nil
		}
	}
	return v
}

// post judges a decoded object as a create by POST. The object is changed.
func (k linked) post(gvk schema.GroupVersionKind, namespace string, versioned runtime.Object) (v Verdict) {
	defer recovered(&v)
	obj, err := k.internal(versioned)
	if err != nil {
		return unconvertible()
	}
	return k.create(k.request(gvk, "create", namespace), obj)
}

// says reports whether the rules themselves call the same list entry a duplicate.
func (v Verdict) says(duplicate Cause) bool {
	return slices.ContainsFunc(v.Causes, func(c Cause) bool {
		rest, within := strings.CutPrefix(c.Field, duplicate.Field)
		return c.Reason == duplicate.Reason && within && (rest == "" || rest[0] == '.')
	})
}

// internal applies the defaults and converts to the type that the strategies know.
func (k linked) internal(versioned runtime.Object) (runtime.Object, error) {
	k.scheme.Default(versioned)
	return k.scheme.UnsafeConvertToVersion(versioned, runtime.InternalGroupVersioner)
}

// unconvertible is the verdict on an object that has no internal form. The error of the conversion may hold values.
func unconvertible() Verdict {
	return refusal("", metav1.CauseTypeFieldValueInvalid, errors.New("the server cannot convert the object to its internal version"))
}

// create follows Create in k8s.io/apiserver/pkg/registry/generic/registry/store.go and BeforeCreate in
// k8s.io/apiserver/pkg/registry/rest/create.go, whose error would hold the causes as text only, with the values in it.
func (k linked) create(ctx context.Context, obj runtime.Object) Verdict {
	object, err := meta.Accessor(obj)
	if err != nil {
		return refusal("metadata", metav1.CauseTypeFieldValueInvalid, err)
	}
	rest.WipeObjectMetaSystemFields(object)
	rest.FillObjectMetaSystemFields(object)
	object.SetManagedFields(nil) // the server writes them
	if object.GetName() == "" && object.GetGenerateName() != "" {
		object.SetName(k.strategy.GenerateName(object.GetGenerateName()))
	}
	if k.beginCreate != nil {
		if err := k.beginCreate(ctx, obj); err != nil {
			return refusedByStore(err)
		}
	}
	if err := rest.EnsureObjectNamespaceMatchesRequestNamespace(genericapirequest.NamespaceValue(ctx), object); err != nil {
		return refusal("metadata.namespace", metav1.CauseTypeFieldValueInvalid, err)
	}
	ctx, heard := k.listen(ctx)
	dedupOwners(ctx, object)
	k.strategy.PrepareForCreate(ctx, obj)
	if errs := rest.ValidateCreate(ctx, obj, k.strategy); len(errs) > 0 {
		return Verdict{Causes: causes(errs)}
	}
	return heard.verdict(k.strategy.WarningsOnCreate(ctx, obj))
}

// remarks collects warnings as the server does: each once, in the order in which they come up. Strategies return most, and record
// some in the request's context.
type remarks []string

// AddWarning makes remarks a warning.Recorder of k8s.io/apiserver.
func (r *remarks) AddWarning(_, text string) {
	if !slices.Contains(*r, text) {
		*r = append(*r, text)
	}
}

// listen returns the context for a request whose warnings it collects, beginning with what is said of the API version.
func (k linked) listen(ctx context.Context) (context.Context, *remarks) {
	r := &remarks{}
	if k.outdated != "" {
		r.AddWarning("", k.outdated)
	}
	return warning.WithWarningRecorder(ctx, r), r
}

// verdict adds what the strategy returned.
func (r *remarks) verdict(ofStrategy []string) Verdict {
	for _, text := range ofStrategy {
		r.AddWarning("", text)
	}
	return Verdict{Warnings: *r}
}

// recovered gives the verdict of a server whose own rules panic on an object: it drops the request.
func recovered(v *Verdict) {
	if r := recover(); r != nil {
		*v = refusal("", metav1.CauseTypeInternal, errors.New("the server's own rules fail on this object, and so does the request: "+
			"correct what is unusual about it")) // r may hold values
	}
}

// request returns the context of the request: declarative validation reads the API version from it, and some strategies their
// defaults for older versions. Kubernetes logs where its hand-written and its declarative rules disagree; that log is for its
// developers and is dropped.
func (k linked) request(gvk schema.GroupVersionKind, verb, namespace string) context.Context {
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	namespace = rest.ExpectedNamespaceForScope(namespace, k.strategy.NamespaceScoped())
	ctx := klog.NewContext(context.Background(), logr.Discard())
	ctx = genericapirequest.WithNamespace(ctx, namespace)
	resource, _ := meta.UnsafeGuessKindToResource(gvk)
	return genericapirequest.WithRequestInfo(ctx, &genericapirequest.RequestInfo{
		IsResourceRequest: true,
		Verb:              verb,
		APIPrefix:         "apis",
		APIGroup:          gvk.Group,
		APIVersion:        gvk.Version,
		Namespace:         namespace,
		Resource:          resource.Resource,
	})
}

// refusedByStore is the verdict where the store of a kind refuses before the strategy is asked: only that of Services, whose
// values are addresses and ports.
func refusedByStore(err error) Verdict {
	status, ok := errors.AsType[*apierrors.StatusError](err)
	if !ok || status.ErrStatus.Details == nil || len(status.ErrStatus.Details.Causes) == 0 {
		return refusal("", metav1.CauseTypeFieldValueInvalid, err)
	}
	var v Verdict
	for _, cause := range status.ErrStatus.Details.Causes {
		v.Causes = append(v.Causes, Cause{Field: cause.Field, Reason: string(cause.Type), Message: cause.Message})
	}
	return v
}

// refusal is a Verdict with the one cause err.
func refusal(field string, reason metav1.CauseType, err error) Verdict {
	return Verdict{Causes: []Cause{{Field: field, Reason: string(reason), Message: err.Error()}}}
}
