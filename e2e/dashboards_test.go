package e2e

import (
	"context"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// dashboard is what of a dashboard's JSON asks Prometheus.
type dashboard struct {
	Title      string
	Templating struct {
		List []struct{ Name, Type, Definition string }
	}
	Panels []struct {
		Title   string
		Targets []struct{ RefID, Expr string }
	}
}

var (
	labelValues = regexp.MustCompile(`^label_values\((.*), (\w+)\)$`)
	// otherwise is what a query shows where there is nothing: it would hide that there never is.
	otherwise = regexp.MustCompile(` or (vector\(0\)|0 \* .*)$`)
)

// checkDashboards asks Prometheus everything that the dashboards would, and wants a number at least once since start.
func (w *watched) checkDashboards(ctx context.Context, t *testing.T, prometheus string, start time.Time) {
	t.Helper()
	chosen := strings.NewReplacer("$__rate_interval", "10s", "$namespace", w.namespace, "$sync", "e2e")
	files, err := filepath.Glob("../charts/kilter/files/dashboards/*.json")
	must(t, err)
	queries := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(t, err)
		var d dashboard
		must(t, json.Unmarshal(text, &d))
		for _, v := range d.Templating.List {
			if v.Type != "query" {
				continue
			}
			parts := labelValues.FindStringSubmatch(v.Definition)
			var values []string
			if err := ask(ctx, t, prometheus, "label/"+parts[2]+"/values", url.Values{"match[]": {chosen.Replace(parts[1])}}, &values); err != nil || len(values) == 0 {
				t.Errorf("%s: there is nothing to choose for %s: %v", d.Title, v.Name, err)
			}
		}
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				queries++
				if expr := otherwise.ReplaceAllString(chosen.Replace(target.Expr), ""); numbers(ctx, t, prometheus, expr, start) == 0 {
					t.Errorf("%s: %s %s shows nothing: %s", d.Title, p.Title, target.RefID, expr)
				}
			}
		}
	}
	t.Logf("%d queries", queries)
}
