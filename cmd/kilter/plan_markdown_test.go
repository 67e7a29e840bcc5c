package main

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"kilter.dev/kilter/internal/golden"
)

// forecastOf returns a plan of so many updates, with fields of so many bytes.
func forecastOf(updates, bytes int) *forecast {
	f := &forecast{Sync: "shop/app", Revision: "main@sha1:" + strings.Repeat("0", 40)}
	f.Summary.Update, f.Summary.Refused = updates, 1
	for i := range updates {
		f.Steps = append(f.Steps, forecastStep{
			Op: "update", Object: planObject{Kind: "ConfigMap", Namespace: "shop", Name: fmt.Sprintf("settings-%d", i)}, File: "a.yaml", Line: i + 1,
			Fields: []planField{{Path: "data.colour", Before: `"green"`, After: `"` + strings.Repeat("ö", bytes/2) + `"`}},
		})
	}
	f.Steps = append(f.Steps, forecastStep{
		Op: "refused", Object: planObject{Kind: "ConfigMap", Namespace: "shop", Name: "zebra"}, Message: "the server refuses it",
	})
	return f
}

func markdownOf(t *testing.T, f *forecast) string {
	t.Helper()
	var text strings.Builder
	if err := writePlanMarkdown(&text, f); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// A comment is never longer than GitHub allows, says how much it leaves out, and leaves out what matters least.
func TestMarkdownIsBounded(t *testing.T) {
	for _, size := range []struct{ updates, bytes int }{{1, 10}, {300, 160}, {2_000, 160}, {10, 1_000_000}, {40_000, 10}} {
		f := forecastOf(size.updates, size.bytes)
		text := markdownOf(t, f)
		shown := strings.Count(text, "\n@@ update ")
		left := 0
		if _, tail, cut := strings.Cut(text, "\n**"); cut {
			if _, err := fmt.Sscanf(tail, "%d more are left out here**", &left); err != nil {
				t.Errorf("%v: the end is %q", size, tail)
			}
		}
		switch {
		case len(text) > commentBytes || !utf8.ValidString(text):
			t.Errorf("%v: %d bytes, valid: %t", size, len(text), utf8.ValidString(text))
		case shown+left != size.updates:
			t.Errorf("%v: %d are shown and %d left out", size, shown, left)
		case left > 0 && len(text) < commentBytes-tailBytes-2*lineBytes-200:
			t.Errorf("%v: %d are left out of a comment of %d bytes only", size, left, len(text))
		case !strings.Contains(text, "@@ refused ConfigMap shop/zebra @@"):
			t.Errorf("%v: what is refused is left out", size)
		case strings.Count(text, "```")%2 != 0 || strings.Count(text, "<details>") != strings.Count(text, "</details>"):
			t.Errorf("%v: something is not closed", size)
		}
	}
	long := forecastOf(0, 0)
	for range 1_000 {
		long.Steps[0].Fields = append(long.Steps[0].Fields, planField{Path: "data.a", After: "1"})
	}
	if text := markdownOf(t, long); !strings.Contains(text, "\n  … and 962 more lines\n") {
		t.Errorf("an object of 1,002 lines:\n%s", text)
	}
	many := forecastOf(3, 10)
	for i := range 3_000 {
		many.Problems = append(many.Problems, planProblem{text: fmt.Sprintf("a.yaml:%d:1: wrong, for the reason that stands here", i)})
	}
	if text := markdownOf(t, many); len(text) > commentBytes || !strings.Contains(text, " more are left out here**") {
		t.Errorf("%d bytes of problems", len(text))
	}
}

// No text of others can end the code that it stands in, begin a line or a tag, or mention anybody.
func TestMarkdownHoldsNoMarkup(t *testing.T) {
	f := &forecast{
		Sync: "shop/app", Revision: "a``b`@sha1:" + strings.Repeat("0", 40), Notes: []string{"```\n</details>@everyone"},
		Problems:     []planProblem{{text: "```` \r\n<img src=x> @everyone"}},
		PruneBlocked: "1 problem in `main` <b>\x1b[31m",
		Steps: []forecastStep{{
			Op: "update", Object: planObject{Kind: "ConfigMap", Namespace: "shop", Name: "a"}, File: "a`````.yaml", Line: 1, Reason: "</summary>",
			Fields: []planField{{Path: "data.[a.b]\n```", Before: "\"```\"", After: "\"\\n```\\n</details>\""}},
		}},
	}
	f.Summary.Update = 1
	golden.Check(t, "testdata/plan-hostile.md", markdownOf(t, f))
}
