package reconcile

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
)

// What OpenTelemetry's semantic conventions have no name for. They are listed in docs/traces.md.
const (
	syncNamespaceKey = attribute.Key("kilter.sync.namespace")
	syncNameKey      = attribute.Key("kilter.sync.name")
	reasonKey        = attribute.Key("kilter.reason")
	objectsKey       = attribute.Key("kilter.objects")
	objectKey        = attribute.Key("kilter.object")
	originKey        = attribute.Key("kilter.origin")
	driftKey         = attribute.Key("kilter.drift")
)

// objectNames are the attributes for the names of those kinds that the semantic conventions know.
var objectNames = map[string]attribute.Key{
	"batch/CronJob": semconv.K8SCronJobNameKey, "apps/DaemonSet": semconv.K8SDaemonSetNameKey, "apps/Deployment": semconv.K8SDeploymentNameKey,
	"batch/Job": semconv.K8SJobNameKey, "apps/StatefulSet": semconv.K8SStatefulSetNameKey, "/Service": semconv.K8SServiceNameKey,
	"autoscaling/HorizontalPodAutoscaler": semconv.K8SHPANameKey, "/PersistentVolumeClaim": semconv.K8SPersistentvolumeclaimNameKey,
}

// Traces tells of each pass as an OpenTelemetry trace: a span of the pass, one of each of its phases in it, and one of each write in
// the phase that sent it. Like everything that people see, it is made of the Result, when the pass is over.
type Traces struct{ tracer trace.Tracer }

// NewTraces returns the traces that go to a provider.
func NewTraces(provider trace.TracerProvider, version string) *Traces {
	return &Traces{provider.Tracer("kilter.dev/kilter/reconcile", trace.WithInstrumentationVersion(version), trace.WithSchemaURL(semconv.SchemaURL))}
}

// Observe tells of one pass of a Sync. Nil Traces tell nobody.
func (t *Traces) Observe(sync *v1alpha1.Sync, r *Result) {
	if t == nil {
		return
	}
	began := r.Started
	if len(r.Phases) > 0 && r.Phases[0].Began.Before(began) {
		began = r.Phases[0].Began // the look at the repository
	}
	ctx, pass := t.tracer.Start(context.Background(), "pass", trace.WithTimestamp(began), trace.WithAttributes(ofPass(sync, r)...))
	for _, phase := range r.Phases {
		ended := phase.Began.Add(phase.Took)
		ctx, span := t.tracer.Start(ctx, phase.Name, trace.WithTimestamp(phase.Began))
		for _, change := range r.Changes {
			if change.Tried && phase.Name == phaseOf(change.Op) {
				t.write(ctx, change)
			}
		}
		if phase.Name == "fetch" && r.FetchError != nil {
			fail(span, classOf(r.FetchError), r.FetchError.Error())
		}
		span.End(trace.WithTimestamp(ended))
	}
	if reason := r.Reason(); bad(reason) {
		fail(pass, string(reason), r.Message())
	}
	pass.End(trace.WithTimestamp(r.Finished))
}

// write tells of one write, with the waiting for the throttle left out.
func (t *Traces) write(ctx context.Context, c Change) {
	_, span := t.tracer.Start(ctx, string(c.Op)+" "+c.ID.Kind, trace.WithTimestamp(c.Done.Add(-c.Took)), trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(ofChange(c)...))
	if c.Failure != nil {
		fail(span, c.Failure.Reason, c.Failure.Text)
	}
	span.End(trace.WithTimestamp(c.Done))
}

// phaseOf is the phase that does it.
func phaseOf(op diff.Op) string {
	if op == diff.Delete {
		return "prune"
	}
	return "apply"
}

func ofPass(sync *v1alpha1.Sync, r *Result) []attribute.KeyValue {
	all := []attribute.KeyValue{
		syncNamespaceKey.String(sync.Namespace), syncNameKey.String(sync.Name), reasonKey.String(string(r.Reason())), objectsKey.Int(r.Objects),
	}
	// As in status: "main@sha1:<commit>", and without a name where the Sync names the commit.
	if name, commit, ok := strings.Cut(r.Attempted, "sha1:"); ok {
		all = append(all, semconv.VCSRefHeadRevision(commit))
		if name != "" {
			all = append(all, semconv.VCSRefHeadName(strings.TrimSuffix(name, "@")))
		}
	}
	return all
}

func ofChange(c Change) []attribute.KeyValue {
	all := []attribute.KeyValue{objectKey.String(c.ID.String())}
	if c.ID.Namespace != "" {
		all = append(all, semconv.K8SNamespaceName(c.ID.Namespace))
	}
	if key, ok := objectNames[c.ID.Group+"/"+c.ID.Kind]; ok {
		all = append(all, key.String(c.ID.Name))
	}
	if c.Object != nil && c.Object.Origin != (manifests.Origin{}) {
		all = append(all, originKey.String(c.Object.Origin.String()))
	}
	if c.Drifted {
		all = append(all, driftKey.Bool(true))
	}
	return all
}

// fail marks a span as failed, for a reason from a closed set and in words without any value.
func fail(span trace.Span, reason, text string) {
	span.SetAttributes(semconv.ErrorTypeKey.String(reason))
	span.SetStatus(codes.Error, text)
}
