package verdict

import (
	"context"
	"errors"
	"fmt"
	"net"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/apis/resource"
	"k8s.io/kubernetes/pkg/registry/admissionregistration/resolver"
	"k8s.io/kubernetes/pkg/registry/core/service"
	"k8s.io/kubernetes/pkg/registry/core/service/ipallocator"
	"k8s.io/kubernetes/pkg/registry/core/service/portallocator"
	servicestorage "k8s.io/kubernetes/pkg/registry/core/service/storage"
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

// withService adds Service, whose store settles the fields that depend on each other (cluster IPs, IP families, node ports)
// before the strategy sees the object, and refuses where they contradict each other. It is the store that kube-apiserver builds,
// without a storage and with addresses and ports of which all are free.
func withService(rows map[string]linked) map[string]linked {
	var decorator generic.StorageDecorator = noStorage
	store, _, _, err := servicestorage.NewREST(
		generic.RESTOptions{StorageConfig: &storagebackend.ConfigForResource{}, Decorator: decorator, ResourcePrefix: "services"},
		core.IPv4Protocol,
		map[core.IPFamily]ipallocator.Interface{
			core.IPv4Protocol: addresses{family: core.IPv4Protocol, next: net.IPv4(192, 0, 2, 1)},
			core.IPv6Protocol: addresses{family: core.IPv6Protocol, next: net.ParseIP("2001:db8::1")},
		},
		ports{}, nil, nil, nil)
	if err != nil {
		panic(fmt.Sprintf("the store of Services cannot be built: %v", err)) // its arguments are constants
	}
	rows["Service"] = linked{
		scheme: legacyscheme.Scheme, strategy: service.Strategy,
		beginCreate: store.BeginCreate, beginUpdate: store.BeginUpdate,
	}
	return rows
}

// noStorage stands where etcd would be, whatever the arguments: nothing is ever stored.
func noStorage[C, P, K, N, L, A, T, I any](C, P, K, N, L, A, T, I) (storage.Interface, factory.DestroyFunc, error) {
	return nil, func() {}, nil
}

// addresses are cluster IPs of one family: any can be had, whatever the cluster's range.
type addresses struct {
	family core.IPFamily
	next   net.IP
}

func (addresses) Allocate(net.IP) error           { return nil }
func (a addresses) AllocateNext() (net.IP, error) { return a.next, nil }
func (addresses) Release(net.IP) error            { return nil }
func (addresses) ForEach(func(net.IP))            {}
func (addresses) CIDR() net.IPNet                 { return net.IPNet{} }
func (a addresses) IPFamily() core.IPFamily       { return a.family }
func (addresses) Has(net.IP) bool                 { return false }
func (addresses) Destroy()                        {}
func (addresses) EnableMetrics()                  {}
func (a addresses) DryRun() ipallocator.Interface { return a }

// ports are node ports: any can be had, whatever the cluster's range.
type ports struct{}

var _ portallocator.Interface = ports{}

func (ports) Allocate(int) error         { return nil }
func (ports) AllocateNext() (int, error) { return 30000, nil }
func (ports) Release(int) error          { return nil }
func (ports) ForEach(func(int))          {}
func (ports) Has(int) bool               { return false }
func (ports) Destroy()                   {}
func (ports) EnableMetrics()             {}
