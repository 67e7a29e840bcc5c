package main

import (
	"context"
	"io"
	"log"
	"net"
	"strconv"

	core "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// hostServiceAnnotation on a Service is an address of the host, such as 127.0.0.1:8080, where pods of the real node get by its cluster IP.
const hostServiceAnnotation = "devcluster.kilter.dev/host"

// serveHostServices has every Service with hostServiceAnnotation lead to the host, for as long as it exists and ctx is not done. It knows
// them as the kubelet does.
func (n *podNetwork) serveHostServices(ctx context.Context) {
	config, err := clientcmd.BuildConfigFromFlags("", "/var/lib/kubelet/kubeconfig")
	if err != nil {
		log.Printf("no Service can lead to the host: %v", err)
		return
	}
	led := map[types.UID][]io.Closer{} // used by one goroutine, the informer's
	lead := func(object any) {
		service := object.(*core.Service)
		to := service.Annotations[hostServiceAnnotation]
		if to == "" || led[service.UID] != nil {
			return
		}
		for _, port := range service.Spec.Ports {
			listener, err := n.lead(net.JoinHostPort(service.Spec.ClusterIP, strconv.Itoa(int(port.Port))), to)
			if err != nil {
				log.Printf("Service %s/%s cannot lead to %s: %v", service.Namespace, service.Name, to, err)
				continue
			}
			led[service.UID] = append(led[service.UID], listener)
		}
	}
	services := kubernetes.NewForConfigOrDie(config).CoreV1().RESTClient()
	_, informer := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: cache.NewListWatchFromClient(services, "services", metav1.NamespaceAll, fields.Everything()),
		ObjectType:    &core.Service{},
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc:    lead,
			UpdateFunc: func(_, now any) { lead(now) },
			DeleteFunc: func(object any) {
				if lost, ok := object.(cache.DeletedFinalStateUnknown); ok {
					object = lost.Obj
				}
				service := object.(*core.Service)
				for _, listener := range led[service.UID] {
					_ = listener.Close()
				}
				delete(led, service.UID)
			},
		},
	})
	informer.RunWithContext(ctx)
}
