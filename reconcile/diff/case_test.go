package diff

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/health"
)

// A case of testdata says in its sections git, cluster and sync what Compute is given, and in its section plan what comes of it. A line
// of git or cluster is an object and its facts; what a line does not say is as in a cluster at rest.
//
//	git      Kind.group namespace/name  hash=…  applied  after=Kind.group:namespace/name,…  defines=Kind.group  create-only  refused=…  ceded=…  over
//	         of a Job also  spec=…  trigger=…  indexes=…  elastic  run=once|on-commit|manual  replace=immediately|never
//	cluster  Kind.group namespace/name  applied=…  fields=edited|unknown  health=Terminating  kept  cascade  foreign  refused=…  after=Kind.group:namespace/name
//	         of a Job also  record=…  spec=…  trigger=…  indexes=…  outcome=Complete|Failed  suspended
//	runs     Kind.group namespace/name  asked=…  last=…  spec=…  trigger=…  indexes=…  outcome=…  completed
//	manifest, owners  the YAML of the first object of git, and of who owns which of its fields
//	sync     drift=Report  prune=false  withheld=…  limit=2  limit=50%  limit=none
func parse(t *testing.T, archive *txtar.Archive) Input {
	t.Helper()
	in := factsByID{
		Live: map[manifests.ID]Live{}, Expected: map[manifests.ID]string{}, Ceded: map[manifests.ID]Ceded{},
		Refused: map[manifests.ID]string{}, Runs: map[manifests.ID]Runs{}, Prune: Prune{Enabled: true},
	}
	section := func(name string, each func(words []string)) {
		for _, file := range archive.Files {
			if file.Name == name {
				for line := range strings.Lines(string(file.Data)) {
					each(strings.Fields(line))
				}
			}
		}
	}
	section("git", func(words []string) {
		id := parseID(t, words[0], words[1])
		facts := parseFacts(words[2:])
		object := &manifests.Object{
			ID: id, Version: "v1", Hash: "v1", Origin: manifests.Origin{File: strings.ToLower(id.Kind) + ".yaml", Line: 1, Column: 1},
		}
		if hash := facts["hash"]; hash != "" {
			object.Hash = hash
		}
		if _, ok := facts["applied"]; ok {
			in.Expected[id] = "ours"
		}
		if after, ok := facts["after"]; ok {
			for reference := range strings.SplitSeq(after, ",") {
				kind, name, _ := strings.Cut(reference, ":")
				object.DependsOn = append(object.DependsOn, parseID(t, kind, name))
			}
		}
		if kind, ok := facts["defines"]; ok {
			gk := schema.ParseGroupKind(kind)
			object.Defines = &gk
		}
		if id.Kind == "Job" {
			object.Run = &manifests.Run{
				Identity: facts["spec"], Policy: manifests.RunPolicy(cmp.Or(facts["run"], string(manifests.RunOnChange))),
				Replace: manifests.ReplacePolicy(cmp.Or(facts["replace"], string(manifests.ReplaceAfterFinish))),
			}
			object.Run.Indexes = parseIndexes(facts["indexes"])
			_, object.Run.Elastic = facts["elastic"]
			in.Runs[id] = Runs{Identity: parseIdentity(object.Hash, facts)}
		}
		_, object.CreateOnly = facts["create-only"]
		if refused, ok := facts["refused"]; ok {
			in.Refused[id] = strings.ReplaceAll(refused, "_", " ")
		}
		before, ceded := facts["ceded"]
		_, over := facts["over"]
		if ceded || over {
			in.Ceded[id] = Ceded{Before: before, Reason: "a field is ceded", Over: over}
		}
		in.Desired = append(in.Desired, object)
	})
	section("runs", func(words []string) {
		id := parseID(t, words[0], words[1])
		facts := parseFacts(words[2:])
		runs := in.Runs[id]
		runs.Asked = facts["asked"]
		_, runs.Completed = facts["completed"]
		if last := facts["last"]; last != "" {
			runs.Last = &Run{Record: last, Identity: parseIdentity(facts["manifest"], facts), Outcome: Outcome(facts["outcome"]), Message: "1 failed"}
		}
		in.Runs[id] = runs
	})
	section("cluster", func(words []string) {
		id := parseID(t, words[0], words[1])
		facts := parseFacts(words[2:])
		live := Live{ID: id, Member: true, Applied: "v1", Fields: "ours", Health: health.Health{Word: health.Current}}
		if applied, ok := facts["applied"]; ok {
			live.Applied = applied
		}
		if word, ok := facts["health"]; ok {
			live.Health.Word = health.Word(word)
		}
		_, live.Cascade = facts["cascade"]
		if after, ok := facts["after"]; ok {
			kind, name, _ := strings.Cut(after, ":")
			live.DependsOn = []manifests.ID{parseID(t, kind, name)}
		}
		if record := facts["record"]; record != "" {
			_, suspended := facts["suspended"]
			live.Job = &JobState{
				Record: record, Identity: parseIdentity(live.Applied, facts), Outcome: Outcome(facts["outcome"]), Suspended: suspended,
				Indexes: parseIndexes(facts["indexes"]),
			}
		}
		if _, ok := facts["kept"]; ok {
			live.Kept = "kilter.dev/prune: disabled"
		}
		if _, ok := facts["foreign"]; ok {
			live.Member = false
		}
		if refused, ok := facts["refused"]; ok {
			live.Member, live.Refused = false, strings.ReplaceAll(refused, "_", " ")
		}
		switch facts["fields"] {
		case "":
			in.Expected[id] = live.Fields
		case "edited":
			in.Expected[id], live.Fields = live.Fields, "edited"
		case "unknown": // nothing is expected
		default:
			t.Fatalf("fields=%s of %s: must be edited or unknown", facts["fields"], id)
		}
		in.Live[id] = live
	})
	whole := func(name string, to any) {
		for _, file := range archive.Files {
			if file.Name == name {
				if err := yaml.UnmarshalStrict(file.Data, to); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if len(in.Desired) > 0 {
		first := in.Desired[0]
		var manifest json.RawMessage
		whole("manifest", &manifest)
		first.JSON = manifest
		live, exists := in.Live[first.ID]
		if whole("owners", &live.Owners); exists {
			in.Live[first.ID] = live
		}
	}
	section("sync", func(words []string) {
		facts := parseFacts(words)
		in.ReportDrift = in.ReportDrift || facts["drift"] == "Report"
		if facts["prune"] == "false" {
			in.Prune.Enabled = false
		}
		if withheld, ok := facts["withheld"]; ok {
			in.Prune.Withheld = strings.ReplaceAll(withheld, "_", " ")
		}
		if limit, ok := facts["limit"]; ok {
			in.Prune.Limit = parseLimit(t, limit)
		}
	})
	return in.input()
}

// factsByID are an Input, by ID.
type factsByID struct {
	Desired     []*manifests.Object
	Live        map[manifests.ID]Live
	Expected    map[manifests.ID]string
	Ceded       map[manifests.ID]Ceded
	Runs        map[manifests.ID]Runs
	Refused     map[manifests.ID]string
	ReportDrift bool
	Prune       Prune
}

// input returns what Compute takes.
func (f factsByID) input() Input {
	slices.SortFunc(f.Desired, func(a, b *manifests.Object) int { return a.ID.Compare(b.ID) })
	in := Input{Set: f.Desired, ReportDrift: f.ReportDrift, Prune: f.Prune}
	others := maps.Clone(f.Live)
	for _, object := range f.Desired {
		wanted := Wanted{Object: object, Expected: f.Expected[object.ID], Refused: f.Refused[object.ID]}
		if live, ok := f.Live[object.ID]; ok {
			wanted.Live = &live
			delete(others, object.ID)
		}
		if ceded, ok := f.Ceded[object.ID]; ok {
			wanted.Ceded = &ceded
		}
		if runs, ok := f.Runs[object.ID]; ok {
			wanted.Runs = &runs
		}
		in.Desired = append(in.Desired, wanted)
	}
	for _, live := range others {
		in.Others = append(in.Others, &live)
	}
	return in
}

func parseID(t *testing.T, kind, name string) manifests.ID {
	t.Helper()
	gk := schema.ParseGroupKind(kind)
	id := manifests.ID{Group: gk.Group, Kind: gk.Kind, Name: name}
	if namespace, rest, ok := strings.Cut(name, "/"); ok {
		id.Namespace, id.Name = namespace, rest
	}
	if id.Kind == "" || id.Name == "" {
		t.Fatalf("%q %q is not an object: write Kind.group namespace/name", kind, name)
	}
	return id
}

func parseIdentity(manifest string, facts map[string]string) Identity {
	return Identity{Spec: facts["spec"], Manifest: manifest, Trigger: facts["trigger"], Indexes: parseIndexes(facts["indexes"])}
}

func parseIndexes(text string) int32 {
	indexes, _ := strconv.ParseInt(text, 10, 32)
	return int32(indexes)
}

func parseFacts(words []string) map[string]string {
	facts := map[string]string{}
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		facts[key] = value
	}
	return facts
}

// parseLimit reads a count or a percentage, rounded down.
func parseLimit(t *testing.T, text string) func(int) int {
	t.Helper()
	if text == "none" {
		return nil
	}
	number, percentage := strings.CutSuffix(text, "%")
	n, err := strconv.Atoi(number)
	if err != nil {
		t.Fatal(err)
	}
	if percentage {
		return func(total int) int { return total * n / 100 }
	}
	return func(int) int { return n }
}

// describe prints a plan whole: every action, also those that do nothing, with what it comes after.
func describe(plan Plan) string {
	var b strings.Builder
	for _, action := range plan.Actions {
		fmt.Fprintln(&b, action)
		if action.Past != nil {
			fmt.Fprintf(&b, "          past %s %s: %s\n", action.Past.Word, action.Past.Reason, action.Past.Message)
		}
		if action.Ends {
			fmt.Fprintln(&b, "          ends an exception")
		}
		for _, id := range action.After {
			fmt.Fprintf(&b, "          after %s\n", id)
		}
	}
	if plan.PruneBlocked != "" {
		fmt.Fprintf(&b, "prune blocked: %s\n", plan.PruneBlocked)
	}
	return b.String()
}

// sortedIDs returns the keys of a map in the order of everything that is printed.
func sortedIDs[V any](of map[manifests.ID]V) []manifests.ID {
	return slices.SortedFunc(maps.Keys(of), manifests.ID.Compare)
}
