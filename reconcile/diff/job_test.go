package diff

import (
	"strings"
	"testing"

	"kilter.dev/kilter/manifests"
)

func TestIdentity(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 4)
	due := func(a, b Identity) bool {
		return Runs{Identity: a}.due(&manifests.Run{Policy: manifests.RunOnChange}, b) != ""
	}
	a := NewIdentity(long, "m1"+long, "")
	for _, c := range []struct {
		name  string
		other Identity
		same  bool
	}{
		{"itself", a, true},
		{"as it is kept", ParseIdentity(a.String()), true},
		{"another text of the same spec", NewIdentity(long, "m2", ""), true},
		{"the same text, with other defaults", NewIdentity("s2", "m1"+long, ""), true},
		{"another", Identity{Spec: "s2", Manifest: "m2"}, false},
		{"the same work, started by something else", NewIdentity(long, "m1"+long, "t"), false},
		{"of nothing", Identity{}, false},
	} {
		if due(a, c.other) == c.same || due(c.other, a) == c.same {
			t.Errorf("%s: %v is the same: %t", c.name, c.other, !c.same)
		}
	}
	if !due(Identity{}, Identity{}) {
		t.Error("what ran is not known, and counts as the same")
	}
	indexed := a
	indexed.Indexes = 12
	if got := ParseIdentity(indexed.String()); got != indexed {
		t.Errorf("%v is read as %v", indexed, got)
	}
	for _, text := range []string{"", "a", "a.b", "a.b.c.d", "a.b.c.1.2"} {
		if got := ParseIdentity(text); got != (Identity{}) {
			t.Errorf("ParseIdentity(%q) = %v", text, got)
		}
	}
	if got, want := a.String(), "0123456789abcdef.m10123456789abcd."; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
