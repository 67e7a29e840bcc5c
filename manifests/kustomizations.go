package manifests

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"kilter.dev/kilter/manifests/document"
	"kilter.dev/kilter/manifests/kustomize"
)

// unit is a directory with a kustomization. It is read again only when something that its build reads has changed.
type unit struct {
	dir  string
	plan *kustomize.Plan
	out  *parsed // what it builds; nil while it is only a part of others
}

// build builds every kustomization that is not part of another one. What the builds did not read is added to what is skipped.
func (l *Loader) build(ctx context.Context, tree fs.FS, found *listing, target Target) ([]*unit, error) {
	known := make(map[string]*unit, len(found.kustomizations))
	var all []*unit
	for _, dir := range found.kustomizations {
		u := l.units[dir]
		if u == nil || !u.plan.Reads.Unchanged(tree) {
			u = &unit{dir: dir}
			if err := l.scan(ctx, tree, u); err != nil {
				return nil, err
			}
		}
		known[dir] = u
		all = append(all, u)
	}
	l.units = known
	read := map[string]bool{}
	var built []*unit
	var wrong tally
	var unbuilt []*unit
	for _, u := range all {
		if reason := partOf(u, all, target); reason != "" {
			found.skipped = append(found.skipped, Skip{Origin: Origin{File: u.plan.File}, Reason: reason})
			read[u.plan.File] = true
			u.plan.Release()
			continue
		}
		if wrong.errors > maxListed {
			unbuilt = append(unbuilt, u)
			continue
		}
		if u.out == nil {
			if err := l.buildOne(ctx, tree, u); err != nil {
				return nil, err
			}
		}
		wrong.add(u.out.tally)
		for name := range u.plan.Reads.Files() {
			read[name] = true
		}
		built = append(built, u)
	}
	if len(unbuilt) > 0 {
		found.problems = append(found.problems, unread(unbuilt[0].plan.File, "kustomization", len(unbuilt)))
	}
	found.read = len(read)
	for _, part := range found.parts {
		if u := known[path.Dir(part.kustomization)]; !read[part.name] && !u.plan.Failed() { // or nobody knows what it lists
			found.skipped = append(found.skipped, Skip{Origin: Origin{File: part.name}, Reason: "not listed in " + target.called(part.kustomization)})
		}
	}
	return built, nil
}

// partOf says why a kustomization is not built by itself; nothing when it is. Of kustomizations in a circle the first is built, which
// reports the circle.
func partOf(u *unit, all []*unit, target Target) string {
	for _, other := range all {
		if other != u && slices.Contains(other.plan.Uses, u.dir) && (!slices.Contains(u.plan.Uses, other.dir) || other.dir < u.dir) {
			return "part of " + target.called(other.dir)
		}
	}
	if u.plan.Component {
		return "a component that nothing here uses"
	}
	return ""
}

func (l *Loader) scan(ctx context.Context, tree fs.FS, u *unit) (err error) {
	if u.plan, err = kustomize.Scan(ctx, tree, u.dir, l.kustomizeOptions()); err != nil {
		return fmt.Errorf("cannot read kustomization %s: %w", u.dir, err)
	}
	return nil
}

// buildOne builds a kustomization, and decodes what comes out as if it were written.
func (l *Loader) buildOne(ctx context.Context, tree fs.FS, u *unit) error {
	if u.plan.Released() { // it was a part until now
		if err := l.scan(ctx, tree, u); err != nil {
			return err
		}
	}
	u.out = &parsed{}
	report := func(problems []kustomize.Problem) {
		for _, p := range problems {
			severity := Error
			if p.Warning {
				severity = Warning
			}
			u.out.problems = append(u.out.problems, Problem{
				Origin: originOf(p.Place), Field: p.Field, Reason: p.Reason, Severity: severity, Message: p.Message,
			})
		}
		u.out.tally.count(u.out.problems[len(u.out.problems)-len(problems):])
	}
	report(u.plan.Problems)
	if u.plan.Failed() {
		return nil
	}
	objects, problems, err := u.plan.Build(ctx)
	if err != nil {
		return err
	}
	report(problems)
	for _, object := range objects {
		if u.out.tally.errors <= maxListed {
			l.decodeBuilt(u, object)
		}
	}
	u.plan.Release()
	return nil
}

func originOf(at kustomize.Place) Origin {
	return Origin{File: at.File, Document: at.Document, Line: at.Line, Column: at.Column}
}

// decodeBuilt decodes an object that a build made. All that is found wrong stands where the author wrote it.
func (l *Loader) decodeBuilt(u *unit, object kustomize.Built) {
	for doc, err := range document.Parse("built.json", object.JSON) {
		if err != nil {
			u.out.problems = append(u.out.problems, Problem{
				Origin: Origin{File: u.plan.File}, Reason: ReasonSyntax, Severity: Error, Message: err.Message,
			})
			continue
		}
		if doc.Root == nil {
			continue
		}
		places := u.plan.Trace(doc.Root, object.Source)
		d := decoder{options: l.options, file: u.plan.File, out: u.out, places: func(node *yaml.Node) Origin {
			at := originOf(places[node])
			at.BuiltBy = u.plan.File
			return at
		}}
		d.node(doc.Index, doc.Root, 0)
	}
}

func (l *Loader) kustomizeOptions() kustomize.Options {
	return kustomize.Options{
		MaxFileBytes: l.options.MaxFileBytes, MaxBytes: l.options.MaxTreeBytes, MaxObjects: min(l.options.MaxDocuments, maxBuilt),
		Strict: l.strict,
	}
}

// maxBuilt bounds the objects of one build. Kustomize's time grows with the square of their number.
const maxBuilt = 2000

// strict reads a file that a kustomization uses as strictly as a manifest, as far as that can be done before it is built.
func (l *Loader) strict(t kustomize.Text) (docs []kustomize.Document, problems []kustomize.Problem) {
	report := func(index int, at *yaml.Node, field, reason, message string) {
		if len(problems) < maxProblems {
			problems = append(problems, kustomize.Problem{
				Place: kustomize.Place{File: t.File, Document: index, Line: at.Line, Column: at.Column},
				Field: strings.TrimPrefix(field, "."), Reason: reason, Message: message,
			})
		}
	}
	add := func(index int, node *yaml.Node) {
		before := len(problems)
		e := document.Encoder{MaxDepth: l.options.MaxDepth, Report: func(at *yaml.Node, field string, fault document.Fault, message string) {
			if fault != document.Trap { // the built object tells it
				report(index, at, field, string(fault), message)
			}
		}}
		text, _ := e.Encode(node)
		if len(problems) > before {
			text = nil
		}
		docs = append(docs, kustomize.Document{Index: index, Node: node, JSON: text})
	}
	for doc, err := range document.Parse(t.File, t.Data) {
		switch {
		case err != nil:
			report(err.Document, &yaml.Node{Line: err.Line, Column: err.Column}, "", ReasonSyntax, err.Message)
		case doc.Root == nil:
		case t.Objects:
			l.eachObject(doc.Root, 0, func(node *yaml.Node, field, problem string) {
				if problem != "" {
					report(doc.Index, node, field, ReasonStructure, problem)
				} else {
					add(doc.Index, node)
				}
			})
		default:
			add(doc.Index, doc.Root)
		}
	}
	return docs, problems
}

// eachObject takes lists apart, and says what keeps a node from being an object that kustomize can tell from others.
func (l *Loader) eachObject(node *yaml.Node, depth int, yield func(node *yaml.Node, field, problem string)) {
	if node.Kind != yaml.MappingNode {
		yield(node, "", "not a Kubernetes object: a manifest starts with apiVersion and kind")
		return
	}
	gvk, problem := typeOf(node)
	_, items := entry(node, "items")
	switch {
	case problem != "":
		yield(node, "", problem)
	case isList(gvk, items) && depth < l.options.MaxDepth:
		for _, item := range items.Content {
			l.eachObject(item, depth+1, yield)
		}
	case stringAt(node, "metadata", "name") == "":
		yield(place(node, "metadata.name"), "metadata.name", "missing, or no string that is not empty")
	default:
		yield(node, "", "")
	}
}
