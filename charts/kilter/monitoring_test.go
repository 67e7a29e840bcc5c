package chart_test

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"kilter.dev/kilter/internal/golden"
)

// monitoring returns what the chart renders for Prometheus and Grafana. The rules and the dashboards are returned apart, by the alert and by
// the file's name, since their files are read elsewhere.
func monitoring(t *testing.T, args ...string) (objects string, alerts []rule, dashboards map[string]string) {
	t.Helper()
	dashboards = map[string]string{}
	var kept []string
	for _, document := range render(t, args...) {
		if !strings.Contains(document, "\nkind: ServiceMonitor\n") && !strings.Contains(document, "\nkind: PrometheusRule\n") &&
			!strings.Contains(document, "-dashboard-") {
			continue
		}
		object := decode(t, document)
		if object["kind"] == "PrometheusRule" {
			for _, group := range object["spec"].(map[string]any)["groups"].([]any) {
				alerts = append(alerts, decodeRules(t, group)...)
				group.(map[string]any)["rules"] = "…"
			}
		}
		for name, text := range dataOf(object) {
			dashboards[name] = text.(string)
			dataOf(object)[name] = "…"
		}
		text, err := yaml.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, string(text))
	}
	return strings.Join(kept, "---\n"), alerts, dashboards
}

func dataOf(object map[string]any) map[string]any {
	data, _ := object["data"].(map[string]any)
	return data
}

// decodeRules wants no field in a rule but those that rules have.
func decodeRules(t *testing.T, group any) []rule {
	t.Helper()
	text, err := json.Marshal(group)
	if err != nil {
		t.Fatal(err)
	}
	var strict struct {
		Name  string
		Rules []rule
	}
	if err := yaml.UnmarshalStrict(text, &strict); err != nil {
		t.Fatal(err)
	}
	return strict.Rules
}

func TestMonitoringIsOffByDefault(t *testing.T) {
	if objects, _, _ := monitoring(t); objects != "" {
		t.Errorf("a cluster without the operator's kinds would refuse\n%s", objects)
	}
	if text := strings.Join(render(t, "--set", "metrics.enabled=false"), ""); strings.Contains(text, "\nkind: Service\n") {
		t.Error("there is a Service although metrics.enabled is false")
	}
}

func TestMonitoring(t *testing.T) {
	objects, alerts, dashboards := monitoring(t, "--values", "charts/kilter/testdata/monitoring/values.yaml")
	golden.Check(t, "testdata/monitoring/golden.yaml", objects)
	want := slices.DeleteFunc(rules(t), func(r rule) bool { return r.Alert == "KilterDriftNotRepaired" || r.Alert == "KilterCronJobLate" })
	for i := range want {
		want[i].Annotations["dashboard_url"] = "https://grafana.example.com" + want[i].Annotations["dashboard_url"]
		switch want[i].Alert {
		case "KilterDaemonSetOutdated":
			want[i].Labels["severity"] = "warning"
		case "KilterJobFailed":
			want[i].For = "10m"
		}
	}
	if diff := cmp.Diff(want, alerts); diff != "" {
		t.Errorf("the PrometheusRule differs from the file by more than was asked for (-want +got):\n%s", diff)
	}
	if len(dashboards) != 4 {
		t.Errorf("%d dashboards, want 4", len(dashboards))
	}
	for name, text := range dashboards {
		if text != read(t, filepath.Join("files/dashboards", strings.TrimPrefix(name, "kilter-"))) {
			t.Errorf("%s is not the file", name)
		}
	}
}

// With nothing but the switch, the PrometheusRule holds what the plain file does.
func TestPrometheusRuleIsTheFile(t *testing.T) {
	_, alerts, _ := monitoring(t, "--set", "metrics.rules.enabled=true")
	if diff := cmp.Diff(rules(t), alerts); diff != "" {
		t.Errorf("-file +PrometheusRule:\n%s", diff)
	}
}

// Without the Service nothing could be scraped, and a name that is mistyped would leave an alert as it was.
func TestMonitoringRefuses(t *testing.T) {
	tests := map[string]struct{ set, message string }{
		"a ServiceMonitor of no Service": {"metrics.enabled=false,metrics.serviceMonitor.enabled=true", "/metrics/enabled"},
		"a time for no alert":            {"metrics.rules.enabled=true,metrics.rules.for.KilterJobFaild=1m", "names the alert KilterJobFaild"},
		"a severity of no alert":         {"metrics.rules.enabled=true,metrics.rules.severity.Other=info", "names the alert Other"},
		"to leave out no alert":          {"metrics.rules.enabled=true,metrics.rules.disabled={Kilter}", "names the alert Kilter,"},
		"a time that is none":            {"metrics.rules.for.KilterJobFailed=soon", "/metrics/rules/for/KilterJobFailed"},
		"a Grafana without a scheme":     {"dashboards.grafanaURL=grafana.example.com", "/dashboards/grafanaURL"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			output, err := helmCommand(t, "template", "kilter", "charts/kilter", "--set", test.set).CombinedOutput()
			if err == nil || !strings.Contains(string(output), test.message) {
				t.Errorf("helm said (%v)\n%s\nwant a message with %q", err, output, test.message)
			}
		})
	}
}

// An alert's link leads to a dashboard, and chooses by variables that it has.
func TestAlertsLeadToDashboards(t *testing.T) {
	variables := map[string][]string{} // by the uid
	files, err := filepath.Glob("files/dashboards/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		var dashboard struct {
			UID        string
			Templating struct{ List []struct{ Name string } }
		}
		if err := json.Unmarshal([]byte(read(t, file)), &dashboard); err != nil {
			t.Fatal(err)
		}
		variables[dashboard.UID] = []string{}
		for _, v := range dashboard.Templating.List {
			variables[dashboard.UID] = append(variables[dashboard.UID], v.Name)
		}
	}
	chosen := regexp.MustCompile(`[?&]var-(\w+)={{ \$labels\.(\w+) }}`)
	for _, r := range rules(t) {
		path := r.Annotations["dashboard_url"]
		uid, _, _ := strings.Cut(strings.TrimPrefix(path, "/d/"), "?")
		known, ok := variables[uid]
		if !ok {
			t.Errorf("%s leads to %q, which is no dashboard", r.Alert, path)
		}
		for _, variable := range chosen.FindAllStringSubmatch(path, -1) {
			if !slices.Contains(known, variable[1]) {
				t.Errorf("%s chooses by %s, and the dashboard %s has %v", r.Alert, variable[1], uid, known)
			}
		}
		if rest := chosen.ReplaceAllString(path, ""); rest != "/d/"+uid {
			t.Errorf("%s: %q does not end after %q", r.Alert, path, rest)
		}
	}
}
