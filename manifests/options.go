package manifests

import (
	"cmp"
	"path"
	"slices"
	"strings"
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
	// Paths are the directories and files of the tree to read, slash-separated; none means all of it. A file is read whatever
	// its name, even when a .kilterignore lists it. What several paths lead to is read once.
	Paths []string
	// DefaultNamespace goes to namespaced objects that name none. Empty means "default".
	DefaultNamespace string
	// Scope tells whether the cluster serves a kind, and whether its objects are namespaced. Kinds whose CRD is in the tree are
	// known without it. Nil means that no cluster is asked: built-in kinds are known from the API itself, and custom kinds
	// whose CRD is not in the tree are taken for namespaced ones.
	Scope func(schema.GroupVersionKind) (namespaced, known bool)
	// Name tells what people call a file of the tree. Messages that name another file use it; Origins keep the tree's own
	// names. Nil means that the tree's names are theirs.
	Name func(file string) string
}

// paths returns what to read, each directory before what is below it.
func (t Target) paths() []string {
	if len(t.Paths) == 0 {
		return []string{"."}
	}
	paths := slices.Clone(t.Paths)
	for i, name := range paths {
		paths[i] = path.Clean(name)
	}
	slices.SortFunc(paths, func(a, b string) int { return cmp.Or(depth(a)-depth(b), cmp.Compare(a, b)) })
	return slices.Compact(paths)
}

// depth returns how many elements a clean path has.
func depth(name string) int {
	if name == "." {
		return 0
	}
	return 1 + strings.Count(name, "/")
}

// origin returns a place with its file called as people call it.
func (t Target) origin(at Origin) Origin {
	at.File = t.called(at.File)
	return at
}

// called returns a file's name as people call it, for messages that name another file.
func (t Target) called(file string) string {
	if t.Name == nil {
		return file
	}
	return t.Name(file)
}

func (t Target) namespace() string { return cmp.Or(t.DefaultNamespace, "default") }
