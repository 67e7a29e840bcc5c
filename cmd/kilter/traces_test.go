package main

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/reconcile"
)

// What the standard variables come to. Whatever is wrong with them is told without what they hold, and Kilter works without traces.
func TestTracesWanted(t *testing.T) {
	for name, c := range map[string]struct {
		env    map[string]string
		wanted bool
		told   string
	}{
		"nothing is set":           {nil, false, ""},
		"a collector":              {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}, true, ""},
		"one of traces":            {map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9/v1/traces"}, true, ""},
		"the default one":          {map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, true, ""},
		"by gRPC":                  {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, true, ""},
		"the SDK is disabled":      {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"}, false, ""},
		"no exporter":              {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_TRACES_EXPORTER": "none"}, false, ""},
		"metrics have a collector": {map[string]string{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://127.0.0.1:9"}, false, ""},
		"an unknown exporter":      {map[string]string{"OTEL_TRACES_EXPORTER": "zipkin"}, false, `OTEL_TRACES_EXPORTER "zipkin": must be otlp or none`},
		"an unknown protocol": {
			map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
			false,
			`OTEL_EXPORTER_OTLP_PROTOCOL "http/json": must be http/protobuf or grpc`,
		},
		"no URL": {
			map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://user:c4n4ry@bad host"},
			false,
			"OTEL_EXPORTER_OTLP_ENDPOINT: must be a URL, such as http://collector:4318",
		},
		"attributes that are none": {
			map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_RESOURCE_ATTRIBUTES": "c4n4ry"},
			true,
			"OTEL_RESOURCE_ATTRIBUTES: must be name=value, separated by commas",
		},
	} {
		t.Run(name, func(t *testing.T) {
			for variable, value := range c.env {
				t.Setenv(variable, value)
			}
			before := runtime.NumGoroutine()
			var log bytes.Buffer
			traces := newTracing(t.Context(), slog.New(newConsole(&log, slog.LevelInfo)))
			if wanted := traces.Traces != nil; wanted != c.wanted {
				t.Errorf("traces are sent: %v, want %v", wanted, c.wanted)
			}
			if after := runtime.NumGoroutine(); !c.wanted && after > before {
				t.Errorf("%d goroutines were started, although there is no collector", after-before)
			}
			switch told := log.String(); {
			case c.told == "" && told != "" || !strings.Contains(told, c.told):
				t.Errorf("it told %q, want %q", told, c.told)
			case strings.Contains(told, "c4n4ry"):
				t.Errorf("it told what a variable holds: %q", told)
			}
			traces.close(t.Context())
		})
	}
}

// A collector that is away is told of once, and once that it is back.
func TestCollectorAway(t *testing.T) {
	var away atomic.Bool
	away.Store(true)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if away.Load() {
			http.Error(w, "closed for today", http.StatusForbidden)
		}
	}))
	t.Cleanup(server.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	var log bytes.Buffer
	traces := newTracing(t.Context(), slog.New(newConsole(&log, slog.LevelInfo)))
	pass := func(gone bool) {
		away.Store(gone)
		now := time.Now()
		traces.Observe(&v1alpha1.Sync{}, &reconcile.Result{Started: now, Finished: now})
		if err := traces.provider.ForceFlush(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}
	for _, is := range []bool{true, true, false, false} {
		pass(is)
	}
	traces.close(t.Context())
	told := log.String()
	if strings.Count(told, "cannot send them") != 1 || strings.Count(told, "they are sent again") != 1 || strings.Count(told, "\n") != 2 {
		t.Errorf("it told\n%s", told)
	}
}
