package main

import (
	"slices"
	"strings"
	"testing"
)

func TestWatch(t *testing.T) {
	events := `{"Action":"start","Package":"p"}
{"Action":"output","Package":"p","Test":"TestFine","Output":"quiet\n"}
{"Action":"pass","Package":"p","Test":"TestFine"}
{"Action":"output","Package":"p","Test":"TestTells","Output":"the password is ` + word + `-x\n"}
{"Action":"output","Package":"p","Test":"TestTells","Output":"again ` + word + `\n"}
{"Action":"pass","Package":"p","Test":"TestTells"}
{"Action":"output","Package":"p","Test":"TestBroken","Output":"why\n"}
{"Action":"fail","Package":"p","Test":"TestBroken"}
{"Action":"output","Package":"p","Output":"log ` + word + `\n"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}
{"Action":"fail","Package":"p"}
{"Action":"output","Package":"q","Output":"ok  \tq\t0.1s\n"}
{"ImportPath":"r","Action":"build-output","Output":"r.go:1: no\n"}
go: no such thing
`
	var shown strings.Builder
	told, err := watch(strings.NewReader(events), &shown)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"p TestTells", "p"}; !slices.Equal(told, want) {
		t.Errorf("told by %q; want %q", told, want)
	}
	want := "why\nFAIL\tp\t0.1s\nlog " + word + "\nok  \tq\t0.1s\nr.go:1: no\ngo: no such thing\n"
	if shown.String() != want {
		t.Errorf("shown is\n%s\nwant\n%s", shown.String(), want)
	}
}
