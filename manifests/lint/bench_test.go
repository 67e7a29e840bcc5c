package lint_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"

	"kilter.dev/kilter/manifests/lint"
)

// BenchmarkCheck looks at every object of the goldens, decoding aside.
func BenchmarkCheck(b *testing.B) {
	for _, rule := range []string{
		"all-nodes-at-once", "job-without-deadline", "liveness-equals-readiness", "schedule-every-minute", "schedule-daylight-saving",
	} {
		b.Run(rule, func(b *testing.B) {
			archive, err := txtar.ParseFile("testdata/" + rule + ".txtar")
			if err != nil {
				b.Fatal(err)
			}
			archive.Files = archive.Files[:1]
			var objects []runtime.Object
			for _, o := range load(b, archive).Objects {
				object, _, err := clientgoscheme.Codecs.UniversalDeserializer().Decode(o.JSON, nil, nil)
				if err != nil {
					b.Fatal(err)
				}
				objects = append(objects, object)
			}
			b.ReportAllocs()
			for b.Loop() {
				for _, object := range objects {
					lint.Check(object, lint.Options{Now: now})
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(objects)), "ns/object")
		})
	}
}

// BenchmarkTree looks at 10,000 workloads beside each other, a Service with each fifth.
func BenchmarkTree(b *testing.B) {
	var members []lint.Member
	add := func(kind, name, text string) {
		object, _, err := clientgoscheme.Codecs.UniversalDeserializer().Decode([]byte(text), nil, nil)
		if err != nil {
			b.Fatal(err)
		}
		members = append(members, lint.Member{Name: lint.Name{Namespace: "a", Kind: kind, Name: name}, Facts: lint.Gather(object)})
	}
	for i := range 10_000 {
		app := fmt.Sprintf("app-%05d", i)
		switch i % 5 {
		case 0:
			add("Service", app, fmt.Sprintf(`{"apiVersion":"v1","kind":"Service","spec":{"selector":{"app":"app-%05d"}}}`, i+1))
		case 1:
			add("Deployment", app, fmt.Sprintf(`{"apiVersion":"apps/v1","kind":"Deployment","spec":{"selector":{"matchLabels":{"app":%q}},`+
				`"template":{"metadata":{"labels":{"app":%[1]q,"team":"a"}}}}}`, app))
		default:
			add("Job", app, fmt.Sprintf(`{"apiVersion":"batch/v1","kind":"Job","spec":`+
				`{"template":{"metadata":{"labels":{"app":%q,"team":"a"}}}}}`, app))
		}
	}
	slices.SortFunc(members, func(a, b lint.Member) int {
		return slices.Compare([]string{a.Kind, a.Name.Name}, []string{b.Kind, b.Name.Name})
	})
	for b.Loop() {
		if remarks := lint.Tree(members); len(remarks) > 0 {
			b.Fatal(remarks[0])
		}
	}
}
