package kustomize

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/konfig"
)

// Options bound what one build may cost, and say how files are read.
type Options struct {
	MaxFileBytes int64 // one file
	MaxBytes     int64 // all files of a build
	MaxObjects   int   // all objects of a build, each counted as often as it is read

	// Strict reads YAML or JSON as manifests are read, and reports what has no place in one. Lines and columns are the Text's.
	Strict func(Text) ([]Document, []Problem)
}

// Plan is a kustomization with all that it reads, ready to be built unless a Problem is an error.
type Plan struct {
	File      string   // the kustomization file
	Component bool     // a part by its kind: not to be built alone
	Uses      []string // directories of the other kustomizations that it reads, sorted
	Reads     Reads
	Problems  []Problem // each once, however often its file is read
	Bytes     int64     // of all files read

	dir     string
	memory  map[string][]byte // what kustomize is given, by name
	sources []*Source         // by mark
	patches []patch           // in the order in which they are applied
	kusts   []*kustomization  // bases first
}

// Source is where an object of a kustomization is written.
type Source struct {
	Place
	node       *yaml.Node // the object; nil for a generated one, whose Place is the generator's
	kind, name string     // before anything was patched

	items, size int            // of all lists in it, and of the whole, about
	values      map[string]int // of a generated object: the length of each value that is known by its key
}

// Failed reports whether a Problem is an error: then the kustomization is not built.
func (p *Plan) Failed() bool {
	return slices.ContainsFunc(p.Problems, func(p Problem) bool { return !p.Warning })
}

// IsKustomization reports whether a file is a kustomization by its name.
func IsKustomization(name string) bool {
	return slices.Contains(konfig.RecognizedKustomizationFileNames(), name)
}

// Scan reads the kustomization in a directory, and everything that it names. What is wrong with it is in the Plan's Problems; the
// error says that the tree could not be read, or that the context has ended.
func Scan(ctx context.Context, tree fs.FS, dir string, o Options) (*Plan, error) {
	s := &scan{
		options: o,
		files:   files{ctx: ctx, tree: tree, limit: o.MaxFileBytes, reads: Reads{}, kinds: map[string]kind{".": directory}},
		plan:    &Plan{dir: dir, memory: map[string][]byte{}},
		known:   map[string]*kustomization{},
		objects: map[string]cost{},
	}
	root, err := s.kustomization(dir, nil)
	switch {
	case errors.Is(err, errTooMuch): // reported where it was noticed
	case err != nil:
		return nil, err
	case root != nil:
		s.plan.Component = root.component()
	}
	for used := range s.known {
		if used != dir {
			s.plan.Uses = append(s.plan.Uses, used)
		}
	}
	slices.Sort(s.plan.Uses)
	s.plan.Reads, s.plan.Bytes = s.files.reads, s.files.bytes
	return s.plan, nil
}

// scan is one walk over a kustomization and its bases.
type scan struct {
	options Options
	files   files
	plan    *Plan
	known   map[string]*kustomization // by directory; nil for one that could not be read
	stack   []string                  // directories of the kustomizations that are being read, the outermost first
	objects map[string]cost           // of each file of objects
}

// errTooMuch ends a scan whose kustomization would cost too much.
var errTooMuch = errors.New("costs too much")

// at returns the place of a node of a kustomization file.
func (k *kustomization) at(node *yaml.Node) Place {
	if node == nil {
		return Place{File: k.file}
	}
	return Place{File: k.file, Document: k.document, Line: node.Line, Column: node.Column}
}

// entry is a field of a kustomization file.
type entry struct {
	k     *kustomization
	node  *yaml.Node // where to point: the key, or the item of a list
	value *yaml.Node // nil when there is none
	field string     // its path; empty for the whole file
}

// entry returns the place of a field, such as ("patches", 2, "path"), or of its nearest parent.
func (k *kustomization) entry(elements ...any) entry {
	return entry{k: k, node: k.root, value: k.root}.to(elements...)
}

// to goes further down.
func (e entry) to(elements ...any) entry {
	for _, element := range elements {
		switch element := element.(type) {
		case string:
			key, value := child(e.value, element)
			e.node, e.value = cmp.Or(key, e.node), value
			e.field = strings.TrimPrefix(e.field+"."+element, ".")
		case int:
			e.field = fmt.Sprintf("%s[%d]", e.field, element)
			if e.value == nil || e.value.Kind != yaml.SequenceNode || element >= len(e.value.Content) {
				e.value = nil
				continue
			}
			e.value = e.value.Content[element]
			e.node = e.value
		}
	}
	return e
}

func (s *scan) problem(p Problem) {
	const most = 1000
	if len(s.plan.Problems) < most && !slices.Contains(s.plan.Problems, p) {
		s.plan.Problems = append(s.plan.Problems, p)
	}
}

// fail reports an entry that is an error.
func (s *scan) fail(e entry, reason, format string, args ...any) {
	s.problem(Problem{Place: e.k.at(e.node), Field: e.field, Reason: reason, Message: fmt.Sprintf(format, args...)})
}

// local finds out what a path leads to. It reports what is remote, absolute or outside of the tree, and a link.
func (s *scan) local(e entry, name string) (clean string, is kind, err error) {
	clean = path.Join(e.k.dir, name)
	switch {
	case name == "":
		s.fail(e, ReasonBuild, "empty: name a file or directory, or remove the entry")
	case remote(name):
		s.fail(e, ReasonRefused, "%s is remote, and nothing is fetched during a build: commit a copy to this repository and name that",
			printable(name))
	case path.IsAbs(name):
		s.fail(e, ReasonRefused, "%s is absolute: write it relative to %s", printable(name), e.k.dir)
	case clean == ".." || strings.HasPrefix(clean, "../"):
		s.fail(e, ReasonRefused, "%s leads out of the repository: move it inside", printable(name))
	case !fs.ValidPath(clean):
		s.fail(e, ReasonRefused, "%s is no valid path", printable(name))
	default:
		if is, err = s.files.stat(clean); is == refused {
			s.fail(e, ReasonRefused, "%s is a link, a submodule or oddly named, and is not followed: commit a plain file or directory in its place",
				printable(name))
		}
		return clean, is, err
	}
	return "", refused, nil
}

// file reads a file that a kustomization names and that must lie in or below its directory. It returns false after a Problem.
func (s *scan) file(e entry, name string) (clean string, data []byte, ok bool, err error) {
	clean, is, err := s.local(e, name)
	switch {
	case err != nil || is == refused:
		return "", nil, false, err
	case is == absent:
		s.fail(e, ReasonBuild, "%s does not exist: correct the path, or add the file", printable(name))
		return "", nil, false, nil
	case is == directory:
		s.fail(e, ReasonBuild, "%s is a directory, and a file is wanted here", printable(name))
		return "", nil, false, nil
	case !within(clean, e.k.dir):
		s.fail(e, ReasonRefused, "%s is outside of %s, and a kustomization reads files only in and below its own directory: "+
			"move the file, or put it into a base", printable(name), e.k.dir)
		return "", nil, false, nil
	}
	data, err = s.read(e, clean)
	return clean, data, data != nil, err
}

// read returns a file's content, or nil after a Problem.
func (s *scan) read(e entry, name string) ([]byte, error) {
	data, err := s.files.read(name)
	switch {
	case err != nil:
		return nil, err
	case int64(len(data)) > s.options.MaxFileBytes:
		s.problem(Problem{
			Place: Place{File: name}, Reason: ReasonLimit,
			Message: fmt.Sprintf("larger than %d bytes: split it, or raise the limit", s.options.MaxFileBytes),
		})
		return nil, nil
	case s.files.bytes > s.options.MaxBytes:
		s.fail(e, ReasonLimit, "the files of this build are larger than %d bytes together: split it, or raise the limit", s.options.MaxBytes)
		return nil, errTooMuch
	}
	if data == nil {
		data = []byte{}
	}
	return data, nil
}

// strict reads a file as YAML or JSON. It returns false when something is wrong with it, which is reported.
func (s *scan) strict(t Text) ([]Document, bool) {
	documents, problems := s.options.Strict(t)
	ok := true
	for _, p := range problems {
		s.problem(p)
		ok = ok && p.Warning
	}
	return documents, ok
}

// inline reads YAML or JSON that stands in a scalar of a kustomization file, and moves all places to where they are in the file.
func (s *scan) inline(e entry, scalar *yaml.Node) ([]Document, bool) {
	if scalar == nil || scalar.Kind != yaml.ScalarNode {
		return nil, false
	}
	move := e.k.mover(scalar)
	documents, problems := s.options.Strict(Text{File: e.k.file, Data: []byte(scalar.Value)})
	ok := true
	for _, p := range problems {
		p.Document = e.k.document
		p.Line, p.Column = move(p.Line, p.Column)
		s.problem(p)
		ok = ok && p.Warning
	}
	for i := range documents {
		documents[i].Index = e.k.document
		moveNode(documents[i].Node, move)
	}
	return documents, ok
}

// mover tells where a place within a scalar is in the file. A literal block is followed line by line; anything else is one place.
func (k *kustomization) mover(scalar *yaml.Node) func(line, column int) (int, int) {
	if scalar.Style&yaml.LiteralStyle == 0 {
		return func(int, int) (int, int) { return scalar.Line, scalar.Column }
	}
	indent := 0
	for i, line := range strings.Split(scalar.Value, "\n") {
		if at := scalar.Line + i; line != "" && at < len(k.lines) {
			if raw := strings.TrimSuffix(k.lines[at], "\r"); strings.HasSuffix(raw, line) {
				indent = len(raw) - len(line)
			}
			break
		}
	}
	return func(line, column int) (int, int) {
		if column > 0 {
			column += indent
		}
		return scalar.Line + max(line, 1), column
	}
}

func moveNode(node *yaml.Node, move func(line, column int) (int, int)) {
	if node == nil {
		return
	}
	node.Line, node.Column = move(node.Line, node.Column)
	for _, c := range node.Content {
		moveNode(c, move)
	}
}
