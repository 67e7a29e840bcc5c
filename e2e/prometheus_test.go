package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"kilter.dev/kilter/internal/needs"
	"kilter.dev/kilter/internal/process"
)

// installed returns where a program is that has one of the names, or skips the test.
func installed(t *testing.T, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	needs.Missing(t, "needs "+names[0]+": apt-get install -y prometheus prometheus-alertmanager")
	return ""
}

var listening = regexp.MustCompile(`address=(127\.0\.0\.1:\d+)`)

// serve starts a program that listens on a free port and says so, and returns its address.
func serve(ctx context.Context, t *testing.T, path string, args ...string) string {
	t.Helper()
	p, err := process.Start(process.Options{Path: path, Args: append(args, "--web.listen-address=127.0.0.1:0")})
	must(t, err)
	t.Cleanup(func() {
		must(t, p.Stop(patience))
		if t.Failed() {
			t.Logf("%s printed:\n%s", path, p.Output())
		}
	})
	return listening.FindStringSubmatch(line(ctx, t, p, `msg="Listening on"`))[1]
}

const rulesFile = "../charts/kilter/files/rules/kilter.yaml"

// prometheus starts a Prometheus that scrapes each address of a Kilter every second and evaluates the chart's alerts as often. The alerts fire after a second
// instead of the minutes of their file: that those are right, promtool shows in charts/kilter.
func prometheus(ctx context.Context, t *testing.T, kilters []string, alertmanager string, args ...string) string {
	t.Helper()
	rules, err := os.ReadFile(rulesFile)
	must(t, err)
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "rules.yaml"), regexp.MustCompile(`(?m)^ +for: .*$`).ReplaceAll(rules, []byte("        for: 1s")), 0o600))
	config := filepath.Join(dir, "prometheus.yaml")
	must(t, os.WriteFile(config, fmt.Appendf(nil, `global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [rules.yaml]
alerting: {alertmanagers: [{static_configs: [{targets: [%s]}]}]}
scrape_configs:
  - {job_name: kilter, honor_labels: true, static_configs: [{targets: [%s]}]}
`, alertmanager, strings.Join(kilters, ", ")), 0o600))
	return serve(ctx, t, installed(t, "prometheus"),
		append(args, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"),
			"--rules.alert.resend-delay=1s")...) // what it finds before it finds the Alertmanager
}

// alertmanager starts an Alertmanager that passes each alert on to the receiver at once.
func alertmanager(ctx context.Context, t *testing.T, receiver string) string {
	t.Helper()
	config := filepath.Join(t.TempDir(), "alertmanager.yaml")
	must(t, os.WriteFile(config, fmt.Appendf(nil, `route: {receiver: test, group_by: ['...'], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}
receivers:
  - {name: test, webhook_configs: [{url: %q, send_resolved: true}]}
`, receiver), 0o600))
	return serve(ctx, t, installed(t, "prometheus-alertmanager", "alertmanager"),
		"--config.file="+config, "--storage.path="+t.TempDir(), "--cluster.listen-address=")
}

// alert is what Alertmanager tells of one.
type alert struct {
	Status              string // firing or resolved
	Labels, Annotations map[string]string
}

// pager receives Alertmanager's webhooks and keeps what was told of each alert.
type pager struct {
	url string

	mu    sync.Mutex
	last  map[string]alert // by the labels, as it was told last
	fired []alert
	more  chan struct{} // closed, and replaced, when something is told
}

func newPager(t *testing.T) *pager {
	p := &pager{last: map[string]alert{}, more: make(chan struct{})}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var told struct{ Alerts []alert }
		if err := json.NewDecoder(r.Body).Decode(&told); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, a := range told.Alerts {
			p.last[fmt.Sprint(a.Labels)] = a
			if a.Status == "firing" {
				p.fired = append(p.fired, a)
			}
		}
		close(p.more)
		p.more = make(chan struct{})
	}))
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

// until waits until the last that was told of an alert with these labels, given as "name=value", is the status.
func (p *pager) until(ctx context.Context, t *testing.T, status, name string, labels ...string) {
	t.Helper()
	want := map[string]string{"alertname": name}
	for _, label := range labels {
		key, value, _ := strings.Cut(label, "=")
		want[key] = value
	}
	for {
		p.mu.Lock()
		more, told := p.more, maps.Clone(p.last)
		p.mu.Unlock()
		for _, a := range told {
			all := maps.Clone(a.Labels)
			maps.Copy(all, want)
			if a.Status == status && maps.Equal(all, a.Labels) {
				return
			}
		}
		select {
		case <-more:
		case <-ctx.Done():
			t.Fatalf("%s with %v is not %s; of alerts is known: %v", name, labels, status, told)
		}
	}
}

// ask sends a query to Prometheus' API and decodes its data.
func ask(ctx context.Context, t *testing.T, address, path string, query url.Values, data any) error {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/api/v1/"+path+"?"+query.Encode(), nil)
	must(t, err)
	response, err := http.DefaultClient.Do(request)
	must(t, err)
	defer response.Body.Close()
	answer := struct {
		Error string
		Data  any
	}{Data: data}
	must(t, json.NewDecoder(response.Body).Decode(&answer))
	if answer.Error != "" {
		return errors.New(answer.Error)
	}
	return nil
}

// numbers returns how many numbers a query gave at some second since start, of all its series. What is not a number is none.
func numbers(ctx context.Context, t *testing.T, address, expr string, start time.Time) int {
	t.Helper()
	var data struct {
		Result []struct{ Values [][2]any }
	}
	seconds := func(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }
	if err := ask(ctx, t, address, "query_range",
		url.Values{"query": {expr}, "start": {seconds(start)}, "end": {seconds(time.Now())}, "step": {"1"}}, &data); err != nil {
		t.Errorf("%s: %v", expr, err)
	}
	found := 0
	for _, series := range data.Result {
		for _, sample := range series.Values {
			if value, err := strconv.ParseFloat(sample[1].(string), 64); err == nil && !math.IsNaN(value) {
				found++
			}
		}
	}
	return found
}
