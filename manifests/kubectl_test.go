package manifests

import (
	"bytes"
	"encoding/json"
	"testing"

	kubectlyaml "sigs.k8s.io/yaml"
)

// TestScalarsAreWhatKubectlReads compares every scalar with what kubectl's parser makes of it.
func TestScalarsAreWhatKubectlReads(t *testing.T) {
	for _, text := range []string{
		"y", "Y", "yes", "Yes", "YES", "yEs", "n", "N", "no", "NO", "on", "On", "off", "OFF", "true", "True", "tRUE", "false",
		"null", "Null", "NULL", "nULL", "~", "", "''", `""`, "nil", "none",
		"0", "-0", "+1", "017", "-017", "0o17", "089", "0x1F", "0X1f", "0b101", "-0b11", "+0b1", "1_000", "_1", "1__0", "1_", "0x_1",
		"9007199254740993", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "18446744073709551615",
		"1.0", "1.5", "-1.5", "+.5", ".5", "5.", "1e3", "1E3", "1e-7", "1e21", "1.5e300", ".", "..", "-", "+", "1.2.3", "1.5_0", "._5", ".5_0",
		"1:30", "190:20:30", "12h", "1Gi", "0.1", "100m", "2001-01-01", "2001-01-01T00:00:00Z", "2001-01-01 10:10:10",
		"'017'", `"yes"`, "!!str yes", "a b", "#x", "x #y", "@x", "<<", "=", "é", "\"\\u00e9\\n\\t\\\"\"", "1e400x", "0xg", "0b2", "-.5", "+.inf.",
	} {
		t.Run(text, func(t *testing.T) {
			if text == "@x" {
				t.Skip("not YAML")
			}
			manifest := "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a, namespace: b}\nspec:\n  v: " + text + "\n"
			assertSameAsKubectl(t, "a.yaml", []byte(manifest))
		})
	}
}

// assertSameAsKubectl compares the objects of a YAML document that has no problems with what kubectl's parser makes of it.
func assertSameAsKubectl(t *testing.T, name string, data []byte) {
	t.Helper()
	file := decode(name, data, Options{}.withDefaults())
	if len(file.problems) > 0 || len(file.items) != 1 || len(file.items[0].problems) > 0 {
		return
	}
	want, err := kubectlyaml.YAMLToJSON(data)
	if err != nil {
		t.Fatalf("accepted, but kubectl says: %v", err)
	}
	if got, want := normal(t, file.items[0].object.JSON), normal(t, want); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// normal re-encodes JSON with sorted keys and numbers as they are written, without the fields that Load leaves out.
func normal(t *testing.T, text []byte) string {
	t.Helper()
	var object map[string]any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&object); err != nil {
		t.Fatal(err)
	}
	delete(object, "status")
	if metadata, ok := object["metadata"].(map[string]any); ok {
		delete(metadata, "generation")
		delete(metadata, "selfLink")
	}
	dropNullTimestamps(object)
	out, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func dropNullTimestamps(value any) {
	switch v := value.(type) {
	case map[string]any:
		if metadata, ok := v["metadata"].(map[string]any); ok {
			if timestamp, given := metadata["creationTimestamp"]; given && timestamp == nil {
				delete(metadata, "creationTimestamp")
			}
		}
		for _, member := range v {
			dropNullTimestamps(member)
		}
	case []any:
		for _, item := range v {
			dropNullTimestamps(item)
		}
	}
}
