package verdict

import (
	"context"
	"fmt"
	"net"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/generic"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/registry/core/service"
	"k8s.io/kubernetes/pkg/registry/core/service/ipallocator"
	"k8s.io/kubernetes/pkg/registry/core/service/portallocator"
	servicestorage "k8s.io/kubernetes/pkg/registry/core/service/storage"
)

// services is the row of Service, whose store settles the fields that depend on each other (cluster IPs, IP families, node
// ports) before the strategy sees the object, and refuses where they contradict each other. It is the store that kube-apiserver
// builds, for a cluster of both IP families, without a storage and with addresses and ports of which all are free.
func services() linked {
	allocated := &ports{taken: map[int]bool{}}
	var decorator generic.StorageDecorator = noStorage
	store, _, _, err := servicestorage.NewREST(
		generic.RESTOptions{StorageConfig: &storagebackend.ConfigForResource{}, Decorator: decorator, ResourcePrefix: "services"},
		core.IPv4Protocol,
		map[core.IPFamily]ipallocator.Interface{
			core.IPv4Protocol: addresses{family: core.IPv4Protocol, next: net.IPv4(192, 0, 2, 1)},
			core.IPv6Protocol: addresses{family: core.IPv6Protocol, next: net.ParseIP("2001:db8::1")},
		},
		allocated, nil, nil, nil)
	if err != nil {
		panic(fmt.Sprintf("the store of Services cannot be built: %v", err)) // its arguments are constants
	}
	// Each Service allocates in an empty cluster: what it took is released when its fields are settled. A dry run would not do: it
	// invents ports that clash with those that the same Service asks for.
	var alone sync.Mutex
	settle := func(ctx context.Context, begin func() (genericregistry.FinishFunc, error)) error {
		alone.Lock()
		defer alone.Unlock()
		finish, err := begin()
		if err == nil {
			finish(ctx, false)
		}
		return err
	}
	return linked{
		scheme:   legacyscheme.Scheme,
		strategy: service.Strategy,
		beginCreate: func(ctx context.Context, obj runtime.Object) error {
			return settle(ctx, func() (genericregistry.FinishFunc, error) {
				return store.BeginCreate(ctx, obj, &metav1.CreateOptions{})
			})
		},
		beginUpdate: func(ctx context.Context, obj, old runtime.Object) error {
			return settle(ctx, func() (genericregistry.FinishFunc, error) {
				return store.BeginUpdate(ctx, obj, old, &metav1.UpdateOptions{})
			})
		},
	}
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

// ports are the node ports that one Service has taken: any other can be had, whatever the cluster's range.
type ports struct{ taken map[int]bool }

func (p *ports) Allocate(port int) error {
	if p.taken[port] {
		return portallocator.ErrAllocated
	}
	p.taken[port] = true
	return nil
}

// AllocateNext takes the lowest free port: far from those that Services ask for.
func (p *ports) AllocateNext() (int, error) {
	port := 1
	for p.taken[port] {
		port++
	}
	return port, p.Allocate(port)
}

func (p *ports) Release(port int) error {
	delete(p.taken, port)
	return nil
}

func (p *ports) ForEach(func(int)) {}
func (p *ports) Has(port int) bool { return p.taken[port] }
func (p *ports) Destroy()          {}
func (p *ports) EnableMetrics()    {}
