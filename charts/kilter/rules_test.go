package chart_test

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/yaml"

	"kilter.dev/kilter/internal/needs"
	"kilter.dev/kilter/reconcile"
)

const rulesFile = "files/rules/kilter.yaml"

// rule is one alert of the rules file.
type rule struct {
	Alert, Expr, For    string
	Labels, Annotations map[string]string
}

func rules(t *testing.T) []rule {
	t.Helper()
	var file struct {
		Groups []struct{ Rules []rule }
	}
	if err := yaml.Unmarshal([]byte(read(t, rulesFile)), &file); err != nil {
		t.Fatal(err)
	}
	var all []rule
	for _, group := range file.Groups {
		all = append(all, group.Rules...)
	}
	return all
}

// promtool runs the one that is installed, or skips the test. Debian's is of Prometheus 2.42, the oldest that the alerts are made for.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		needs.Missing(t, "needs promtool: apt-get install -y prometheus")
	}
	command := exec.CommandContext(t.Context(), path, args...)
	if output, err := command.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, output)
	}
}

// Each alert fires, stays quiet until its time and for what is well, and resolves.
func TestAlerts(t *testing.T) {
	promtool(t, "check", "rules", rulesFile)
	tests, err := filepath.Glob("testdata/rules/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		read(t, test)
	}
	promtool(t, append([]string{"test", "rules"}, tests...)...)
	if all := rules(t); len(all) != len(tests) {
		t.Errorf("%d alerts and %d tests", len(all), len(tests))
	}
}

// Each alert has what an on-call engineer needs: a severity, words, a page, and a test with all three steps.
func TestAlertsAreWhole(t *testing.T) {
	index := read(t, "../../docs/alerts.md")
	for _, r := range rules(t) {
		page := "https://kilter.dev/docs/runbooks/" + r.Alert + ".md"
		switch severity := r.Labels["severity"]; {
		case severity != "critical" && severity != "warning" && severity != "info":
			t.Errorf("%s has severity %q", r.Alert, severity)
		case r.For == "" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" || r.Annotations["runbook_url"] != page:
			t.Errorf("%s lacks a time, a text or its page %s", r.Alert, page)
		}
		if text := read(t, "../../docs/runbooks/"+r.Alert+".md"); !strings.Contains(text, r.Expr) {
			t.Errorf("docs/runbooks/%s.md does not tell when the alert ends: %s", r.Alert, r.Expr)
		}
		if row := strings.Join([]string{"| [" + r.Alert + "](runbooks/" + r.Alert + ".md)", r.Labels["severity"], r.For}, " | "); !strings.Contains(index, row) {
			t.Errorf("docs/alerts.md lacks %q", row)
		}
		test := read(t, "testdata/rules/"+r.Alert+".yaml")
		for _, step := range []string{"# quiet", "# fires", "# resolves"} {
			if strings.Count(test, step) != 1 {
				t.Errorf("the test of %s has no step %q", r.Alert, step)
			}
		}
	}
}

// An alert on a metric or a label that does not exist would never fire, and nobody would know.
func TestAlertsAskForMetricsThatExist(t *testing.T) {
	known := map[string]bool{}
	for _, d := range reconcile.NewMetrics(prometheus.NewRegistry(), "").Definitions() {
		known[d.Name] = true
		if d.Type == "histogram" {
			known[d.Name+"_sum"], known[d.Name+"_count"], known[d.Name+"_bucket"] = true, true, true
		}
	}
	for _, r := range rules(t) {
		for _, name := range regexp.MustCompile(`kilter_\w+`).FindAllString(r.Expr, -1) {
			if !known[name] {
				t.Errorf("%s asks for %s, which nothing exports", r.Alert, name)
			}
		}
	}
}
