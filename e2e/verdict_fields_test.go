package e2e

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"kilter.dev/kilter/internal/mutate"
)

// fields says for each field, by its path, which values to try there. A path that a manifest lacks is tried where it can be made.
type fields map[string][]any

// drawn is a value that the generator draws anew each time.
type drawn func(*rand.Rand) any

type (
	object = map[string]any
	list   = []any
)

const absent = mutate.Remove

var (
	// counts are for integers of 32 bits that must not be negative; the JSON of the last ones is no such integer.
	counts = []any{0, 1, 2, 7, -1, 100_000, 1<<31 - 1, 1 << 31, 1.5, "3", true, nil, absent, mutate.Twice, list{}, drawn(smallInt)}
	// shares are integers or percentages.
	shares = []any{0, 1, -1, "0%", "25%", "100%", "101%", "-1%", "1", "", "%", "1.5%", " 1%", 1.5, true, nil, absent, mutate.Twice}
	flags  = []any{true, false, "true", 0, nil, absent, mutate.Twice}
	labels = []any{
		object{"app": "a", "tier": "back"},
		object{"app": "a"},
		object{"app": "b"},
		object{},
		nil, absent,
		list{},
		"app=a", mutate.Twice,
		object{"app": "a", "": "x"},
		object{"app": "a", "a/b/c": "x"},
		object{"app": "a", "-x": "y"},
		object{"app": strings.Repeat("a", 64)},
		object{"app": "a", strings.Repeat("p", 254) + "/k": "x"},
		object{"app": "a", "k": "-"},
		object{"app": 1},
		object{"app": "a", "app.kubernetes.io/name": "x", "k": ""},
	}
	selectors = []any{
		absent, nil,
		object{},
		object{"matchLabels": object{"app": "a"}},
		object{"matchLabels": object{"app": "other"}},
		"app=a",
		object{"app": "a"},
		object{"matchLabels": object{"app": "a", "absent": "x"}},
		object{"matchExpressions": list{object{"key": "app", "operator": "In", "values": list{"a", "b"}}}},
		object{"matchExpressions": list{object{"key": "app", "operator": "In"}}},
		object{"matchExpressions": list{object{"key": "app", "operator": "Exists", "values": list{"a"}}}},
		object{"matchExpressions": list{object{"key": "app", "operator": "in", "values": list{"a"}}}},
		object{"matchExpressions": list{object{"key": "-", "operator": "DoesNotExist"}}},
	}
	seconds = []any{0, 1, 30, -1, 604_800, 31_536_001, 1<<31 - 1, 1 << 31, 0.5, "60s", nil, absent, mutate.Twice}
)

// metadataFields are those of every object.
var metadataFields = fields{
	"metadata": {absent, nil, "name", object{}, object{"generateName": "drawn-"}, object{"generateName": "Upper-"}, mutate.Twice},
	"metadata.name": {
		"a", "0", "a-b", "a.b", "a..b", "-a", "a-", "Upper", "under_score", "with space", "ünïcode", "a/b", ".", "..", "%41", "", 7, nil, absent,
		mutate.Twice, strings.Repeat("a", 52), strings.Repeat("a", 53), strings.Repeat("a", 63), strings.Repeat("a", 64),
		strings.Repeat("a", 253), strings.Repeat("a", 254), strings.Repeat("a.", 25) + "a", strings.Repeat("a", 64) + ".b", drawn(anyName),
	},
	"metadata.generateName": {"", "b-", "Upper-", strings.Repeat("a", 260), 7, drawn(anyName)},
	"metadata.namespace":    {absent, "", "elsewhere", "Not_A name", 7, nil},
	"metadata.labels":       labels,
	"metadata.annotations": {
		object{"a": "b"},
		object{"Example.com/Mixed": ""},
		object{"a b": ""},
		object{"a/b/c": ""},
		object{"": ""},
		object{"a": 1},
		object{"a": true},
		object{"batch.kubernetes.io/cronjob-scheduled-timestamp": "yesterday"},
		object{"a": strings.Repeat("x", 257<<10)},
		object{"deprecated.daemonset.template.generation": "x"},
		object{"batch.kubernetes.io/job-tracking": ""},
		nil,
		list{},
		absent, mutate.Twice,
	},
	"metadata.finalizers": {
		list{"example.com/hold"},
		list{"foregroundDeletion"},
		list{"hold"},
		list{"a b/c"},
		list{""},
		list{"foregroundDeletion", "orphan"},
		"x", nil,
		list{"example.com/hold", "example.com/hold"},
		list{1},
	},
	"metadata.ownerReferences": {
		list{owner(nil)},
		list{owner(object{"controller": true})},
		list{owner(object{"uid": ""})},
		list{owner(object{"name": ""})},
		list{object{}},
		list{owner(object{"apiVersion": ""})},
		list{owner(object{"apiVersion": "a/b/c"})},
		list{owner(object{"kind": ""})},
		list{owner(nil), owner(nil)},
		list{owner(object{"controller": true}), owner(object{"controller": true})}, // the same twice is one
		list{owner(object{"apiVersion": "v1", "kind": "Event"})},
		list{owner(object{"controller": true}), owner(object{"controller": true, "uid": "2"})},
		object{},
		nil,
	},
	"metadata.creationTimestamp":          {nil, "2026-01-31T08:00:00Z", "yesterday", 0},
	"metadata.deletionTimestamp":          {nil, "2026-01-31T08:00:00Z"},
	"metadata.deletionGracePeriodSeconds": {0, -1, "0"},
	"metadata.resourceVersion":            {"", "0", "1", "x", 1},
	"metadata.uid":                        {"", "6f1b5cb5-6e2c-4c9d-9a0e-6f0f6a1b0c02", "x"},
	"metadata.generation":                 {0, 1, -1, "1"},
	"metadata.selfLink":                   {"/x"},
	"metadata.clusterName":                {"x"},
	"metadata.unknown":                    {"x"},
	"unknown":                             {1, nil, object{}},
	"spec":                                {absent, nil, object{}, list{}, "x", 1, mutate.Twice},
	"spec.unknown":                        {true, nil},
	"status":                              {object{}, object{"unknown": 1}, nil, "x"},
}

// jobFields are below the spec of a Job or of a CronJob's jobTemplate.
var jobFields = fields{
	"activeDeadlineSeconds": append(seconds, 1<<40),
	"backoffLimit":          counts,
	"backoffLimitPerIndex":  counts,
	"completionMode":        {"Indexed", "NonIndexed", "indexed", "", nil, absent, 1, mutate.Twice},
	"completions":           counts,
	"managedBy": {
		"kubernetes.io/job-controller", "example.com/own", "own", "", "Example.com/x", "example.com/" + strings.Repeat("x", 64), "a/b/c", nil, absent, 1,
		mutate.Twice,
	},
	"manualSelector":   flags,
	"maxFailedIndexes": counts,
	"parallelism":      counts,
	"podFailurePolicy": {
		absent, nil,
		object{},
		object{"rules": list{}},
		object{"rules": manyOf(21, ignoreDisruption)},
		object{"rules": manyOf(20, ignoreDisruption)},
		object{"rules": list{object{"action": "Ignore"}}},
		object{"rules": list{exitRule(1)}},
		object{"rules": list{exitRule(0)}},
		object{"rules": "x"},
		object{"rules": list{exitRule(2, 1)}},
		object{"rules": list{exitRule(1, 1)}},
		object{"rules": list{exitRule()}},
		mutate.Twice,
	},
	"podFailurePolicy.rules[0].action":                    {"FailJob", "FailIndex", "Ignore", "Count", "Retry", "", nil, absent, 1},
	"podFailurePolicy.rules[0].onExitCodes":               {absent, object{}, nil},
	"podFailurePolicy.rules[0].onExitCodes.containerName": {"main", "prepare", "sidecar", "absent", "", absent, nil, 1},
	"podFailurePolicy.rules[0].onExitCodes.operator":      {"In", "NotIn", "Exists", "", absent},
	"podFailurePolicy.rules[0].onExitCodes.values":        {list{1}, list{256}, list{-1}, list{}, absent, list{"1"}, manyOf(256, 1), list{1, 2, 2}},
	"podFailurePolicy.rules[0].onPodConditions":           {list{ignoreDisruption["onPodConditions"].(list)[0]}, list{object{}}},
	"podFailurePolicy.rules[1]":                           {mutate.Again, absent, object{"action": "Count", "unknown": 1}},
	"podFailurePolicy.rules[1].onPodConditions":           {absent, list{}, manyOf(21, ignoreDisruption["onPodConditions"].(list)[0])},
	"podFailurePolicy.rules[1].onPodConditions[0].type":   {"Ready", "a b", "", "example.com/x", absent},
	"podFailurePolicy.rules[1].onPodConditions[0].status": {"True", "False", "Unknown", "true", true, "", absent},
	"podReplacementPolicy":                                {"Failed", "TerminatingOrFailed", "Never", "", nil, absent, 1, mutate.Twice},
	"scheduling":                                          {object{}, nil, "x", object{"policy": object{}}},
	"selector":                                            selectors,
	"successPolicy":                                       {absent, nil, object{}, object{"rules": list{}}, object{"rules": list{object{}}}, "x", mutate.Twice},
	"successPolicy.rules":                                 {manyOf(20, object{"succeededCount": 1}), manyOf(21, object{"succeededCount": 1}), nil},
	"successPolicy.rules[0].succeededCount":               {0, 1, 3, 4, 5, -1, "1", absent, nil},
	"successPolicy.rules[0].succeededIndexes":             {"0", "0-3", "3-0", "0,0", "0,1,", "4", "-1", "a", "", " 1", "1-1", "0-2,4", absent, 0, nil},
	"suspend":                 flags,
	"template":                {absent, nil, object{}, "x", mutate.Twice},
	"ttlSecondsAfterFinished": counts,
	"template.metadata.labels[batch.kubernetes.io/job-name]": {"lean", "other"},
	"template.metadata.labels[controller-uid]":               {"x"},
}

var ignoreDisruption = object{"action": "Ignore", "onPodConditions": list{object{"type": "DisruptionTarget", "status": "True"}}}

func exitRule(codes ...any) any {
	return object{"action": "FailJob", "onExitCodes": object{"operator": "In", "values": append(list{}, codes...)}}
}

// cronJobFields are a CronJob's own.
var cronJobFields = fields{
	"spec.concurrencyPolicy":          {"Allow", "Forbid", "Replace", "Maybe", "forbid", "", nil, absent, 1, mutate.Twice},
	"spec.failedJobsHistoryLimit":     counts,
	"spec.jobTemplate":                {absent, nil, object{}, "x", mutate.Twice},
	"spec.jobTemplate.metadata.name":  {"x", "Upper", ""},
	"spec.jobTemplate.metadata.label": {object{"a": "b"}},
	// Kubernetes does not look at these before a Job is made of them.
	"spec.jobTemplate.metadata.labels":      labels,
	"spec.jobTemplate.metadata.annotations": {object{"a": "b"}, object{"a b": ""}, object{"a": 1}, nil},
	"spec.jobTemplate.spec":                 {absent, nil, object{}, list{}},
	"spec.schedule": {
		// Legal, whatever one may think: a day that never comes, a negative interval, names, a zone, ? for *.
		"0 0 30 2 *", "@every -1h", "@every 1m30s", "@midnight", "0 0 * JAN-MAR MON", "TZ=UTC 0 0 * * *", "CRON_TZ=Europe/Zurich 0 0 * * *", "0 0 ? * ?",
		"*/7 0-23/2 1,15 * 0-6", "  0 0 * * *  ", "0\t0 * * *",
		// Sunday is 0 only, and there are five fields.
		"0 0 * * 7", "@reboot", "0 0 L * *", "0 0 * *", "0 0 0 * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "5-1 * * * *", "*/0 * * * *",
		"a b c d e", "@every", "@every 1x", "@Daily", "TZ=Mars/Olympus 0 0 * * *", "TZ= 0 0 * * *", "TZ=UTC", "", " ", nil, absent, 0, mutate.Twice,
		drawn(anySchedule), drawn(anySchedule), drawn(anySchedule), drawn(anySchedule), drawn(anySchedule), drawn(anySchedule),
	},
	"spec.startingDeadlineSeconds":    append(seconds, 5, 1<<40),
	"spec.successfulJobsHistoryLimit": counts,
	"spec.suspend":                    flags,
	"spec.timeZone": {
		"Etc/UTC", "Asia/Kolkata", "America/Argentina/Buenos_Aires", "UTC", "GMT+1", "Etc/GMT-14", "Local", "local", "europe/zurich", "Mars/Olympus_Mons", "",
		" ", "Europe/", "../etc/passwd", "/Europe/Zurich", "+01:00", "EST", "US/Pacific-New", nil, absent, 1, mutate.Twice,
	},
}

// rolloutFields are common to DaemonSet, Deployment and StatefulSet.
var rolloutFields = fields{
	"spec.minReadySeconds":      counts,
	"spec.revisionHistoryLimit": counts,
	"spec.selector":             selectors,
	"spec.template":             {absent, nil, object{}, "x", list{}, mutate.Twice},
}

var daemonSetFields = fields{
	"spec.replicas":           {1}, // belongs to other kinds
	"spec.templateGeneration": {1},
	"spec.updateStrategy": {
		absent, nil,
		object{},
		object{"type": "OnDelete"},
		object{"type": "OnDelete", "rollingUpdate": object{"maxUnavailable": 1}},
		"OnDelete",
		// maxUnavailable defaults to 1, and only one of the two may be more than 0.
		object{"rollingUpdate": object{"maxSurge": 1}},
		object{"rollingUpdate": object{"maxSurge": "25%", "maxUnavailable": 0}},
		object{"rollingUpdate": object{"maxSurge": 0, "maxUnavailable": 0}},
		object{"rollingUpdate": object{"partition": 1}},
		mutate.Twice,
	},
	"spec.updateStrategy.rollingUpdate":                {absent, nil, object{}, "x", mutate.Twice},
	"spec.updateStrategy.rollingUpdate.maxSurge":       shares,
	"spec.updateStrategy.rollingUpdate.maxUnavailable": shares,
	"spec.updateStrategy.type":                         {"RollingUpdate", "OnDelete", "Recreate", "rollingupdate", "", nil, absent, 1},
}

var deploymentFields = fields{
	"spec.paused":                  flags,
	"spec.progressDeadlineSeconds": append(counts, 5, 6, 600), // must be more than minReadySeconds
	"spec.replicas":                counts,
	"spec.rollbackTo":              {object{"revision": 1}}, // of an older API version
	"spec.strategy": {
		absent, nil,
		object{},
		object{"type": "Recreate"},
		object{"type": "Recreate", "rollingUpdate": object{"maxSurge": 1}},
		"Recreate",
		object{"type": "Recreate", "rollingUpdate": object{}},
		object{"rollingUpdate": object{"maxSurge": 0, "maxUnavailable": 0}},
		object{"rollingUpdate": object{"maxSurge": "0%", "maxUnavailable": "0%"}},
		mutate.Twice,
	},
	"spec.strategy.rollingUpdate":                {absent, nil, object{}, "x", mutate.Twice},
	"spec.strategy.rollingUpdate.maxSurge":       append(shares, 5, "200%"),
	"spec.strategy.rollingUpdate.maxUnavailable": append(shares, 5, "200%"),
	"spec.strategy.type":                         {"RollingUpdate", "Recreate", "OnDelete", "recreate", "", nil, absent, 1},
	"spec.updateStrategy":                        {object{"type": "RollingUpdate"}}, // the name that other kinds have for it
}

var statefulSetFields = fields{
	"spec.ordinals":       {absent, nil, object{}, "x"},
	"spec.ordinals.start": counts,
	"spec.persistentVolumeClaimRetentionPolicy": {
		absent, nil, object{}, object{"whenDeleted": "Delete"}, object{"whenScaled": "Delete"}, "Retain", mutate.Twice,
	},
	"spec.persistentVolumeClaimRetentionPolicy.whenDeleted": {"Retain", "Delete", "Recycle", "", nil, absent, 1},
	"spec.persistentVolumeClaimRetentionPolicy.whenScaled":  {"Retain", "Delete", "delete", "", nil, absent, 1},
	"spec.podManagementPolicy":                              {"OrderedReady", "Parallel", "Anyhow", "", nil, absent, 1, mutate.Twice},
	"spec.replicas":                                         counts,
	"spec.serviceName": {
		"svc", "", absent, nil, 1, "Upper", "a.b", "-a", strings.Repeat("a", 63), strings.Repeat("a", 64), "0svc", drawn(anyName),
	},
	"spec.updateStrategy": {
		absent, nil,
		object{},
		object{"type": "OnDelete"},
		object{"type": "OnDelete", "rollingUpdate": object{}},
		"OnDelete",
		object{"type": "OnDelete", "rollingUpdate": object{"partition": 1}},
		object{"type": "RollingUpdate"},
		mutate.Twice,
	},
	"spec.updateStrategy.rollingUpdate":                {absent, nil, object{}, "x"},
	"spec.updateStrategy.rollingUpdate.maxUnavailable": shares,
	"spec.updateStrategy.rollingUpdate.partition":      counts,
	"spec.updateStrategy.type":                         {"RollingUpdate", "OnDelete", "Recreate", "", nil, absent, 1},
	"spec.volumeClaimTemplates":                        {absent, nil, list{}, list{object{}}, object{}, mutate.Twice},
	"spec.volumeClaimTemplates[0]":                     {mutate.Again, absent, nil, "x"},
	"spec.volumeClaimTemplates[0].metadata.name":       {"config", "other", "Upper", "", absent, "a.b"}, // config is a volume too
	"spec.volumeClaimTemplates[0].spec":                {absent, object{}, nil},
	"spec.volumeClaimTemplates[0].spec.accessModes": {
		list{"ReadWriteOnce"}, list{"ReadWriteOncePod", "ReadWriteMany"}, list{"ReadWrite"}, list{}, absent, "ReadWriteOnce",
	},
	"spec.volumeClaimTemplates[0].spec.resources.requests.storage": {"1Gi", 1, "1GB", "0", "-1Gi", "1Gigabyte", absent, nil, 1.5},
	"spec.volumeClaimTemplates[0].spec.storageClassName":           {"", "fast", "Not A Class", nil, 1},
	"spec.volumeClaimTemplates[0].spec.volumeMode":                 {"Block", "Filesystem", "Tape", ""},
	"spec.volumeClaimTemplates[0].spec.unknown":                    {1},
}

func owner(with object) object {
	o := object{"apiVersion": "example.com/v1", "kind": "Owner", "name": "o", "uid": "6f1b5cb5-6e2c-4c9d-9a0e-6f0f6a1b0c01"}
	for key, value := range with {
		o[key] = value
	}
	return o
}

func manyOf(n int, item any) list {
	items := list{}
	for range n {
		items = append(items, item)
	}
	return items
}

func smallInt(r *rand.Rand) any { return r.IntN(40) - 10 }

// anyName draws names of which about half are legal.
func anyName(r *rand.Rand) any {
	const letters = "abcxyz0189-----....AZ_ "
	name := make([]byte, 1+r.IntN(8))
	for i := range name {
		name[i] = letters[r.IntN(len(letters)-r.IntN(10))]
	}
	return strings.Repeat(string(name), 1+r.IntN(9))
}

// anySchedule draws five fields, each from its range and a little beyond.
func anySchedule(r *rand.Rand) any {
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
