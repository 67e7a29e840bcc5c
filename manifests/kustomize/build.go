package kustomize

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"path"
	"slices"
	"sync"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/kyaml/openapi"
)

// Built is one object that a build made.
type Built struct {
	JSON   []byte
	Source *Source // nil when a patch removed all that told where the object came from
}

// Build makes the objects of a Plan that has not failed. It is not interrupted once it has begun; Scan has bounded what it can take.
// The error says that the context has ended.
func (p *Plan) Build(ctx context.Context) ([]Built, []Problem, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	objects, err := p.run()
	if err != nil {
		return nil, []Problem{p.explain(err)}, nil
	}
	return objects, nil, nil
}

// building is held while kustomize runs: its schema of Kubernetes' types and the places it prints to are variables of the process.
var building sync.Mutex

// run is the one place where kustomize runs.
func (p *Plan) run() (objects []Built, err error) {
	building.Lock()
	defer building.Unlock()
	defer quiet()()
	defer func() {
		if failure := recover(); failure != nil {
			objects, err = nil, fmt.Errorf("panic: %v", failure)
		}
	}()
	if slices.ContainsFunc(p.kusts, func(k *kustomization) bool { return k.spec.OpenAPI != nil }) {
		defer openapi.ResetOpenAPI() // or the next build would use this one's schema
	}
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(newMemory(p.memory), path.Join("/", p.dir))
	if err != nil {
		return nil, err
	}
	return p.objects(built)
}

// objects takes the objects out of kustomize's hands.
func (p *Plan) objects(built resmap.ResMap) ([]Built, error) {
	objects := make([]Built, 0, built.Size())
	for _, resource := range built.Resources() {
		data, err := resource.MarshalJSON()
		if err != nil {
			return nil, err
		}
		clean, mark, err := unmarked(data)
		if err != nil {
			return nil, err
		}
		object := Built{JSON: clean}
		if mark >= 0 && mark < len(p.sources) {
			object.Source = p.sources[mark]
		}
		objects = append(objects, object)
	}
	return objects, nil
}

// quiet keeps kustomize from printing, and returns what undoes that. Kustomize writes notices and warnings to os.Stderr and to the
// standard logger, wherever it runs; the notices that matter are Problems here.
func quiet() (undo func()) {
	stderr, logs := os.Stderr, log.Writer()
	os.Stderr = nil // writing to it fails, and kustomize does not care
	log.SetOutput(io.Discard)
	return func() {
		os.Stderr = stderr
		log.SetOutput(logs)
	}
}

// Release gives up what only Build and Trace need. What is left tells whether the tree has changed.
func (p *Plan) Release() { p.memory, p.sources, p.patches, p.kusts = nil, nil, nil, nil }

// Released reports whether the Plan can no longer be built.
func (p *Plan) Released() bool { return p.memory == nil }
