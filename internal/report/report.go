// Package report renders the problems of a tree of manifests for people, scripts, pull requests and code scanning: Text, JSON,
// GitHub and SARIF.
//
// A Report is one value; each format is a function of it and an io.Writer, and the same Report gives the same bytes. No format
// prints what a manifest says: messages hold no values, and Text shows a line of a file only on a terminal and only where no
// secret can stand (secret.go).
package report

import (
	"fmt"
	"io"
	"strings"

	"kilter.dev/kilter/internal/phrase"
	"kilter.dev/kilter/manifests"
)

// Report is what there is to say about a tree.
type Report struct {
	Set        *manifests.Set
	Kubernetes string // the minor version whose rules were asked, such as "1.37"
	Revision   string // what was read, when it was a commit: "main@sha1:<commit>"
	Version    string // Kilter's own version

	// Name returns what people call a file of the tree. Nil means that they use its name in the tree.
	Name func(file string) string
	// Read returns a file of the tree, to show the lines that problems are in. Nil means that no line is shown.
	Read func(file string) ([]byte, error)
}

// name returns what people call a file; empty for a problem that is in no file.
func (r *Report) name(file string) string {
	if file == "" || r.Name == nil {
		return file
	}
	return r.Name(file)
}

// at returns a place as people call it.
func (r *Report) at(o manifests.Origin) manifests.Origin {
	o.File, o.BuiltBy = r.name(o.File), r.name(o.BuiltBy)
	return o
}

// message returns the field, the message and the rule of a problem, and the kustomization that made the object.
func (r *Report) message(p manifests.Problem) string {
	text := p.Message
	if p.Field != "" {
		text = p.Field + ": " + text
	}
	if p.Rule != "" {
		text += " (" + p.Rule + ")"
	}
	if p.Origin.BuiltBy != "" {
		text += " (built by " + r.name(p.Origin.BuiltBy) + ")"
	}
	return text
}

// Count returns how many problems are of that severity.
func (r *Report) Count(severity manifests.Severity) int {
	count := 0
	for _, p := range r.Set.Problems {
		if p.Severity == severity {
			count++
		}
	}
	return count
}

// Objects returns how many objects the tree describes, those with errors among them. A document that could not be read so far
// that it names an object is none.
func (r *Report) Objects() int {
	seen := make(map[manifests.ID]bool, len(r.Set.Objects))
	for _, o := range r.Set.Objects {
		seen[o.ID] = true
	}
	for _, p := range r.Set.Problems {
		if p.Object != (manifests.ID{}) {
			seen[p.Object] = true
		}
	}
	return len(seen)
}

// Summary returns one line: "39 objects in 12 files: 1 error, 2 warnings", or of a commit "39 objects in 12 files of
// main@sha1:<commit>: …".
func (r *Report) Summary() string {
	var found []string
	if n := r.Count(manifests.Error); n > 0 {
		found = append(found, phrase.Count(n, "error"))
	}
	if n := r.Count(manifests.Warning); n > 0 {
		found = append(found, phrase.Count(n, "warning"))
	}
	if len(found) == 0 {
		found = []string{"no problems"}
	}
	if n := len(r.Set.Skipped); n > 0 {
		found = append(found, fmt.Sprintf("%d skipped", n))
	}
	where := phrase.Count(r.Set.Files, "file")
	if r.Revision != "" {
		where += " of " + r.Revision
	}
	return fmt.Sprintf("%s in %s: %s", phrase.Count(r.Objects(), "object"), where, strings.Join(found, ", "))
}

// Format writes a Report to w. The error is the writer's.
type Format func(w io.Writer, r *Report) error
