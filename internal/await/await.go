// Package await waits for the cluster by its events, for the demo and for tests.
package await

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

// Object says which object to wait for. Client is that of its API group and version, Resource its plural.
type Object struct {
	Client    rest.Interface
	Resource  string
	Namespace string
	Name      string
}

// Until returns the object as soon as it exists and is holds. T is the object's Go type: await.Until(ctx, o, func(*batchv1.Job) bool…).
// The error says what was awaited when ctx ends first.
func Until[T any, P interface {
	*T
	runtime.Object
}](ctx context.Context, o Object, is func(P) bool) (P, error) {
	event, err := watchtools.UntilWithSync(ctx, o.listWatch(), P(new(T)), nil, func(event watch.Event) (bool, error) {
		object, ok := event.Object.(P)
		return ok && event.Type != watch.Deleted && is(object), nil
	})
	if err != nil {
		return nil, fmt.Errorf("waiting for %s %s/%s: %w", o.Resource, o.Namespace, o.Name, err)
	}
	return event.Object.(P), nil
}

// Gone returns as soon as the object does not exist. T is the object's Go type.
func Gone[T any, P interface {
	*T
	runtime.Object
}](ctx context.Context, o Object) error {
	absent := func(store cache.Store) (bool, error) { return len(store.List()) == 0, nil }
	_, err := watchtools.UntilWithSync(ctx, o.listWatch(), P(new(T)), absent, func(event watch.Event) (bool, error) {
		return event.Type == watch.Deleted, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for %s %s/%s to be gone: %w", o.Resource, o.Namespace, o.Name, err)
	}
	return nil
}

func (o Object) listWatch() *cache.ListWatch {
	return cache.NewListWatchFromClient(o.Client, o.Resource, o.Namespace, fields.OneTermEqualSelector("metadata.name", o.Name))
}
