package mutate_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kilter.dev/kilter/internal/mutate"
)

const manifest = `{"a":{"b.c/d":"e"},"l":[{"n":8},{"n":9}]}`

func object(t *testing.T) map[string]any {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal([]byte(manifest), &o); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestApply(t *testing.T) {
	for _, test := range []struct {
		path  string
		value any
		want  string // empty when the path leads nowhere
	}{
		{"a", "x", `{"a":"x","l":[{"n":8},{"n":9}]}`},
		{"a[b.c/d]", nil, `{"a":{"b.c/d":null},"l":[{"n":8},{"n":9}]}`},
		{"a.new.deep", true, `{"a":{"b.c/d":"e","new":{"deep":true}},"l":[{"n":8},{"n":9}]}`},
		{"a", mutate.Twice, `{"a":{"b.c/d":"e"},"a":{"b.c/d":"e"},"l":[{"n":8},{"n":9}]}`},
		{"a", mutate.Remove, `{"l":[{"n":8},{"n":9}]}`},
		{"l[1].n", int64(3), `{"a":{"b.c/d":"e"},"l":[{"n":8},{"n":3}]}`},
		{"l[0]", mutate.Remove, `{"a":{"b.c/d":"e"},"l":[{"n":9}]}`},
		{"l[0]", mutate.Again, `{"a":{"b.c/d":"e"},"l":[{"n":8},{"n":9},{"n":8}]}`},
		{"l[2]", "x", `{"a":{"b.c/d":"e"},"l":[{"n":8},{"n":9},"x"]}`},
		{"l[3]", "x", ""},
		{"l[2].n", "x", ""},
		{"l.n", "x", ""},
		{"a[b.c/d].x", "x", ""},
		{"absent", mutate.Remove, ""},
		{"absent.deep", mutate.Twice, ""},
	} {
		o := object(t)
		change := mutate.Change{Path: test.path, Value: test.value}
		done := change.Apply(o)
		text, err := mutate.Encode(o)
		if err != nil {
			t.Fatal(err)
		}
		if done != (test.want != "") || done && string(text) != test.want {
			t.Errorf("%s: %v, %s; want %s", change, done, text, test.want)
		}
	}
}

// TestSweepTouchesEveryField counts on each proposed change to alter the manifest, and on none to reach what is excepted.
func TestSweepTouchesEveryField(t *testing.T) {
	touched := map[string]bool{}
	for _, change := range mutate.Sweep(object(t), "l[1].n") {
		o := object(t)
		if !change.Apply(o) {
			t.Errorf("%s leads nowhere", change)
		}
		if text, err := mutate.Encode(o); err != nil || string(text) == manifest {
			t.Errorf("%s changes nothing: %v", change, err)
		}
		if !strings.HasSuffix(change.Path, ".unknownField") {
			touched[change.Path] = true
		}
	}
	want := map[string]bool{"a": true, "a[b.c/d]": true, "l": true, "l[0]": true, "l[0].n": true, "l[1]": true}
	if diff := cmp.Diff(want, touched); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
