package verdict

import (
	"encoding/json"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	"sigs.k8s.io/yaml"

	"kilter.dev/kilter/internal/mutate"
)

const indexed = `
apiVersion: batch/v1
kind: Job
metadata: {name: render, namespace: shop, resourceVersion: "7", uid: 0f1a}
spec:
  completionMode: Indexed
  completions: 3
  parallelism: 3
  backoffLimit: 2
  backoffLimitPerIndex: 1
  maxFailedIndexes: 1
  activeDeadlineSeconds: 60
  ttlSecondsAfterFinished: 60
  suspend: false
  podReplacementPolicy: Failed
  manualSelector: true
  selector: {matchLabels: {app: render}}
  podFailurePolicy:
    rules:
    - {action: FailIndex, onExitCodes: {operator: In, values: [3]}}
  successPolicy:
    rules: [{succeededIndexes: "0"}]
  template:
    metadata:
      labels: {app: render}
      annotations: {example.com/team: shop}
    spec:
      restartPolicy: Never
      serviceAccountName: render
      nodeSelector: {disk: fast}
      tolerations: [{key: spot, operator: Exists}]
      containers:
      - name: render
        image: render:1
        args: [--fast]
        env: [{name: LEVEL, value: debug}]
        resources: {limits: {memory: 1Gi}}
      volumes:
      - {name: tmp, emptyDir: {sizeLimit: 1Gi}}
`

// TestJobIdentity holds the identity against the API server's own rules: whatever they refuse to change in a Job that exists, and nothing
// else, makes another run of it.
func TestJobIdentity(t *testing.T) {
	gvk := batchv1.SchemeGroupVersion.WithKind("Job")
	for name, manifest := range map[string]string{
		"Indexed":    indexed,
		"NonIndexed": strings.NewReplacer("completionMode: Indexed", "completionMode: NonIndexed", "  backoffLimitPerIndex: 1\n", "", "  maxFailedIndexes: 1\n", "", "FailIndex", "FailJob", "  successPolicy:\n    rules: [{succeededIndexes: \"0\"}]\n", "").Replace(indexed),
	} {
		t.Run(name, func(t *testing.T) {
			old, err := yaml.YAMLToJSON([]byte(manifest))
			if err != nil {
				t.Fatal(err)
			}
			before := identity(t, old)
			wasIndexes, _ := indexesOf(t, old)
			kept, changed := 0, 0
			for _, change := range mutate.Sweep(object(t, old)) {
				mutated := object(t, old)
				if !strings.HasPrefix(change.Path, "spec.") || !change.Apply(mutated) {
					continue
				}
				text, err := json.Marshal(mutated)
				if err != nil {
					t.Fatal(err)
				}
				if v, ok := Create(gvk, "shop", text); !ok || len(v.Causes) > 0 {
					continue
				}
				v, ok := Update(gvk, "shop", old, text)
				if !ok {
					t.Fatalf("%s: cannot be judged", change)
				}
				if indexes, elastic := indexesOf(t, text); tandem(v) != (indexes != wasIndexes && !elastic) {
					t.Errorf("%s: %d indexes instead of %d, elastic: %t; the server says %v", change, indexes, wasIndexes, elastic, v.Causes)
				}
				if tandem(v) {
					continue // another run for its number of indexes alone
				}
				switch after := identity(t, text); {
				case len(v.Causes) == 0 && after != before:
					t.Errorf("%s: the server changes it in place, and the identity is another", change)
				case len(v.Causes) > 0 && after == before:
					t.Errorf("%s: the server refuses it (%v), and the identity is the same", change, v.Causes)
				case after == before:
					kept++
				default:
					changed++
				}
			}
			if kept < 10 || changed < 30 {
				t.Errorf("%d changes kept the identity and %d changed it: the sweep is too narrow to show anything", kept, changed)
			}
		})
	}
}

func tandem(v Verdict) bool {
	return len(v.Causes) == 1 && strings.Contains(v.Causes[0].Message, "in tandem")
}

// TestJobIdentityIsOfTheDefaultedSpec gives a default by hand, and wants no other identity.
func TestJobIdentityIsOfTheDefaultedSpec(t *testing.T) {
	const bare = `{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"a"},"spec":{"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"a","image":"a:1"}]}}}}`
	explicit := strings.Replace(bare, `"restartPolicy"`, `"dnsPolicy":"ClusterFirst","terminationGracePeriodSeconds":30,"restartPolicy"`, 1)
	if identity(t, []byte(bare)) != identity(t, []byte(explicit)) {
		t.Error("a default that is written out changes the identity")
	}
}

func object(t *testing.T, text []byte) map[string]any {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal(text, &object); err != nil {
		t.Fatal(err)
	}
	return object
}

func indexesOf(t *testing.T, text []byte) (indexes int32, elastic bool) {
	t.Helper()
	p, causes, ok := Parse(batchv1.SchemeGroupVersion.WithKind("Job"), text)
	if !ok || len(causes) > 0 {
		t.Fatalf("cannot read %s: %v", text, causes)
	}
	return p.JobIndexes()
}

func identity(t *testing.T, text []byte) string {
	t.Helper()
	p, causes, ok := Parse(batchv1.SchemeGroupVersion.WithKind("Job"), text)
	if !ok || len(causes) > 0 || p.JobIdentity() == "" {
		t.Fatalf("no identity of %s: %v", text, causes)
	}
	return p.JobIdentity()
}
