package verdict

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/apis/resource"
	"k8s.io/kubernetes/pkg/registry/admissionregistration/resolver"
)

// Some strategies ask the cluster. What is here answers for the most permissive cluster there could be, so that only what no
// cluster accepts is refused.

// resolveNothing knows no resources. The strategies of admission policies want a resolver, and ask it only to check the author's
// permissions, which is not done without an authorizer.
var resolveNothing = resolver.ResourceResolverFunc(func(schema.GroupVersionKind) (schema.GroupVersionResource, error) {
	return schema.GroupVersionResource{}, errors.New("no cluster is asked")
})

// adminNamespaces has every namespace labelled to allow administrative access to devices.
type adminNamespaces struct{ typedcorev1.NamespaceInterface }

func (adminNamespaces) Get(_ context.Context, name string, _ metav1.GetOptions) (*corev1.Namespace, error) {
	return &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{resource.DRAAdminNamespaceLabelKey: "true"}},
	}, nil
}

// withHooks adds what is done to the kinds of the core group outside their strategies.
func withHooks(rows map[string]linked) map[string]linked {
	pods := rows["Pod"]
	pods.beginCreate = defaultAccount
	rows["Pod"] = pods
	rows["Service"] = services()
	return rows
}

// defaultAccount is what the ServiceAccount admission plugin, which no real server runs without, does to a Pod before it is
// validated: a Pod with a projected token is refused without an account.
func defaultAccount(_ context.Context, obj runtime.Object) error {
	pod, ok := obj.(*core.Pod)
	if ok && pod.Spec.ServiceAccountName == "" {
		pod.Spec.ServiceAccountName = "default"
		pod.Spec.DeprecatedServiceAccount = "default" //nolint:staticcheck // the rules want both fields to be the same
	}
	return nil
}
