package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"kilter.dev/kilter/internal/golden"
	"kilter.dev/kilter/reconcile"
)

// The files are what the code says; `go test -update` writes them as `make generate` does.
func TestFilesAreUpToDate(t *testing.T) {
	const dir = "../../charts/kilter/files/dashboards"
	for _, b := range boards() {
		golden.Check(t, filepath.Join(dir, b.name+".json"), string(b.json()))
	}
	files, err := filepath.Glob(dir + "/*")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(boards()) {
		t.Errorf("%d files of %d dashboards: remove what is no longer written", len(files), len(boards()))
	}
}

// drawn is what of a dashboard's JSON the test looks at.
type drawn struct {
	UID, Title, Description string
	SchemaVersion           int
	Templating              struct {
		List []struct {
			Name, Type string
			Datasource *struct{ Type, UID string }
		}
	}
	Panels []struct {
		ID                       int
		Type, Title, Description string
		Datasource               *struct{ Type, UID string }
		GridPos                  struct{ X, Y, W, H int }
		Targets                  []struct {
			Expr, RefID string
			Datasource  struct{ UID string }
		}
		Links       []struct{ URL string }
		FieldConfig struct{ Defaults struct{ Unit string } }
	}
}

var uid = regexp.MustCompile(`^[a-z-]{1,40}$`) // Grafana takes 40 characters

func TestDashboardsAreWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, b := range boards() {
		var d drawn
		if err := json.Unmarshal(b.json(), &d); err != nil {
			t.Fatal(err)
		}
		if seen[d.UID] || seen[d.Title] || !uid.MatchString(d.UID) || d.Description == "" || d.SchemaVersion != schemaVersion {
			t.Errorf("%s: %q, %q, version %d", d.UID, d.Title, d.Description, d.SchemaVersion)
		}
		seen[d.UID], seen[d.Title] = true, true
		variables := []string{"__rate_interval"}
		for i, v := range d.Templating.List {
			if (i == 0) != (v.Type == "datasource") || (i > 0 && (v.Datasource == nil || v.Datasource.UID != "${datasource}")) {
				t.Errorf("%s: variable %s does not ask the chosen data source", d.UID, v.Name)
			}
			variables = append(variables, v.Name)
		}
		ids, cells := map[int]bool{}, map[[2]int]string{}
		for _, p := range d.Panels {
			name := d.UID + ": " + p.Title
			if ids[p.ID] {
				t.Errorf("%s: a second panel %d", name, p.ID)
			}
			ids[p.ID] = true
			for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
				for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
					if other := cells[[2]int{x, y}]; other != "" || x >= columns {
						t.Fatalf("%s at %+v does not fit beside %q", name, p.GridPos, other)
					}
					cells[[2]int{x, y}] = p.Title
				}
			}
			if p.Type == "row" {
				continue
			}
			switch {
			case p.Title == "" || p.Description == "" || (p.FieldConfig.Defaults.Unit == "") != (p.Type == "table"):
				t.Errorf("%s: title %q, description %q, unit %q", name, p.Title, p.Description, p.FieldConfig.Defaults.Unit)
			case p.Datasource == nil || p.Datasource.UID != "${datasource}" || len(p.Targets) == 0:
				t.Errorf("%s asks %v by %d queries", name, p.Datasource, len(p.Targets))
			}
			for _, target := range p.Targets {
				if target.Datasource.UID != "${datasource}" {
					t.Errorf("%s %s asks %s", name, target.RefID, target.Datasource.UID)
				}
				checkQuery(t, name, target.Expr, variables)
			}
		}
	}
}

var (
	names = regexp.MustCompile(`\b(kilter|rest_client)_\w+`)
	used  = regexp.MustCompile(`\$(\w+)`)
)

// checkQuery wants the query to ask for metrics and to use variables that exist.
func checkQuery(t *testing.T, panel, expr string, variables []string) {
	t.Helper()
	for _, name := range names.FindAllString(expr, -1) {
		base := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
		if !slices.ContainsFunc(definitions, func(d reconcile.Definition) bool { return d.Name == name || d.Name == base && d.Type == "histogram" }) {
			t.Errorf("%s asks for %s, which nothing exports", panel, name)
		}
	}
	for _, variable := range used.FindAllStringSubmatch(expr, -1) {
		if !slices.Contains(variables, variable[1]) {
			t.Errorf("%s uses $%s, and there are %v", panel, variable[1], variables)
		}
	}
}

var definitions = reconcile.NewMetrics(prometheus.NewRegistry(), "").Definitions()

// Each alert's page is one click away from the panel that shows what it is about.
func TestRunbooksAreLinked(t *testing.T) {
	linked := map[string]bool{}
	for _, b := range boards() {
		for _, r := range b.rows {
			for _, p := range r.panels {
				for _, alert := range p.runbooks {
					linked[alert+".md"] = true
				}
			}
		}
	}
	pages, err := os.ReadDir("../../docs/runbooks")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		if strings.HasPrefix(page.Name(), "Kilter") && !linked[page.Name()] {
			t.Errorf("no panel links to %s", page.Name())
		}
		delete(linked, page.Name())
	}
	for name := range linked {
		t.Errorf("a panel links to %s, which is no page", name)
	}
}
