package view

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"kilter.dev/kilter/internal/phrase"
	"kilter.dev/kilter/reconcile/health"
)

// maxMade is how many objects that one controller made a drawing shows; JSON has all of them.
const maxMade = 10

// Text draws the tree. An object stands under the one that it depends on, behind an arrow, and what its controller made stands under it, behind a
// line. Of several dependencies the one that holds it up wins, then the one furthest down; the others are named beside it.
//
//	Sync shop/app  main@sha1:3f2a1b9c0d1e  DependencyNotReady: …
//	├── Job shop/migrate             InProgress  0 of 1 completion, 1 running  jobs/migrate.yaml:2
//	│   ├── Pod migrate-x7k2p        InProgress  …
//	│   └─> Deployment shop/web      NotFound    not applied yet               web.yaml:1
//	│         waits for Job shop/migrate: 0 of 1 completion, 1 running
//	└── Namespace shop               Current
func (t *Tree) Text() string {
	d := drawing{
		nodes: map[string]*Node{}, above: map[*Node]*Node{}, dependents: map[*Node][]*Node{}, depths: map[*Node]int{},
	}
	d.children("", d.place(t.Objects))

	var out strings.Builder
	out.WriteString(phrase.Printable(t.title()) + "\n")
	out.WriteString(d.render())
	for _, note := range t.Notes {
		out.WriteString(phrase.Printable(string(note)) + "\n")
	}
	for _, gap := range t.Gaps {
		out.WriteString(phrase.Printable(gap.String()) + "\n")
	}
	return out.String()
}

// title is the Sync on one line.
func (t *Tree) title() string {
	if t.Sync == "" {
		return "No Sync keeps it"
	}
	title := "Sync " + t.Sync
	if t.Revision != "" {
		title += "  " + ShortRevision(t.Revision)
	}
	switch {
	case t.Ready == "" && t.Kind != syncKind.Kind:
		title += "  (kept from a file; its inventory is the " + t.Kind + " " + filePrefix + t.Sync[strings.Index(t.Sync, "/")+1:] + ")"
	case t.Ready == "":
		title += "  (no pass has been made yet)"
	case t.Ready == "True":
		title += "  Ready: " + t.Message
	default:
		title += "  " + t.Reason + ": " + t.Message
	}
	return title
}

// ShortRevision cuts the commit of a revision to 12 digits.
func ShortRevision(revision string) string {
	ref, commit, found := strings.Cut(revision, "sha1:")
	if !found || len(commit) < 12 {
		return revision
	}
	return ref + "sha1:" + commit[:12]
}

// drawing collects the lines of a tree.
type drawing struct {
	nodes      map[string]*Node // by "Kind namespace/name"
	above      map[*Node]*Node  // what each node is drawn under; nothing for those at the root
	depths     map[*Node]int
	dependents map[*Node][]*Node
	lines      []line
}

// line is an object in columns, or a remark on the one above.
type line struct {
	lead   string // the branches
	name   string
	state  string // empty for a remark
	text   string
	origin string
}

// branch is one thing that hangs below another.
type branch struct {
	node      *Node
	made      bool   // by the controller of what it hangs below, and so in its namespace
	dependent bool   // it comes after what it hangs below
	remark    string // instead of a node
}

// place decides what each node is drawn under, and returns those that stand at the root.
func (d *drawing) place(all []*Node) (roots []branch) {
	for _, n := range all {
		d.nodes[n.String()] = n
	}
	for _, n := range all {
		if above := d.under(n); above != nil {
			d.above[n] = above
			d.dependents[above] = append(d.dependents[above], n)
		} else {
			roots = append(roots, branch{node: n})
		}
	}
	return roots
}

// under returns the object that a node is drawn under; nil for one that stands at the root.
func (d *drawing) under(n *Node) *Node {
	var best *Node
	furthest := -1
	for _, other := range d.before(n) {
		far := d.depth(other)
		if slices.ContainsFunc(n.WaitsFor, func(w Wait) bool { return w.By == other.String() }) {
			far += len(d.nodes)
		}
		if far > furthest {
			best, furthest = other, far
		}
	}
	if best != nil && d.leads(best, n) {
		return nil // a cycle, which Git cannot hold but a cluster may
	}
	return best
}

// before returns the objects of the tree that a node depends on, or waits for: of what nobody has applied, only the latter may be known.
func (d *drawing) before(n *Node) []*Node {
	var all []*Node
	for _, ref := range n.After {
		if other := d.nodes[ref.String()]; other != nil {
			all = append(all, other)
		}
	}
	for _, w := range n.WaitsFor {
		if other := d.nodes[w.By]; other != nil && len(n.After) == 0 && !slices.Contains(n.Uses, other.Ref) {
			all = append(all, other)
		}
	}
	return all
}

// depth returns how many objects come before a node, one after the other.
func (d *drawing) depth(n *Node) int {
	if known, ok := d.depths[n]; ok {
		return known
	}
	d.depths[n] = 0 // where a cycle ends
	deepest := 0
	for _, other := range d.before(n) {
		deepest = max(deepest, 1+d.depth(other))
	}
	d.depths[n] = deepest
	return deepest
}

// leads reports whether to comes before from, by whatever way.
func (d *drawing) leads(from, to *Node) bool {
	seen := map[*Node]bool{}
	queue := []*Node{from}
	for ; len(queue) > 0; queue = queue[1:] {
		n := queue[0]
		if n == to {
			return true
		}
		if seen[n] {
			continue
		}
		seen[n] = true
		queue = append(queue, d.before(n)...)
	}
	return false
}

// children draws what hangs below one thing.
func (d *drawing) children(prefix string, all []branch) {
	for i, b := range all {
		last := i == len(all)-1
		tee, below := "├", "│   "
		if last {
			tee, below = "└", "    "
		}
		arm := "── "
		if b.dependent {
			arm = "─> "
		}
		if b.node == nil {
			d.lines = append(d.lines, line{lead: prefix + tee + arm, name: b.remark})
			continue
		}
		d.draw(prefix+tee+arm, prefix+below, b)
	}
}

// draw draws a node with all below it.
func (d *drawing) draw(lead, prefix string, b branch) {
	n, name, message := b.node, b.node.String(), b.node.Message
	if b.made {
		name = n.Kind + " " + n.Name
	}
	if n.Reason == health.ReasonExists {
		message = ""
	}
	d.lines = append(d.lines, line{lead: lead, name: name, state: string(n.State), text: message, origin: n.origin()})
	below := d.below(n)
	bar := "    "
	if len(below) > 0 {
		bar = "│   "
	}
	for _, remark := range d.remarks(n) {
		d.lines = append(d.lines, line{lead: prefix + bar, name: remark})
	}
	d.children(prefix, below)
}

// origin returns "file:line", or nothing.
func (n *Node) origin() string {
	if n.Line == 0 {
		return n.File
	}
	return n.File + ":" + strconv.Itoa(n.Line)
}

// below returns what hangs below a node: what was made of it, at most maxMade with the unwell ones first, and then what comes after it.
func (d *drawing) below(n *Node) []branch {
	made, more := n.Made, len(n.Made)-maxMade
	if more > 0 {
		made = slices.SortedStableFunc(slices.Values(made), func(a, b *Node) int { return rank(a) - rank(b) })[:maxMade]
	}
	var all []branch
	for _, m := range made {
		all = append(all, branch{node: m, made: true})
	}
	if more > 0 {
		all = append(all, branch{remark: "and " + strconv.Itoa(more) + " more; -o json shows them all"})
	}
	for _, dependent := range d.dependents[n] {
		all = append(all, branch{node: dependent, dependent: true})
	}
	return all
}

// rank puts what is unwell first.
func rank(n *Node) int {
	switch n.State {
	case health.Failed:
		return 0
	case health.Current:
		return 2
	default:
		return 1
	}
}

// remarks say that a node has left Git, what it waits for and, where the drawing does not show it, what it comes after.
func (d *drawing) remarks(n *Node) []string {
	var all []string
	if n.LeftGit {
		all = append(all, "left Git")
	}
	for _, w := range n.WaitsFor {
		all = append(all, "waits for "+w.By+": "+w.Message)
	}
	waits := func(ref Ref) bool {
		return slices.ContainsFunc(n.WaitsFor, func(w Wait) bool { return w.By == ref.String() })
	}
	var after, uses []string
	above := d.above[n]
	for _, ref := range n.After {
		if (above == nil || ref != above.Ref) && !waits(ref) {
			after = append(after, ref.String())
		}
	}
	for _, ref := range n.Uses {
		if ref.Kind != "Namespace" && !waits(ref) { // of which there is nothing to tell
			uses = append(uses, ref.String())
		}
	}
	if len(after) > 0 {
		all = append(all, "after "+strings.Join(after, ", "))
	}
	if len(uses) > 0 {
		all = append(all, "uses "+strings.Join(uses, ", "))
	}
	return all
}

// render aligns the columns.
func (d *drawing) render() string {
	nameWidth, stateWidth, textWidth := 0, 0, 0
	for i := range d.lines {
		l := &d.lines[i]
		l.name, l.text, l.origin = phrase.Printable(l.name), phrase.Printable(l.text), phrase.Printable(l.origin)
		if l.state == "" {
			continue
		}
		nameWidth = max(nameWidth, utf8.RuneCountInString(l.lead+l.name))
		stateWidth = max(stateWidth, len(l.state))
		if l.origin != "" {
			textWidth = max(textWidth, min(utf8.RuneCountInString(l.text), maxText))
		}
	}
	var out strings.Builder
	for _, l := range d.lines {
		text := l.lead + l.name
		if l.state != "" {
			text = pad(text, nameWidth) + "  " + pad(l.state, stateWidth) + "  " + pad(l.text, textWidth)
			if l.origin != "" {
				text += "  " + l.origin
			}
		}
		out.WriteString(strings.TrimRight(text, " ") + "\n")
	}
	return out.String()
}

// maxText is the width up to which messages are aligned.
const maxText = 50

// pad fills text with spaces up to a width.
func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text)))
}
