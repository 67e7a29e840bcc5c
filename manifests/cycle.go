package manifests

import (
	"fmt"
	"slices"
	"strings"
)

// A cycle is the objects along a circle of dependencies: each waits for the next, and the last for the first.
type cycle []hop

type hop struct {
	id  ID
	why because // the object waits for the next one
}

// maxCycles bounds how many circles of one tree are looked for.
const maxCycles = 100

// cycles finds circles of dependencies: for every object whose annotation is part of one, some circle through it, the shortest. Nothing
// but an annotation can close a circle, so only objects that have it are asked. They come sorted.
func cycles(annotated []*Object, object func(ID) *Object, e edges) []cycle {
	c := components{
		object: object, edges: e, known: map[ID][]hop{},
		index: map[ID]int{}, low: map[ID]int{}, onStack: map[ID]bool{}, of: map[ID]int{},
	}
	var found []cycle
	told := map[ID]bool{}
	for _, o := range annotated {
		if len(found) == maxCycles {
			break
		}
		if c.index[o.ID] == 0 {
			c.visit(o.ID)
		}
		if told[o.ID] {
			continue
		}
		if circle := c.through(o.ID); circle != nil {
			found = append(found, circle)
			for _, s := range circle {
				told[s.id] = told[s.id] || s.why == asAsked
			}
		}
	}
	return found
}

// components finds the strongly connected components of what the annotated objects wait for (Tarjan's algorithm): only within one can
// there be a circle.
type components struct {
	object     func(ID) *Object
	edges      edges
	known      map[ID][]hop
	index, low map[ID]int // from 1
	stack      []ID
	onStack    map[ID]bool
	of         map[ID]int // the component of each object that was visited, named by the index of its first
}

// before returns what an object waits for, sorted.
func (c *components) before(id ID) []hop {
	hops, known := c.known[id]
	if !known {
		hops = c.edges.from(c.object(id))
		c.known[id] = hops
	}
	return hops
}

func (c *components) visit(id ID) {
	n := len(c.index) + 1
	c.index[id], c.low[id], c.onStack[id] = n, n, true
	c.stack = append(c.stack, id)
	for _, next := range c.before(id) {
		switch {
		case c.index[next.id] == 0:
			c.visit(next.id)
			c.low[id] = min(c.low[id], c.low[next.id])
		case c.onStack[next.id]:
			c.low[id] = min(c.low[id], c.index[next.id])
		}
	}
	if c.low[id] != n {
		return
	}
	at := slices.Index(c.stack, id)
	for _, member := range c.stack[at:] {
		c.of[member], c.onStack[member] = n, false
	}
	c.stack = c.stack[:at]
}

// through returns the shortest circle that starts with an annotation of an object, or nil. It searches breadth first, within the object's
// component.
func (c *components) through(start ID) cycle {
	from := map[ID]hop{} // how each object was reached
	for queue := []ID{start}; len(queue) > 0; queue = queue[1:] {
		id := queue[0]
		for _, next := range c.before(id) {
			if _, seen := from[next.id]; seen || c.of[next.id] != c.of[start] || id == start && next.why != asAsked {
				continue
			}
			from[next.id] = hop{id, next.why}
			if next.id == start {
				return back(from, start)
			}
			queue = append(queue, next.id)
		}
	}
	return nil
}

// back follows the way that a search came, and returns it in the direction of the search.
func back(from map[ID]hop, start ID) cycle {
	var circle cycle
	for at := from[start]; ; at = from[at.id] {
		circle = append(circle, at)
		if at.id == start {
			slices.Reverse(circle)
			return circle
		}
	}
}

// message shows the whole path as it looks from the i-th object, and says why it is one where no annotation does.
func (c cycle) message(i int) string {
	if len(c) == 1 {
		return "the object waits for itself: remove the reference"
	}
	const most = 20 // more is not read, and a tree can hold thousands
	var path strings.Builder
	path.WriteString(c[i].id.String())
	for n := range c {
		at, next := c[(i+n)%len(c)], c[(i+n+1)%len(c)]
		if n == most && len(c) > most+1 {
			fmt.Fprintf(&path, " -> … (%d more) -> %s", len(c)-most-1, c[i].id)
			break
		}
		path.WriteString(" -> " + next.id.String())
		if at.why != asAsked {
			path.WriteString(" (" + string(at.why) + ")")
		}
	}
	return "dependencies go in a circle: " + path.String() + ": remove one of the references"
}
