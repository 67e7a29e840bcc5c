package reconcile

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/http"
	"time"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"kilter.dev/kilter/reconcile/inventory"
)

// requestTimeout bounds every single request that is not a watch.
const requestTimeout = 30 * time.Second

// outliving returns a context that ends a while after its parent has.
func outliving(ctx context.Context, while time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	forget := context.AfterFunc(ctx, func() { time.AfterFunc(while, cancel) })
	return longer, func() {
		forget()
		cancel()
	}
}

// Cluster holds the clients of one API server under one identity. They share one connection.
type Cluster struct {
	host       string
	config     *rest.Config
	protobuf   *rest.Config // what to ask for, and as whom; client knows how to get there
	client     *http.Client
	metadata   metadata.Interface
	dynamic    dynamic.Interface
	kubernetes kubernetes.Interface
	throttle   *throttle // of the server, whoever writes to it
	discovery  discovery.CachedDiscoveryInterface
	mapper     *restmapper.DeferredDiscoveryRESTMapper
}

// Connect returns the clients for config. It sends no request. Client-side rate limits are off: the server's own priority and
// fairness decides.
func Connect(config *rest.Config) (*Cluster, error) { return connect(config, newThrottle()) }

func connect(config *rest.Config, t *throttle) (*Cluster, error) {
	c := &Cluster{host: config.Host, config: config, throttle: t}
	config = rest.CopyConfig(config)
	config.QPS = -1
	config.Wrap(t.watching)
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("cannot set up the connection to %s: %w", config.Host, err)
	}
	protobuf := rest.CopyConfig(config)
	protobuf.ContentType = "application/vnd.kubernetes.protobuf"
	protobuf.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	c.protobuf, c.client = protobuf, client

	if c.metadata, err = metadata.NewForConfigAndClient(config, client); err != nil {
		return nil, err
	}
	if c.dynamic, err = dynamic.NewForConfigAndClient(config, client); err != nil {
		return nil, err
	}
	if c.kubernetes, err = kubernetes.NewForConfigAndClient(protobuf, client); err != nil {
		return nil, err
	}
	disco, err := discovery.NewDiscoveryClientForConfigAndClient(config, client)
	if err != nil {
		return nil, err
	}
	c.discovery = memory.NewMemCacheClient(disco)
	c.mapper = restmapper.NewDeferredDiscoveryRESTMapper(c.discovery)
	return c, nil
}

// As returns the same API server's clients under the identity of a ServiceAccount, by impersonation.
func (c *Cluster) As(namespace, serviceAccount string) (*Cluster, error) {
	config := rest.CopyConfig(c.config)
	config.Impersonate = rest.ImpersonationConfig{UserName: "system:serviceaccount:" + namespace + ":" + serviceAccount}
	return connect(config, c.throttle)
}

// resource is where objects of one kind are reached.
type resource struct {
	gvr        schema.GroupVersionResource
	namespaced bool
}

// resolve finds the resource of a kind; when version is empty, the server's preferred one.
func (c *Cluster) resolve(gk schema.GroupKind, version string) (resource, error) {
	var versions []string
	if version != "" {
		versions = []string{version}
	}
	mapping, err := c.mapper.RESTMapping(gk, versions...)
	if err != nil {
		return resource{}, err
	}
	return resource{gvr: mapping.Resource, namespaced: mapping.Scope.Name() == "namespace"}, nil
}

// scope answers a manifests.Target which kinds the server has. When it could not be asked, err says why, and its answers are worth nothing.
type scope struct {
	cluster *Cluster
	err     error
}

func (c *Cluster) scope() *scope { return &scope{cluster: c} }

func (s *scope) of(gvk schema.GroupVersionKind) (namespaced, known bool) {
	found, err := s.cluster.resolve(gvk.GroupKind(), gvk.Version)
	if err != nil && !meta.IsNoMatchError(err) {
		s.err = newFailure(err, s.cluster.host)
	}
	return found.namespaced, err == nil
}

// object returns the metadata client of one resource in one namespace; an empty namespace means the cluster scope.
func (c *Cluster) object(r resource, namespace string) metadata.ResourceInterface {
	if !r.namespaced {
		return c.metadata.Resource(r.gvr)
	}
	return c.metadata.Resource(r.gvr).Namespace(namespace)
}

// typed returns the client for whole objects of a built-in group and version: Go types, sent in protobuf.
func (c *Cluster) typed(version schema.GroupVersion) (rest.Interface, error) {
	config := rest.CopyConfig(c.protobuf)
	config.GroupVersion, config.APIPath = &version, "/apis"
	if version.Group == "" {
		config.APIPath = "/api"
	}
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	return rest.RESTClientForConfigAndClient(config, c.client)
}

// applyRequest is one server-side apply.
type applyRequest struct {
	target          resource
	namespace, name string
	body            []byte
	manager         string // empty: inventory.FieldManager
	polite          bool   // refused with 409 where another manager owns a field and has another value in it
	subresource     string
}

// apply sends one server-side apply and returns the metadata of what the server stored. It is forced, unless it is polite.
// It runs to its end even when ctx is cancelled, within requestTimeout: an apply that is cut off has an unknown outcome.
func (c *Cluster) apply(ctx context.Context, r applyRequest) (*metav1.PartialObjectMetadata, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
	defer cancel()
	force := !r.polite
	options := metav1.PatchOptions{
		FieldManager: cmp.Or(r.manager, inventory.FieldManager), Force: &force, FieldValidation: metav1.FieldValidationStrict,
	}
	var subresources []string
	if r.subresource != "" {
		subresources = append(subresources, r.subresource)
	}
	return c.object(r.target, r.namespace).Patch(ctx, r.name, types.ApplyPatchType, asYAML(r.body), options, subresources...)
}

// asYAML returns JSON that means the same as YAML, which is what the server takes the body of an apply for. YAML refuses a document with some
// characters that JSON lets stand as they are, and folds a line at another (YAML 1.2, 5.1 and 5.4); all of them can be in strings only.
func asYAML(body []byte) []byte {
	foreign := func(r rune) bool { return r >= 0x7f && r <= 0x9f || r == 0xfeff || r == 0xfffe || r == 0xffff }
	if bytes.IndexFunc(body, foreign) < 0 {
		return body
	}
	escaped := make([]byte, 0, len(body)+16)
	for _, r := range string(body) {
		if foreign(r) {
			escaped = fmt.Appendf(escaped, `\u%04x`, r)
		} else {
			escaped = utf8.AppendRune(escaped, r)
		}
	}
	return escaped
}

// Secret returns the data of one Secret, as it is now.
func (c *Cluster) Secret(ctx context.Context, namespace, name string) (map[string][]byte, error) {
	secret, err := c.kubernetes.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("cannot read Secret %s/%s: %w", namespace, name, newFailure(err, c.host))
	}
	return secret.Data, nil
}
