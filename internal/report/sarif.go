package report

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/url"
	"path"
	"slices"
	"strings"

	"kilter.dev/kilter/manifests"
)

// documentation is where the pages of docs/ are published.
const documentation = "https://kilter.dev/docs/"

// The parts of SARIF 2.1.0 that are used (docs.oasis-open.org/sarif/sarif/v2.1.0), with all that GitHub's code scanning asks for.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool       sarifTool     `json:"tool"`
		ColumnKind string        `json:"columnKind"`
		Results    []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		Version        string      `json:"version"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID               string         `json:"id"`
		ShortDescription sarifText      `json:"shortDescription"`
		FullDescription  sarifText      `json:"fullDescription"`
		Help             sarifText      `json:"help"`
		HelpURI          string         `json:"helpUri"`
		Configuration    sarifLevel     `json:"defaultConfiguration"`
		Properties       sarifRuleProps `json:"properties"`
	}
	sarifLevel struct {
		Level string `json:"level"`
	}
	sarifRuleProps struct {
		Tags []string `json:"tags"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID       string            `json:"ruleId"`
		RuleIndex    int               `json:"ruleIndex"`
		Level        string            `json:"level"`
		Message      sarifText         `json:"message"`
		Locations    []sarifLocation   `json:"locations"`
		Fingerprints map[string]string `json:"partialFingerprints"`
	}
	sarifLocation struct {
		Physical sarifPhysical  `json:"physicalLocation"`
		Logical  []sarifLogical `json:"logicalLocations,omitempty"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn,omitempty"`
	}
	sarifLogical struct {
		Name string `json:"fullyQualifiedName"`
		Kind string `json:"kind"`
	}
)

// SARIF is the Format for code scanning.
func SARIF(w io.Writer, r *Report) error {
	driver := sarifDriver{Name: "kilter", Version: r.Version, InformationURI: "https://kilter.dev", Rules: rules(r.Set.Problems)}
	run := sarifRun{Tool: sarifTool{driver}, ColumnKind: "unicodeCodePoints", Results: []sarifResult{}}
	seen := map[string]int{}
	for _, p := range r.Set.Problems {
		index, _ := find(driver.Rules, ruleID(p))
		text := r.message(p)
		if p.Object != (manifests.ID{}) {
			text = p.Object.String() + ": " + text
		}
		mark := r.fingerprint(p)
		seen[mark]++
		run.Results = append(run.Results, sarifResult{
			RuleID: ruleID(p), RuleIndex: index, Level: string(p.Severity), Message: sarifText{text},
			Locations:    []sarifLocation{r.location(p)},
			Fingerprints: map[string]string{fingerprintName: fmt.Sprintf("%s:%d", mark, seen[mark])},
		})
	}
	return encode(w, sarifLog{
		Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run},
	})
}

// ruleID is the lint rule's ID, or else the server's reason.
func ruleID(p manifests.Problem) string { return cmp.Or(p.Rule, p.Reason) }

// rules describes each rule that found something, sorted by ID.
func rules(problems []manifests.Problem) []sarifRule {
	all := []sarifRule{}
	for _, p := range problems {
		id := ruleID(p)
		at, known := find(all, id)
		if known {
			continue
		}
		what, page, tag := reasons[id], "validate#"+strings.ToLower(id), "kubernetes"
		if p.Rule != "" {
			what, page, tag = "Accepted by the API server, and a mistake or a trap: "+id+".", "lint/"+id, "lint"
		}
		all = slices.Insert(all, at, sarifRule{
			ID: id, ShortDescription: sarifText{cmp.Or(what, id)}, FullDescription: sarifText{cmp.Or(what, id)},
			Help: sarifText{"See " + documentation + page}, HelpURI: documentation + page,
			Configuration: sarifLevel{string(p.Severity)}, Properties: sarifRuleProps{[]string{tag}},
		})
	}
	return all
}

// find returns where a rule is, or would be, among rules that are sorted by ID.
func find(sorted []sarifRule, id string) (at int, found bool) {
	return slices.BinarySearchFunc(sorted, id, func(rule sarifRule, id string) int { return cmp.Compare(rule.ID, id) })
}

// location is where a problem is; that of the whole tree is at its root.
func (r *Report) location(p manifests.Problem) sarifLocation {
	at := r.at(p.Origin)
	location := sarifLocation{Physical: sarifPhysical{Artifact: sarifArtifact{uri(at.File)}}}
	if at.Line > 0 {
		location.Physical.Region = &sarifRegion{StartLine: at.Line, StartColumn: at.Column}
	}
	if p.Object != (manifests.ID{}) {
		location.Logical = []sarifLogical{{Name: p.Object.String(), Kind: "object"}}
	}
	return location
}

// uri returns a file's name as a relative reference, or as a file URI when the name is absolute.
func uri(file string) string {
	if file == "" {
		return "."
	}
	if path.IsAbs(file) {
		return (&url.URL{Scheme: "file", Path: file}).String()
	}
	return (&url.URL{Path: file}).String()
}

// fingerprintName is Kilter's own: primaryLocationLineHash is computed by GitHub from the file's text, and belongs to it.
const fingerprintName = "kilterProblem/v1"

// fingerprint tells a problem from others and stays the same while it moves about in its file: it holds no line.
func (r *Report) fingerprint(p manifests.Problem) string {
	sum := sha256.New()
	for _, part := range []string{
		ruleID(p), r.name(p.Origin.File), r.name(p.Origin.BuiltBy), p.Object.Group, p.Object.Kind, p.Object.Namespace, p.Object.Name, p.Field,
	} {
		fmt.Fprintf(sum, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}
