package manifests

import (
	"cmp"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Options bound what a tree may cost, and give the clock. A zero field means its default.
type Options struct {
	MaxFileBytes int64 // one file; default 1 MiB
	MaxTreeBytes int64 // all manifests of a tree together; default 10 MiB
	MaxDocuments int   // documents, and items of Lists, of a tree; default 10,000
	MaxDepth     int   // nesting within one document; default 100

	// Now is the clock by which lint rules look at the coming runs of schedules; default time.Now.
	Now func() time.Time
}

func (o Options) withDefaults() Options {
	return Options{
		MaxFileBytes: cmp.Or(o.MaxFileBytes, 1<<20),
		MaxTreeBytes: cmp.Or(o.MaxTreeBytes, 10<<20),
		MaxDocuments: cmp.Or(o.MaxDocuments, 10_000),
		MaxDepth:     cmp.Or(o.MaxDepth, 100),
		Now:          clock(o.Now),
	}
}

func clock(now func() time.Time) func() time.Time {
	if now == nil {
		return time.Now
	}
	return now
}

// Target is what a tree is loaded for.
type Target struct {
	// Path is the directory of the tree to read, slash-separated. Empty means all of it.
	Path string
	// DefaultNamespace goes to namespaced objects that name none. Empty means "default".
	DefaultNamespace string
	// Scope tells whether the cluster serves a kind, and whether its objects are namespaced. Kinds whose CRD is in the tree are
	// known without it. Nil means that no cluster is asked: built-in kinds are known from the API itself, and custom kinds whose CRD
	// is not in the tree are taken for namespaced ones.
	Scope func(schema.GroupVersionKind) (namespaced, known bool)
}

func (t Target) path() string { return cmp.Or(t.Path, ".") }

func (t Target) namespace() string { return cmp.Or(t.DefaultNamespace, "default") }
