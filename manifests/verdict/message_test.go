package verdict

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// TestNoSecrets puts a secret in the place of each string of each sample that is not in an open field, and wants to read nothing
// of it. Definitions hold schemas, which are no secret.
func TestNoSecrets(t *testing.T) {
	said := 0
	for gvk, sample := range samples(t) {
		sample = []byte(strings.Replace(string(sample), `"metadata":{`, `"metadata":{"resourceVersion":"1",`, 1))
		mutants := withString(t, sample, "hunter2")
		for path, mutant := range withString(t, sample, "hunter2 (Not/Valid!)") {
			mutants[path+" and characters"] = mutant
		}
		for path, mutant := range mutants {
			if public(strings.TrimSuffix(path, " and characters")) || strings.Contains(path, "openAPIV3Schema") {
				continue
			}
			created, _ := Create(gvk, "team-a", mutant)
			updated, _ := Update(gvk, "team-a", sample, mutant)
			for _, v := range []Verdict{created, updated} {
				all := fmt.Sprint(v.Warnings)
				for _, cause := range v.Causes {
					all += "\n" + cause.Field + ": " + cause.Message
				}
				said += len(v.Causes)
				if strings.Contains(all, "hunter2") {
					t.Errorf("%s with a secret in %s: %s", gvk, path, all)
				}
			}
		}
	}
	if said < 1000 {
		t.Errorf("%d causes prove too little", said)
	}
}

// withString returns copies of an object, in each of which one string is another, by path.
func withString(t *testing.T, object []byte, s string) map[string][]byte {
	t.Helper()
	var root any
	if err := json.Unmarshal(object, &root); err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	var visit func(value any, path string, set func(any))
	visit = func(value any, path string, set func(any)) {
		switch v := value.(type) {
		case string:
			if path == "apiVersion" || path == "kind" || path == "metadata.resourceVersion" {
				return
			}
			set(s)
			text, err := json.Marshal(root)
			if err != nil {
				t.Fatal(err)
			}
			all[path] = text
			set(v)
		case map[string]any:
			for key, inner := range v {
				visit(inner, join(path, key), func(other any) { v[key] = other })
			}
		case []any:
			for i, inner := range v {
				visit(inner, fmt.Sprintf("%s[%d]", path, i), func(other any) { v[i] = other })
			}
		}
	}
	visit(root, "", func(any) {})
	return all
}
