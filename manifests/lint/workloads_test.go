package lint_test

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"

	"kilter.dev/kilter/manifests"
)

const workloads = "../../docs/workloads"

var yamlBlock = regexp.MustCompile("(?s)\n```yaml\n(.*?)```\n")

// refused begins a block that shows what the API server does not take; the field follows.
const refused = "# refused: "

// TestManifestsOfWorkloadPages loads each manifest of docs/workloads: it is valid and draws no remark, or is refused for the field that it
// names, and for nothing else.
func TestManifestsOfWorkloadPages(t *testing.T) {
	found := 0
	for _, page := range workloadPages(t) {
		for _, block := range yamlBlock.FindAllStringSubmatch(page.text, -1) {
			found++
			set := lintedSet(t, fstest.MapFS{page.name + ".yaml": &fstest.MapFile{Data: []byte(block[1])}})
			first, _, _ := strings.Cut(block[1], "\n")
			field, wrong := strings.CutPrefix(first, refused)
			if wrong && (len(set.Problems) != 1 || set.Problems[0].Field != field || set.Problems[0].Severity != manifests.Error) {
				t.Errorf("%s: want one error, in %s, and got %v", page.name, field, set.Problems)
			}
			for _, p := range set.Problems {
				if !wrong {
					t.Error(p)
				}
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d manifests were found", found)
	}
}

// TestFieldsOfWorkloadPages looks for each field of a kind on its page.
func TestFieldsOfWorkloadPages(t *testing.T) {
	specs := map[string]reflect.Type{
		"cronjob.md":     reflect.TypeFor[batchv1.CronJobSpec](),
		"daemonset.md":   reflect.TypeFor[appsv1.DaemonSetSpec](),
		"deployment.md":  reflect.TypeFor[appsv1.DeploymentSpec](),
		"job.md":         reflect.TypeFor[batchv1.JobSpec](),
		"statefulset.md": reflect.TypeFor[appsv1.StatefulSetSpec](),
	}
	for _, page := range workloadPages(t) {
		spec, ok := specs[page.name]
		delete(specs, page.name)
		for i := 0; ok && i < spec.NumField(); i++ {
			if name, _, _ := strings.Cut(spec.Field(i).Tag.Get("json"), ","); !strings.Contains(page.text, "`"+name+"`") {
				t.Errorf("%s says nothing of `%s`", page.name, name)
			}
		}
	}
	for name := range specs {
		t.Errorf("there is no page %s", name)
	}
}

type page struct{ name, text string }

func workloadPages(t *testing.T) []page {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(workloads, "*.md"))
	if err != nil || len(names) == 0 {
		t.Fatal("no pages", err)
	}
	var pages []page
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, page{filepath.Base(name), string(text)})
	}
	return pages
}
