package main

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kilter.dev/kilter/reconcile/view"
)

// TestJSONOfViewsIsDocumented looks for each key that the verbs of docs/cli.md print.
func TestJSONOfViewsIsDocumented(t *testing.T) {
	page := cliPage(t)
	for _, printed := range []any{
		view.Tree{}, runs{}, said{}, states{}, map[string][]view.Job(nil), map[string][]view.State(nil),
	} {
		for _, key := range keysOf(reflect.TypeOf(printed), map[reflect.Type]bool{}) {
			if !strings.Contains(page, "`"+key+"`") {
				t.Errorf("docs/cli.md lacks the key `%s` of %T", key, printed)
			}
		}
	}
}

// keysOf returns the JSON keys of a type and of all in it. Those of Kubernetes' own types are documented there.
func keysOf(of reflect.Type, seen map[reflect.Type]bool) []string {
	switch {
	case of.Kind() == reflect.Pointer, of.Kind() == reflect.Slice, of.Kind() == reflect.Map:
		return keysOf(of.Elem(), seen)
	case of.Kind() != reflect.Struct, seen[of], of == reflect.TypeFor[time.Time](), of == reflect.TypeFor[metav1.Time](),
		of == reflect.TypeFor[metav1.Condition]():
		return nil
	}
	seen[of] = true
	var keys []string
	for i := range of.NumField() {
		field := of.Field(i)
		if key, _, _ := strings.Cut(field.Tag.Get("json"), ","); key != "" {
			keys = append(keys, key)
		} else if !field.Anonymous {
			keys = append(keys, field.Name+" (which has no tag)")
		}
		keys = append(keys, keysOf(field.Type, seen)...)
	}
	return keys
}

// TestVerbsOfCLIAreDocumented looks for each verb, and for those of its flags that are its own.
func TestVerbsOfCLIAreDocumented(t *testing.T) {
	page := cliPage(t)
	for _, verb := range []*cobra.Command{
		getCommand(), statusCommand(), treeCommand(), historyCommand(), eventsCommand(), reconcileCommand(), rerunCommand(),
	} {
		if !strings.Contains(page, "`kilter "+verb.Name()) {
			t.Errorf("docs/cli.md lacks kilter %s", verb.Name())
		}
		verb.Flags().VisitAll(func(f *pflag.Flag) {
			switch f.Name {
			case "allow-insecure-git", "filename", "output":
				return // as everywhere
			case "namespace", "all-namespaces":
				if strings.Contains(page, "`-"+f.Shorthand+"`") {
					return
				}
			}
			if !strings.Contains(page, "--"+f.Name) {
				t.Errorf("docs/cli.md lacks --%s of kilter %s", f.Name, verb.Name())
			}
		})
	}
	for _, kind := range getKinds() {
		if !strings.Contains(page, kind.names[0]) {
			t.Errorf("docs/cli.md lacks kilter get %s", kind.names[0])
		}
	}
}

func cliPage(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}
