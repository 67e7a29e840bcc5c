package diff

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"kilter.dev/kilter/internal/golden"
)

// Each testdata/<case>.txt says what Git wants, what the cluster holds, and the plan that follows; parse tells how.
func TestCompute(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases in testdata", err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			last := len(archive.Files) - 1
			if last < 0 || archive.Files[last].Name != "plan" {
				t.Fatal(`the last section has to be "plan"`)
			}
			archive.Files[last].Data = []byte(describe(Compute(parse(t, archive))))
			golden.Check(t, name, string(txtar.Format(archive)))
		})
	}
}

// People read of a plan only what is out of the ordinary.
func TestPlanStringLeavesOutWhatIsAsItShouldBe(t *testing.T) {
	archive := txtar.Parse([]byte(`
-- git --
ConfigMap shop/a
ConfigMap shop/b
-- cluster --
ConfigMap shop/b
ConfigMap shop/c
-- sync --
limit=0
`))
	plan := Compute(parse(t, archive))
	want := "create   ConfigMap shop/a  configmap.yaml:1:1  (not in the cluster)\n" +
		"keep     ConfigMap shop/c  (left Git; prune is blocked)\n" +
		"prune blocked: the commit deletes 1 of 3 objects; spec.maxPrune allows 0\n"
	if got := plan.String(); got != want {
		t.Errorf("plan:\n%s\nwant:\n%s", got, want)
	}
	if changes := plan.Changes(); len(changes) != 1 || changes[0].Op != Create {
		t.Errorf("Changes() = %v, want the creation alone", changes)
	}
}
