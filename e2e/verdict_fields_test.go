package e2e

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"kilter.dev/kilter/internal/mutate"
)

type (
	object = map[string]any
	list   = []any
)

// fields says for each field, by its path, which values to try there.
type fields map[string]list

// kindFields are the fields of one kind: those of its own, and those of its pods.
type kindFields struct{ own, pod fields }

// workloadFields reads testdata/verdict/fields.yaml and returns the fields of the five kinds, by kind.
func workloadFields(t *testing.T) map[string]kindFields {
	t.Helper()
	data, err := os.ReadFile("testdata/verdict/fields.yaml")
	must(t, err)
	var table map[string]fields
	must(t, yaml.UnmarshalStrict(data, &table))
	rollout := join(table["metadata"], table["rollout"])
	pod := table["pod"].below("spec.template.")
	return map[string]kindFields{
		"CronJob": {
			own: join(table["metadata"], table["cronJob"], table["job"].below("spec.jobTemplate.spec.")),
			pod: table["pod"].below("spec.jobTemplate.spec.template."),
		},
		"DaemonSet":   {own: join(rollout, table["daemonSet"]), pod: pod},
		"Deployment":  {own: join(rollout, table["deployment"]), pod: pod},
		"Job":         {own: join(table["metadata"], table["job"].below("spec.")), pod: pod},
		"StatefulSet": {own: join(rollout, table["statefulSet"]), pod: pod},
	}
}

func (f fields) below(prefix string) fields {
	all := fields{}
	for path, values := range f {
		all[prefix+path] = values
	}
	return all
}

func join(all ...fields) fields {
	sum := fields{}
	for _, f := range all {
		maps.Copy(sum, f)
	}
	return sum
}

// changes returns every change of the table, in the order of the paths. What is to be drawn is drawn now.
func (f fields) changes(r *rand.Rand) []mutate.Change {
	var all []mutate.Change
	for _, path := range slices.Sorted(maps.Keys(f)) {
		for _, value := range spliced(f[path]) {
			all = append(all, mutate.Change{Path: path, Value: meant(r, value)})
		}
	}
	return all
}

// spliced puts the values of {<also>: list} in its place.
func spliced(values list) list {
	var all list
	for _, value := range values {
		if o, ok := value.(object); ok && o["<also>"] != nil {
			all = append(all, spliced(o["<also>"].(list))...)
		} else {
			all = append(all, value)
		}
	}
	return all
}

var (
	repeated = regexp.MustCompile(`<([^*>]+)\*(\d+)>`)
	times    = regexp.MustCompile(`^<(\d+) times>$`)
)

// meant returns the value that the table's notation stands for.
func meant(r *rand.Rand, value any) any {
	switch value := value.(type) {
	case string:
		switch value {
		case "<absent>":
			return mutate.Remove
		case "<twice>":
			return mutate.Twice
		case "<again>":
			return mutate.Again
		case "<number>":
			return r.IntN(40) - 10
		case "<name>":
			return anyName(r)
		case "<schedule>":
			return anySchedule(r)
		}
		return long(value)
	case list:
		items := list{}
		for _, item := range value {
			items = append(items, meant(r, item))
		}
		return items
	case object:
		members := object{}
		for _, key := range slices.Sorted(maps.Keys(value)) {
			if match := times.FindStringSubmatch(key); match != nil {
				n, _ := strconv.Atoi(match[1])
				return slices.Repeat(list{meant(r, value[key])}, n)
			}
			members[long(key)] = meant(r, value[key])
		}
		return members
	}
	return value
}

func long(text string) string {
	return repeated.ReplaceAllStringFunc(text, func(short string) string {
		match := repeated.FindStringSubmatch(short)
		n, _ := strconv.Atoi(match[2])
		return strings.Repeat(match[1], n)
	})
}

// anyName draws names of which about half are legal.
func anyName(r *rand.Rand) string {
	const letters = "abcxyz0189-----....AZ_ "
	name := make([]byte, 1+r.IntN(8))
	for i := range name {
		name[i] = letters[r.IntN(len(letters)-r.IntN(10))]
	}
	return strings.Repeat(string(name), 1+r.IntN(9))
}

// anySchedule draws five terms, each from its range and a little beyond.
func anySchedule(r *rand.Rand) string {
	terms := make([]string, 5)
	for i, top := range []int{60, 24, 32, 13, 8} {
		switch n := r.IntN(top + 1); r.IntN(6) {
		case 0:
			terms[i] = fmt.Sprint(n)
		case 1:
			terms[i] = fmt.Sprintf("%d-%d", n/2, n)
		case 2:
			terms[i] = fmt.Sprintf("*/%d", n)
		case 3:
			terms[i] = fmt.Sprintf("%d,%d", n/3, n/2)
		default:
			terms[i] = "*"
		}
	}
	return strings.Join(terms, " ")
}
