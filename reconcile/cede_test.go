package reconcile

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
)

// manifest is an object as the loader makes it.
func manifest(json string) *manifests.Object {
	sum := sha256.Sum256([]byte(json))
	id := manifests.ID{Group: "batch", Kind: "CronJob", Namespace: "shop", Name: "report"}
	return &manifests.Object{ID: id, Version: "v1", JSON: []byte(json), Hash: hex.EncodeToString(sum[:])}
}

// Whose spec.suspend and spec.replicas are, and what the plan then says.
func TestCede(t *testing.T) {
	const (
		bare      = `{"spec":{"schedule":"@daily"}}`
		running   = `{"spec":{"schedule":"@daily","suspend":false}}`
		held      = `{"spec":{"schedule":"@daily","suspend":true}}`
		null      = `{"spec":{"schedule":"@daily","suspend":null}}`
		three     = `{"spec":{"replicas":3}}`
		noCount   = `{"spec":{}}`
		left      = "spec.suspend is left to an exception"
		over      = "its suspension by alice until 2026-01-02T11:00:00Z is over"
		queue     = "a queue has taken over spec.suspend"
		takenBack = "its suspension by alice was taken back"
	)
	inForce := &diff.Exception{Until: noon().Add(time.Hour), By: "alice"}
	past := &diff.Exception{Until: noon().Add(-time.Hour), By: "alice"}
	now := &diff.Exception{Until: noon(), By: "alice"}
	hash := func(json string) string { return manifest(json).Hash }
	for _, c := range []struct {
		name      string
		git       string
		applied   string
		exception *diff.Exception
		scaled    bool
		queued    bool
		want      string // what is applied
		ceded     diff.Ceded
	}{
		{"nothing special", running, running, nil, false, false, running, diff.Ceded{}},
		{"changed in Git", bare, running, nil, false, false, bare, diff.Ceded{}},
		{"never applied", running, "", nil, false, false, running, diff.Ceded{Before: hash(bare), Reason: "spec.suspend is Git's again"}},
		{"an exception from what Git says", running, running, inForce, false, false, bare, diff.Ceded{Before: hash(running), Reason: left}},
		{"an exception that goes on", running, bare, inForce, false, false, bare, diff.Ceded{Before: hash(running), Reason: left}},
		{"an exception that Git leaves room for", bare, bare, inForce, false, false, bare, diff.Ceded{}},
		{"an exception that Git agrees with", held, held, inForce, false, false, held, diff.Ceded{}},
		{"an exception beside null", null, null, inForce, false, false, null, diff.Ceded{}},
		{"over", running, bare, past, false, false, running, diff.Ceded{Before: hash(bare), Reason: over, Over: true}},
		{"over this very moment", running, bare, now, false, false, running, diff.Ceded{
			Before: hash(bare), Reason: "its suspension by alice until 2026-01-02T12:00:00Z is over", Over: true,
		}},
		{"over, where Git leaves room", bare, bare, past, false, false, bare, diff.Ceded{Before: hash(bare), Reason: over, Over: true}},
		{"over, where Git agrees", held, held, past, false, false, held, diff.Ceded{Before: hash(bare), Reason: over, Over: true}},
		{"taken back by hand", running, bare, &diff.Exception{By: "alice"}, false, false, running, diff.Ceded{Before: hash(bare), Reason: takenBack, Over: true}},
		{"resumed before its time", running, bare, nil, false, false, running, diff.Ceded{Before: hash(bare), Reason: "spec.suspend is Git's again"}},
		{"an autoscaler", three, three, nil, true, false, noCount, diff.Ceded{Before: hash(three), Reason: "an autoscaler has taken over its replicas"}},
		{"a queue", held, held, nil, false, true, bare, diff.Ceded{Before: hash(held), Reason: queue}},
		{"a queue that goes on", held, bare, nil, false, true, bare, diff.Ceded{Before: hash(held), Reason: queue}},
		{"a queue that Git leaves room for", bare, bare, nil, false, true, bare, diff.Ceded{}},
		{"no queue any more", held, bare, nil, false, false, held, diff.Ceded{Before: hash(bare), Reason: "spec.suspend is Git's again"}},
		{"an exception in a queue", running, running, inForce, false, true, bare, diff.Ceded{Before: hash(running), Reason: left}},
		{"no autoscaler any more", three, noCount, nil, false, false, three, diff.Ceded{Before: hash(noCount), Reason: "spec.replicas is Git's again"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			live := &diff.Live{Exception: c.exception, SuspendTaken: c.queued}
			if c.applied != "" {
				live.Applied = hash(c.applied)
			}
			object := manifest(c.git)
			wanted, ceded := cede(object, live, c.scaled, noon())
			if string(wanted.JSON) != c.want || wanted.Hash != hash(c.want) {
				t.Errorf("applied is %s", wanted.JSON)
			}
			if diff := cmp.Diff(c.ceded, ceded); diff != "" {
				t.Errorf("ceded (-want +got):\n%s", diff)
			}
			if string(object.JSON) != c.git {
				t.Error("the object was changed")
			}
		})
	}
}

// The loop wakes up for the exception that ends first after the pass; one that could not be ended has its second attempt instead.
func TestNextExpiry(t *testing.T) {
	r := succeeded()
	if got := nextExpiry(r); !got.IsZero() {
		t.Errorf("without an exception a pass is due at %s", got)
	}
	excepted := func(until time.Time) Exception { return Exception{Exception: diff.Exception{Until: until}} }
	r.Exceptions = []Exception{excepted(time.Time{}), excepted(noon().Add(-time.Hour)), excepted(noon()), excepted(noon().Add(time.Minute))}
	if got, want := nextExpiry(r), noon().Add(time.Minute); !got.Equal(want) {
		t.Errorf("a pass is due at %s, want %s", got, want)
	}
}
