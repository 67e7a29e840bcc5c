package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"

	"kilter.dev/kilter/reconcile"
)

// spansKept is how many spans wait for the collector: those of a pass come all at once, and one that creates 10,000 objects is to be whole.
const spansKept = 20_000

// tracing sends a trace of each pass to a collector, as OpenTelemetry's standard variables say.
type tracing struct {
	*reconcile.Traces                          // nil: nothing is sent
	provider          *sdktrace.TracerProvider // nil as well
}

// newTracing reads the variables. Where they name no collector nothing is started; and where they make no sense, that is told, and Kilter
// works without traces.
func newTracing(ctx context.Context, log *slog.Logger) *tracing {
	wanted, err := tracesWanted()
	if err == nil && !wanted {
		return &tracing{}
	}
	// They quote the variables, which hold the collector's credentials. What is wrong with those shows when spans are sent.
	otel.SetLogger(logr.Discard())
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {}))
	var exporter sdktrace.SpanExporter
	if err == nil {
		exporter, err = newExporter(ctx)
	}
	if err != nil {
		log.Warn("traces", "why", "none are sent: "+err.Error())
		return &tracing{}
	}
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(semconv.ServiceName("kilter"), semconv.ServiceVersion(version)),
		resource.WithFromEnv())
	if err != nil { // about holds what could be read
		log.Warn("traces", "why", "OTEL_RESOURCE_ATTRIBUTES: must be name=value, separated by commas")
	}
	var batch []sdktrace.BatchSpanProcessorOption
	if os.Getenv("OTEL_BSP_MAX_QUEUE_SIZE") == "" {
		batch = append(batch, sdktrace.WithMaxQueueSize(spansKept))
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithResource(about), sdktrace.WithBatcher(&toldOnce{SpanExporter: exporter, log: log}, batch...))
	return &tracing{reconcile.NewTraces(provider, version), provider}
}

// newExporter returns what sends spans by the protocol that the variables name. It sends nothing yet.
func newExporter(ctx context.Context) (sdktrace.SpanExporter, error) {
	switch protocol := ofTraces("PROTOCOL"); protocol {
	case "", "http/protobuf":
		return otlptracehttp.New(ctx)
	case "grpc":
		return otlptracegrpc.New(ctx)
	default:
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL %q: must be http/protobuf or grpc", protocol)
	}
}

// close sends what is left, for five seconds at most.
func (t *tracing) close(ctx context.Context) {
	if t.provider == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_ = t.provider.Shutdown(ctx) // toldOnce has told of what could not be sent
}

// tracesWanted reports whether the environment names a collector, or asks for the default one by OTEL_TRACES_EXPORTER=otlp.
func tracesWanted() (bool, error) {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return false, nil
	}
	asked := false
	switch exporter := os.Getenv("OTEL_TRACES_EXPORTER"); exporter {
	case "":
	case "otlp":
		asked = true
	case "none":
		return false, nil
	default:
		return false, fmt.Errorf("OTEL_TRACES_EXPORTER %q: must be otlp or none", exporter)
	}
	endpoint := ofTraces("ENDPOINT")
	if at, err := url.Parse(endpoint); endpoint != "" && (err != nil || at.Host == "") {
		return false, errors.New("OTEL_EXPORTER_OTLP_ENDPOINT: must be a URL, such as http://collector:4318") // it is not quoted: it may hold a password
	}
	return asked || endpoint != "", nil
}

// ofTraces returns one of the exporter's variables: that of traces, or else that of all signals.
func ofTraces(name string) string {
	if value := os.Getenv("OTEL_EXPORTER_OTLP_TRACES_" + name); value != "" {
		return value
	}
	return os.Getenv("OTEL_EXPORTER_OTLP_" + name)
}

// toldOnce logs that spans cannot be sent, and that they can be again; not each time.
type toldOnce struct {
	sdktrace.SpanExporter
	log     *slog.Logger
	failing atomic.Bool
}

// ExportSpans sends spans. What cannot be sent is lost.
func (e *toldOnce) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	switch was := e.failing.Swap(err != nil); {
	case err != nil && !was:
		e.log.Warn("traces", "why", "cannot send them: "+err.Error())
	case err == nil && was:
		e.log.Info("traces", "why", "they are sent again")
	}
	return nil
}
