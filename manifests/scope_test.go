package manifests

import (
	"reflect"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
)

// TestClusterScopedIsWhatTheClientSays compares the table with client-go's generated clients, where the accessor of a namespaced
// kind takes a namespace: AppsV1().Deployments("default"), but StorageV1().StorageClasses().
func TestClusterScopedIsWhatTheClientSays(t *testing.T) {
	seen := 0
	for group := range reflect.TypeFor[kubernetes.Interface]().Methods() {
		if group.Name == "Discovery" {
			continue
		}
		for accessor := range group.Type.Out(0).Methods() {
			object, ok := created(accessor.Type)
			if !ok {
				continue
			}
			gvks, _, err := scheme.Scheme.ObjectKinds(object)
			if err != nil {
				t.Fatal(err)
			}
			for _, gvk := range gvks {
				seen++
				wantNamespaced := accessor.Type.NumIn() == 1
				if namespaced, known := offline(gvk); known && namespaced != wantNamespaced {
					t.Errorf("%s: namespaced is %v, client-go says %v", gvk, namespaced, wantNamespaced)
				}
			}
		}
	}
	if seen < 100 {
		t.Errorf("only %d kinds compared: client-go's shape has changed", seen)
	}
}

// created returns an empty object of the kind whose client the accessor gives.
func created(accessor reflect.Type) (runtime.Object, bool) {
	if accessor.NumOut() != 1 || accessor.Out(0).Kind() != reflect.Interface {
		return nil, false
	}
	create, ok := accessor.Out(0).MethodByName("Create")
	if !ok || create.Type.NumOut() == 0 || create.Type.Out(0).Kind() != reflect.Pointer {
		return nil, false
	}
	object, ok := reflect.New(create.Type.Out(0).Elem()).Interface().(runtime.Object)
	return object, ok
}
