package v1alpha1

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"sigs.k8s.io/yaml"

	"kilter.dev/kilter/internal/golden"
)

// Each testdata/<case>.txtar is a document, what Read says of it, and what the server's own rules, those of the CRD, say.
func TestRead(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases in testdata", err)
	}
	server := newCRD(t)
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil || archive.Files[0].Name != "sync.yaml" {
				t.Fatal("the archive has to begin with sync.yaml", err)
			}
			document := archive.Files[0].Data
			got := &txtar.Archive{Comment: archive.Comment, Files: archive.Files[:1:1]}
			got.Files = append(got.Files,
				txtar.File{Name: "read", Data: []byte(read(document))},
				txtar.File{Name: "server", Data: []byte(server.judge(t, document))})
			golden.Check(t, name, string(txtar.Format(got)))
		})
	}
}

// read returns the defaulted spec, or the error.
func read(document []byte) string {
	sync, err := Read(document)
	if err != nil {
		return err.Error() + "\n"
	}
	text, err := yaml.Marshal(map[string]any{"namespace": sync.Namespace, "spec": sync.Spec})
	if err != nil {
		return err.Error() + "\n"
	}
	return string(text)
}

// What one commit may delete. A percentage is rounded down, but never to less than one object; only zero means none.
func TestPruneLimit(t *testing.T) {
	for _, c := range []struct {
		maxPrune string
		limits   map[int]int // by the number of objects
	}{
		{"0", map[int]int{0: 0, 1: 0, 1000: 0}},
		{"20", map[int]int{0: 20, 10: 20, 1000: 20}},
		{"0%", map[int]int{1: 0, 1000: 0}},
		{"1%", map[int]int{0: 1, 1: 1, 199: 1, 200: 2, 1000: 10}},
		{"50%", map[int]int{1: 1, 2: 1, 3: 1, 4: 2, 5: 2, 999: 499}},
		{"100%", map[int]int{1: 1, 3: 3, 1000: 1000}},
		{"00%", map[int]int{1000: 0}},
		// Validate refuses these. Should they come here all the same, nothing is deleted.
		{"", map[int]int{10: 0}},
		{"%", map[int]int{10: 0}},
		{"all", map[int]int{10: 0}},
		{"-5", map[int]int{10: 0}},
		{"-5%", map[int]int{10: 0}},
		{"99999999999999999999", map[int]int{10: 0}},
	} {
		spec := SyncSpec{MaxPrune: c.maxPrune}
		for total, want := range c.limits {
			if got := spec.PruneLimit(total); got != want {
				t.Errorf("maxPrune %q allows %d of %d objects, want %d", c.maxPrune, got, total, want)
			}
		}
	}
}

// What a document says is never replaced by a default.
func TestDefaultKeepsWhatIsSaid(t *testing.T) {
	no := false
	said := SyncSpec{
		Interval: duration(time.Second), Timeout: duration(time.Hour), Prune: &no, MaxPrune: "0", Drift: DriftReport, Invalid: InvalidSkipObject,
	}
	spec := *said.DeepCopy()
	spec.Default()
	if diff := cmp.Diff(said, spec); diff != "" {
		t.Errorf("Default changed (-said +defaulted):\n%s", diff)
	}
}
