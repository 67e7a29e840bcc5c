package e2e

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"kilter.dev/kilter/internal/mutate"
)

// tally counts the server's answers.
type tally struct {
	total             outcomes
	byKind, byChanges map[string]*outcomes
	byField           map[string]*outcomes // of single changes: by each of the wanted fields that is a step of the path
}

type outcomes struct{ accepted, refused int }

func (o *outcomes) String() string { return fmt.Sprintf("%d+%d", o.accepted, o.refused) }

func (o *outcomes) add(a answer) {
	if a.refused() {
		o.refused++
	} else {
		o.accepted++
	}
}

func count(questions []question, answers []answer, fields ...string) tally {
	n := tally{byKind: map[string]*outcomes{}, byChanges: map[string]*outcomes{}, byField: map[string]*outcomes{}}
	for _, field := range fields {
		n.byField[field] = &outcomes{}
	}
	for i, q := range questions {
		n.total.add(answers[i])
		at(n.byKind, q.gvk.Kind).add(answers[i])
		at(n.byChanges, []string{"unchanged", "one change", "two changes"}[len(q.changes)]).add(answers[i])
		if len(q.changes) == 1 {
			steps := mutate.Split(q.changes[0].Path)
			slices.Sort(steps)
			for _, step := range slices.Compact(steps) {
				if o, ok := n.byField[step]; ok {
					o.add(answers[i])
				}
			}
		}
	}
	return n
}

func at(counts map[string]*outcomes, key string) *outcomes {
	if counts[key] == nil {
		counts[key] = &outcomes{}
	}
	return counts[key]
}

// String is "accepted+refused" of all, and for each kind, number of changes and field.
func (n tally) String() string {
	text := fmt.Sprintf("%d manifests, accepted+refused: %s", n.total.accepted+n.total.refused, &n.total)
	for _, counts := range []map[string]*outcomes{n.byKind, n.byChanges, n.byField} {
		text += "\n\t"
		for _, key := range slices.Sorted(maps.Keys(counts)) {
			text += " " + key + " " + counts[key].String()
		}
	}
	return text
}

// want fails when too little was asked to prove anything: fewer manifests than least, or a field without both outcomes.
func (n tally) want(t *testing.T, least int) {
	t.Helper()
	t.Log(n)
	if n.total.accepted+n.total.refused < least || n.total.accepted < least/5 || n.total.refused < least/5 {
		t.Errorf("%d manifests were accepted and %d refused: that proves too little", n.total.accepted, n.total.refused)
	}
	for field, o := range n.byField {
		if o.accepted < 2 || o.refused < 2 {
			t.Errorf("changes of %s were accepted+refused %s times: that proves too little", field, o)
		}
	}
}
