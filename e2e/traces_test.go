package e2e

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"kilter.dev/kilter/internal/gitserver"
)

// collector receives traces as OpenTelemetry's does, by OTLP over HTTP.
type collector struct {
	url string

	mu       sync.Mutex
	bodies   strings.Builder // all that was sent, for what must not be in it
	resource map[string]string
	spans    []*tracepb.Span
	token    string // the Authorization that came with the last
}

func newCollector(t *testing.T) *collector {
	c := &collector{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var reader io.Reader = r.Body
		if r.Header.Get("Content-Encoding") == "gzip" {
			var err error
			if reader, err = gzip.NewReader(r.Body); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
		}
		body, err := io.ReadAll(reader)
		var sent collectorpb.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &sent)
		}
		if err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("sent to %s: %v", r.URL.Path, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.token = r.Header.Get("Authorization")
		c.bodies.Write(body)
		for _, resource := range sent.ResourceSpans {
			c.resource = attributesOf(resource.Resource.Attributes)
			for _, scope := range resource.ScopeSpans {
				c.spans = append(c.spans, scope.Spans...)
			}
		}
	}))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

func attributesOf(all []*commonpb.KeyValue) map[string]string {
	found := map[string]string{}
	for _, a := range all {
		found[a.Key] = a.Value.GetStringValue()
	}
	return found
}

// path returns the names from the root to a span: "pass/apply/create ConfigMap".
func (c *collector) path(s *tracepb.Span) string {
	for _, parent := range c.spans {
		if string(parent.SpanId) == string(s.ParentSpanId) && string(parent.TraceId) == string(s.TraceId) {
			return c.path(parent) + "/" + s.Name
		}
	}
	if len(s.ParentSpanId) > 0 {
		return "?/" + s.Name
	}
	return s.Name
}

// find returns the spans at a path whose kilter.object, or kilter.reason, is the given one.
func (c *collector) find(path, about string) []*tracepb.Span {
	var found []*tracepb.Span
	for _, s := range c.spans {
		attributes := attributesOf(s.Attributes)
		if c.path(s) == path && (about == "" || attributes["kilter.object"] == about || attributes["kilter.reason"] == about) {
			found = append(found, s)
		}
	}
	return found
}

// TestTraces wants a trace of each pass at a collector that the standard variables name: what was fetched and written, what somebody changed
// by hand, what failed, what was pruned. The last are sent when Kilter is asked to stop, and no credential is in any.
func TestTraces(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	ns := c.namespace(t, "traces")
	credential := "s3cret-" + canary
	repo, server := servedTo(t, gitserver.Options{Username: "kilter", Password: credential}, fstest.MapFS{
		"prod/a.yaml":      configMap("a"),
		"prod/old.yaml":    configMap("old"),
		"prod/secret.yaml": file("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: " + credential + "}\n"),
	})
	_, err := c.CoreV1().Secrets(ns).Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "git"}, StringData: map[string]string{"username": "kilter", "password": credential},
	}, metav1.CreateOptions{})
	must(t, err)
	sync := filepath.Join(t.TempDir(), "sync.yaml")
	must(t, os.WriteFile(sync, []byte(strings.Replace(fmt.Sprintf(syncDocument, ns, server.URL("workloads"), ""),
		"path: prod}", "path: prod, secretRef: {name: git}}", 1)), 0o600))

	collector := newCollector(t)
	run := kilterIn(t, []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + collector.url, "OTEL_EXPORTER_OTLP_HEADERS=Authorization=Bearer%20" + credential,
		"OTEL_EXPORTER_OTLP_COMPRESSION=gzip", "OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=test",
		"OTEL_BSP_SCHEDULE_DELAY=3600000", // in an hour, or at the end
	}, "run", "-f", sync, "--kubeconfig", c.kubeconfig, "--allow-insecure-git")
	line(ctx, t, run, "3 objects: 3 current")
	_, err = c.CoreV1().ConfigMaps(ns).Patch(ctx, "a", types.MergePatchType, []byte(`{"data":{"key":"mine"}}`), metav1.PatchOptions{})
	must(t, err)
	line(ctx, t, run, "updated", "ConfigMap "+ns+"/a")
	must(t, repo.Remove("prod/old.yaml"))
	push(t, repo)
	line(ctx, t, run, "deleted", "ConfigMap "+ns+"/old")
	must(t, repo.Write("prod/lost.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: lost, namespace: nowhere-"+ns+"}\n"))
	push(t, repo)
	line(ctx, t, run, "failed", "lost")
	collector.mu.Lock()
	early := len(collector.spans)
	collector.mu.Unlock()
	must(t, run.Stop(patience))
	collector.mu.Lock()
	defer collector.mu.Unlock()
	if early > 0 {
		t.Error("spans were sent before their time: that they are at the end cannot be seen")
	}
	for _, want := range []struct{ path, about, errorType string }{
		{"pass", "ReconciliationSucceeded", ""},
		{"pass/fetch", "", ""},
		{"pass/load", "", ""},
		{"pass/plan", "", ""},
		{"pass/apply/create Secret", "Secret " + ns + "/s", ""},
		{"pass/apply/update ConfigMap", "ConfigMap " + ns + "/a", ""},
		{"pass/prune/delete ConfigMap", "ConfigMap " + ns + "/old", ""},
		{"pass/apply/create ConfigMap", "ConfigMap nowhere-" + ns + "/lost", "NotFound"},
		{"pass", "ApplyFailed", "ApplyFailed"},
	} {
		found := collector.find(want.path, want.about)
		if len(found) == 0 {
			t.Errorf("no span %s of %s", want.path, want.about)
			continue
		}
		s := found[0]
		failed := s.Status.GetCode() == tracepb.Status_STATUS_CODE_ERROR
		if kind := attributesOf(s.Attributes)["error.type"]; kind != want.errorType || failed != (want.errorType != "") {
			t.Errorf("%s of %s has error.type %q and status %v, want %q", want.path, want.about, kind, s.Status, want.errorType)
		}
	}
	for _, s := range collector.spans {
		if path := collector.path(s); !strings.HasPrefix(path, "pass") || s.EndTimeUnixNano < s.StartTimeUnixNano {
			t.Errorf("the span %s is not of a pass, or ends before it begins: %v", path, s)
		}
	}
	if r := collector.resource; r["service.name"] != "kilter" || r["service.version"] == "" || r["deployment.environment.name"] != "test" {
		t.Errorf("the resource is %v", r)
	}
	if collector.token != "Bearer "+credential {
		t.Error("the collector was not told who sends")
	}
	if strings.Contains(collector.bodies.String(), canary) {
		t.Error("a credential is in a trace")
	}
	if strings.Contains(collector.bodies.String(), server.URL("workloads")) {
		t.Error("the repository's URL is in a trace, although no fetch failed")
	}
}
