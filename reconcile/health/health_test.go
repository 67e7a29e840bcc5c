package health

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"kilter.dev/kilter/internal/golden"
)

// Each fixture testdata/<case>.yaml is a live object, and testdata/<case>.golden is what Compute says of it.
func TestCompute(t *testing.T) {
	for _, file := range fixtures(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			u := read(t, file)
			before := u.DeepCopy()
			h := Compute(u)
			if diff := cmp.Diff(before.Object, u.Object); diff != "" {
				t.Errorf("Compute changed the object (-before +after):\n%s", diff)
			}
			got := fmt.Sprintf("%s %s, unblocks: %t\n%s\n", h.Word, h.Reason, h.Unblocks(), h.Message)
			golden.Check(t, strings.TrimSuffix(file, ".yaml")+".golden", got)
		})
	}
}

// The set of reasons that a kind can have is closed: metrics use them as label values. The fixtures reach each of them, so that a
// reason without a fixture, or a fixture whose reason is not listed, fails.
func TestReasonsAreClosedPerKind(t *testing.T) {
	pods := []string{ReasonNotObserved, ReasonAvailable, ReasonUpdating, ReasonPodsUnavailable}
	onDelete := []string{ReasonApplied, ReasonOutdatedPods}
	want := map[string][]string{
		"Job": {
			ReasonComplete, ReasonSuccessMet, ReasonJobFailed, ReasonSuspended, ReasonSuspending, ReasonRunning, ReasonRetrying,
			ReasonStarting, ReasonUnreadable, ReasonDeleting, "BackoffLimitExceeded", "DeadlineExceeded", "PodFailurePolicy",
			"FailedIndexes", "MaxFailedIndexesExceeded",
		},
		"CronJob":   {ReasonScheduled, ReasonScheduleSuspended},
		"DaemonSet": append(slices.Concat(pods, onDelete), ReasonMisscheduled),
		"Deployment": append(slices.Clone(pods), ReasonDeadlineExceeded, ReasonPaused, ReasonReplicaFailure, ReasonOldPodsTerminating,
			ReasonDeleting),
		"StatefulSet":              append(slices.Concat(pods, onDelete), ReasonPartitioned),
		"CustomResourceDefinition": {ReasonEstablished, ReasonNotEstablished, ReasonNamesNotAccepted, ReasonDeleting},
		"Namespace":                {ReasonActive, ReasonDeleting},
		"APIService":               {ReasonAvailable, ReasonNotAvailable},
		"PersistentVolumeClaim":    {ReasonBound, ReasonUnbound, ReasonVolumeLost},
		"Pod": {
			ReasonComplete, ReasonPodFailed, ReasonCrashLooping, ReasonUnschedulable, ReasonRunning, ReasonPodsUnavailable,
			ReasonStarting,
		},
		"generic": {
			ReasonNotObserved, ReasonExists, ReasonReady, ReasonNotReady, ReasonReconciling, ReasonStalled, ReasonDeleting,
		},
	}
	got := map[string][]string{}
	for _, file := range fixtures(t) {
		u := read(t, file)
		kind := u.GetKind()
		if _, own := want[kind]; !own {
			kind = "generic"
		}
		got[kind] = append(got[kind], Compute(u).Reason)
	}
	for _, sets := range []map[string][]string{got, want} {
		for kind := range sets {
			slices.Sort(sets[kind])
			sets[kind] = slices.Compact(sets[kind])
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reasons per kind (-listed here +reached by a fixture):\n%s", diff)
	}
}

func TestComputeNotFound(t *testing.T) {
	if h := Compute(nil); h.Word != NotFound || h.Unblocks() {
		t.Errorf("Compute(nil) = %+v, unblocks %t; want NotFound, which unblocks nothing", h, h.Unblocks())
	}
}

func TestOfMetadata(t *testing.T) {
	if h := OfMetadata(nil); h.Word != NotFound {
		t.Errorf("OfMetadata(nil) = %+v, want NotFound", h)
	}
	for _, file := range []string{"testdata/generic-metadata-only.yaml", "testdata/generic-finalizers.yaml"} {
		u := read(t, file)
		if got, want := OfMetadata(u), Compute(u); got != want {
			t.Errorf("OfMetadata of %s = %+v, but Compute says %+v", file, got, want)
		}
	}
}

// A group of somebody else may well have a kind called Job; it is judged as what it is.
func TestComputeGoesByGroupAndKind(t *testing.T) {
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "example.com/v1", "kind": "Job", "metadata": map[string]any{"name": "x"},
		"spec": map[string]any{"completions": "all of them"},
	}}
	if h := Compute(u); h.Word != Current || h.Reason != ReasonExists {
		t.Errorf("Compute = %+v, want Current because it exists", h)
	}
}

func TestOneLine(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"lines are joined", "first\n\tsecond\r\n", "first second"},
		{"escape sequences lose their teeth", "a\x1b[31mred\x00", "a[31mred"},
		{"broken UTF-8 is dropped", "a\xffb", "ab"},
		{"the cut falls between runes", strings.Repeat("é", maxForeign), strings.Repeat("é", (maxForeign-3)/2) + "…"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := oneLine(c.text); got != c.want {
				t.Errorf("oneLine(%q) = %q, want %q", c.text, got, c.want)
			}
		})
	}
}

// Whatever a server or a controller sends, Compute answers with one of its words and one printable line.
func FuzzCompute(f *testing.F) {
	for _, file := range fixtures(f) {
		object, err := json.Marshal(read(f, file).Object)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(object)
	}
	words := []Word{Current, InProgress, Failed, Terminating, Unknown}
	f.Fuzz(func(t *testing.T, object []byte) {
		var u unstructured.Unstructured
		if u.UnmarshalJSON(object) != nil {
			t.Skip("not an object that a server sends")
		}
		h := Compute(&u)
		if !slices.Contains(words, h.Word) || h.Reason == "" || strings.ContainsFunc(h.Reason, notLetter) {
			t.Errorf("Compute = %+v, want a known word and a CamelCase reason", h)
		}
		if h.Message == "" || !utf8.ValidString(h.Message) || strings.ContainsFunc(h.Message, unicode.IsControl) {
			t.Errorf("message %q is not one printable line", h.Message)
		}
		if again := Compute(&u); again != h {
			t.Errorf("Compute = %+v, then %+v for the same object", h, again)
		}
	})
}

func notLetter(r rune) bool { return !unicode.IsLetter(r) }

func fixtures(tb testing.TB) []string {
	tb.Helper()
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		tb.Fatalf("no fixtures in testdata: %v", err)
	}
	return files
}

// read decodes a fixture as client-go decodes a response: integers become int64.
func read(tb testing.TB, file string) *unstructured.Unstructured {
	tb.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	object, err := yaml.YAMLToJSONStrict(data)
	if err != nil {
		tb.Fatalf("%s: %v", file, err)
	}
	var u unstructured.Unstructured
	if err := u.UnmarshalJSON(object); err != nil {
		tb.Fatalf("%s: %v", file, err)
	}
	return &u
}
