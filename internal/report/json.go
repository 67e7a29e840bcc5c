package report

import (
	"encoding/json"
	"io"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"kilter.dev/kilter/manifests"
)

// The shapes of JSON output, documented in docs/validate.md and docs/validate.schema.json. Fields are added, never renamed or
// removed. What is not known, or empty, is left out; numbers of lines, columns and documents count from 1.
type (
	jsonReport struct {
		Kubernetes string        `json:"kubernetes"`
		Revision   string        `json:"revision,omitempty"`
		Files      int           `json:"files"`
		Objects    int           `json:"objects"`
		Errors     int           `json:"errors"`
		Warnings   int           `json:"warnings"`
		Problems   []jsonProblem `json:"problems"`
		Skipped    []jsonSkip    `json:"skipped"`
	}
	jsonPlace struct {
		File     string `json:"file,omitempty"`
		Line     int    `json:"line,omitempty"`
		Column   int    `json:"column,omitempty"`
		Document int    `json:"document,omitempty"`
		BuiltBy  string `json:"builtBy,omitempty"`
	}
	jsonObject struct {
		APIVersion string `json:"apiVersion,omitempty"`
		Kind       string `json:"kind"`
		Namespace  string `json:"namespace,omitempty"`
		Name       string `json:"name"`
	}
	jsonProblem struct {
		jsonPlace
		Object   *jsonObject `json:"object,omitempty"`
		Field    string      `json:"field,omitempty"`
		Reason   string      `json:"reason"`
		Severity string      `json:"severity"`
		Rule     string      `json:"rule,omitempty"`
		Message  string      `json:"message"`
	}
	jsonSkip struct {
		jsonPlace
		Object *jsonObject `json:"object,omitempty"`
		Reason string      `json:"reason"`
	}
)

// JSON is the Format for scripts.
func JSON(w io.Writer, r *Report) error {
	out := jsonReport{
		Kubernetes: r.Kubernetes, Revision: r.Revision,
		Files: r.Set.Files, Objects: r.Objects(),
		Errors: r.Count(manifests.Error), Warnings: r.Count(manifests.Warning),
		Problems: []jsonProblem{}, Skipped: []jsonSkip{},
	}
	for _, p := range r.Set.Problems {
		out.Problems = append(out.Problems, jsonProblem{
			jsonPlace: r.place(p.Origin), Object: describe(p.Object, p.Version),
			Field: p.Field, Reason: p.Reason, Severity: string(p.Severity), Rule: p.Rule, Message: p.Message,
		})
	}
	for _, s := range r.Set.Skipped {
		out.Skipped = append(out.Skipped, jsonSkip{r.place(s.Origin), describe(s.Object, s.Version), s.Reason})
	}
	return encode(w, out)
}

func (r *Report) place(o manifests.Origin) jsonPlace {
	place := jsonPlace{File: r.name(o.File), Line: o.Line, Column: o.Column, BuiltBy: r.name(o.BuiltBy)}
	if o.Line > 0 { // else the whole file is meant
		place.Document = o.Document + 1
	}
	return place
}

// describe returns nil for a document that could not be read so far that it names an object.
func describe(id manifests.ID, version string) *jsonObject {
	if id == (manifests.ID{}) {
		return nil
	}
	object := &jsonObject{Kind: id.Kind, Namespace: id.Namespace, Name: id.Name}
	if version != "" {
		object.APIVersion = schema.GroupVersion{Group: id.Group, Version: version}.String()
	}
	return object
}

func encode(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}
