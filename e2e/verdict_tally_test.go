package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"kilter.dev/kilter/internal/mutate"
)

// tally counts the server's answers.
type tally struct {
	byKind, byChanges map[string]*outcomes
	byField           map[string]*outcomes // of single changes: by every word of the changed path
}

type outcomes struct{ accepted, refused int }

func (o *outcomes) String() string { return fmt.Sprintf("%d+%d", o.accepted, o.refused) }

func count(questions []question, answers []answer) tally {
	n := tally{map[string]*outcomes{}, map[string]*outcomes{}, map[string]*outcomes{}}
	for i, q := range questions {
		n.add(n.byKind, q.gvk.Kind, answers[i])
		n.add(n.byChanges, []string{"unchanged", "one change", "two changes"}[len(q.changes)], answers[i])
		if len(q.changes) == 1 {
			steps := mutate.Split(q.changes[0].Path)
			slices.Sort(steps)
			for _, step := range slices.Compact(steps) {
				n.add(n.byField, step, answers[i])
			}
		}
	}
	return n
}

func (tally) add(to map[string]*outcomes, key string, a answer) {
	if to[key] == nil {
		to[key] = &outcomes{}
	}
	if a.refused() {
		to[key].refused++
	} else {
		to[key].accepted++
	}
}

func (n tally) total() outcomes {
	var sum outcomes
	for _, o := range n.byKind {
		sum.accepted += o.accepted
		sum.refused += o.refused
	}
	return sum
}

// String is "accepted+refused" for each kind, number of changes and field.
func (n tally) String() string {
	total := n.total()
	text := fmt.Sprintf("%d manifests, accepted+refused: %s", total.accepted+total.refused, &total)
	for _, counts := range []map[string]*outcomes{n.byKind, n.byChanges, n.byField} {
		text += "\n\t"
		for _, key := range slices.Sorted(maps.Keys(counts)) {
			if strings.Trim(key, "0123456789") != "" {
				text += " " + key + " " + counts[key].String()
			}
		}
	}
	return text
}

// want fails when too little was asked to prove anything: fewer manifests than least, or a field without both outcomes.
func (n tally) want(t *testing.T, least int, fields []string) {
	t.Helper()
	total := n.total()
	if total.accepted+total.refused < least || total.accepted < least/4 || total.refused < least/4 {
		t.Errorf("%d manifests were accepted and %d refused: that proves too little", total.accepted, total.refused)
	}
	for _, field := range fields {
		o := n.byField[field]
		if o == nil || o.accepted < 2 || o.refused < 2 {
			t.Errorf("changes of %s were accepted+refused %v times: that proves too little", field, o)
		}
	}
}
