package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// sight is what a watcher sees of the work in one namespace. What it waits for has happened when its event has arrived: for everybody who is
// measured the same.
type sight struct {
	stop context.CancelFunc
	runs sync.WaitGroup

	mu      sync.Mutex
	objects map[string]seen // by object.key
	waiting []*expectation
}

// seen is what was seen of one object.
type seen struct {
	value string // of a ConfigMap
}

// expectation is something that will be seen.
type expectation struct {
	what     string
	is       func(map[string]seen) bool
	happened chan time.Time // receives when it was seen, once
}

// look begins to watch a namespace, and returns when everything that is there has been seen.
func look(ctx context.Context, config *rest.Config, namespace string) (*sight, error) {
	s := &sight{objects: map[string]seen{}}
	ctx, s.stop = context.WithCancel(ctx)
	typed, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	partial, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	ours := func(o *metav1.ListOptions) { o.LabelSelector = workLabel + "=" + workValue }
	var synced []cache.InformerSynced
	for kind, resource := range kinds {
		informer := metadatainformer.NewFilteredMetadataInformer(partial, resource, namespace, 0, cache.Indexers{}, ours).Informer()
		if kind == "ConfigMap" {
			informer = v1.NewFilteredConfigMapInformer(typed, namespace, 0, cache.Indexers{}, ours)
		}
		if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    func(o any) { s.saw(kind, o, false) },
			UpdateFunc: func(_, o any) { s.saw(kind, o, false) },
			DeleteFunc: func(o any) { s.saw(kind, o, true) },
		}); err != nil {
			return nil, err
		}
		s.runs.Go(func() { informer.RunWithContext(ctx) })
		synced = append(synced, informer.HasSynced)
	}
	if !cache.WaitForCacheSync(ctx.Done(), synced...) {
		s.close()
		return nil, fmt.Errorf("cannot watch namespace %s: %w", namespace, ctx.Err())
	}
	return s, nil
}

func (s *sight) close() {
	s.stop()
	s.runs.Wait()
}

// saw takes over one event.
func (s *sight) saw(kind string, event any, gone bool) {
	now := time.Now()
	if last, ok := event.(cache.DeletedFinalStateUnknown); ok {
		event = last.Obj
	}
	m, ok := event.(metav1.Object)
	if !ok {
		return
	}
	var found seen
	if c, ok := event.(*corev1.ConfigMap); ok {
		found.value = c.Data["value"]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if key := kind + "/" + m.GetName(); gone {
		delete(s.objects, key)
	} else {
		s.objects[key] = found
	}
	s.waiting = slices.DeleteFunc(s.waiting, func(e *expectation) bool {
		if !e.is(s.objects) {
			return false
		}
		e.happened <- now
		return true
	})
}

// expect begins to wait for something to be seen; is must be quick, and is called for every event. It is called before what brings it about.
func (s *sight) expect(what string, is func(map[string]seen) bool) *expectation {
	e := &expectation{what: what, is: is, happened: make(chan time.Time, 1)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if is(s.objects) {
		e.happened <- time.Now()
	} else {
		s.waiting = append(s.waiting, e)
	}
	return e
}

// expectCount waits for a number of objects.
func (s *sight) expectCount(n int) *expectation {
	return s.expect(fmt.Sprintf("%d objects", n), func(objects map[string]seen) bool { return len(objects) == n })
}

// expectValues waits until each of some ConfigMaps has a value.
func (s *sight) expectValues(some []object, value string) *expectation {
	return s.expect(fmt.Sprintf("value %q in %d objects", value, len(some)), func(objects map[string]seen) bool {
		return !slices.ContainsFunc(some, func(o object) bool { return objects[o.key()].value != value })
	})
}

// expectRepaired waits until each of some ConfigMaps has not had a value, or has not existed, and then has it again.
func (s *sight) expectRepaired(some []object, value string) *expectation {
	disturbed := map[string]bool{}
	return s.expect(fmt.Sprintf("value %q again in %d objects", value, len(some)), func(objects map[string]seen) bool {
		repaired := 0
		for _, o := range some {
			right := objects[o.key()].value == value
			if !right {
				disturbed[o.key()] = true
			} else if disturbed[o.key()] {
				repaired++
			}
		}
		return repaired == len(some)
	})
}

// wait returns when it was seen.
func (e *expectation) wait(ctx context.Context) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case at := <-e.happened:
		return at, nil
	case <-ctx.Done():
		return time.Time{}, fmt.Errorf("did not see %s: %w", e.what, ctx.Err())
	}
}

// patience bounds every wait.
const patience = 10 * time.Minute
