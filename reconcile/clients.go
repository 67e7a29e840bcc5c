package reconcile

import (
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/restmapper"
)

// Dynamic returns the client for whole objects of any kind, for those who read or write what the loop does not.
func (c *Cluster) Dynamic() dynamic.Interface { return c.dynamic }

// Kubernetes returns the client for Kubernetes' own kinds.
func (c *Cluster) Kubernetes() kubernetes.Interface { return c.kubernetes }

// Metadata returns the client for the metadata of objects of any kind.
func (c *Cluster) Metadata() metadata.Interface { return c.metadata }

// Kinds returns what tells kinds and resources of this server apart. It knows what people write: "po", "pods" and "Pod" are one.
func (c *Cluster) Kinds() meta.RESTMapper {
	return restmapper.NewShortcutExpander(c.mapper, c.discovery, nil)
}

// Explain returns what the server's answer, or its silence, means for people; see Failure. It returns nil for nil.
func (c *Cluster) Explain(err error) *Failure {
	if err == nil {
		return nil
	}
	return newFailure(err, c.host)
}
