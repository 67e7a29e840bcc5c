package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"k8s.io/client-go/rest"
)

// What the API server tells of itself.
const (
	requestsMetric   = "apiserver_request_total"
	dispatchedMetric = "apiserver_flowcontrol_dispatched_requests_total"
	cpuMetric        = "process_cpu_seconds_total"
)

// reading is what the API server has counted since it started.
type reading struct {
	cpu    float64            // seconds of processor time
	byFlow map[string]float64 // requests by FlowSchema, watches included
	byVerb map[string]float64 // requests of anybody for what Kilter writes, status updates aside; a watch counts when it ends
}

// since returns what was counted between two readings.
func (r reading) since(before reading) reading {
	minus := func(now, before map[string]float64) map[string]float64 {
		difference := map[string]float64{}
		for key, value := range now {
			if value > before[key] {
				difference[key] = value - before[key]
			}
		}
		return difference
	}
	return reading{cpu: r.cpu - before.cpu, byFlow: minus(r.byFlow, before.byFlow), byVerb: minus(r.byVerb, before.byVerb)}
}

// writes returns how many of the requests change something.
func (r reading) writes() float64 {
	sum := 0.0
	for verb, n := range r.byVerb {
		if !reads[verb] {
			sum += n
		}
	}
	return sum
}

// reads are the verbs that change nothing.
var reads = map[string]bool{"GET": true, "LIST": true, "WATCH": true}

// writable are the resources whose requests are told apart by verb: the work, and what Kilter keeps for itself.
var writable = map[string]bool{
	"cronjobs": true, "configmaps": true, "deployments": true, "jobs": true, "daemonsets": true,
	"syncs": true, "jobruns": true, "events": true,
}

// read asks the API server for its metrics.
func (c *cluster) read(ctx context.Context) (reading, error) {
	r := reading{byFlow: map[string]float64{}, byVerb: map[string]float64{}}
	stream, err := c.kubernetes.Discovery().RESTClient().Get().AbsPath("/metrics").Stream(ctx)
	if err != nil {
		return r, fmt.Errorf("cannot read the API server's metrics: %w", err)
	}
	defer stream.Close()
	all, err := counters(stream, requestsMetric, dispatchedMetric, cpuMetric)
	if err != nil {
		return r, fmt.Errorf("cannot read the API server's metrics: %w", err)
	}
	for _, s := range all {
		switch {
		case s.name == cpuMetric:
			r.cpu += s.value
		case s.name == dispatchedMetric:
			r.byFlow[s.labels["flow_schema"]] += s.value
		case writable[s.labels["resource"]] && (s.labels["subresource"] == "" || s.labels["group"] == "kilter.dev"):
			r.byVerb[s.labels["verb"]] += s.value
		}
	}
	return r, nil
}

// The API server is quiet when it used less than so many of its seconds in one; and nobody waits longer for that.
const (
	quietShare = 0.2
	quietWait  = time.Minute
)

// quiet returns when the API server has come to rest: controllers go on for a while after many objects have come or gone, on the same cores, and
// what takes milliseconds must not pay for that. Where others use the cluster too it may never rest.
func (c *cluster) quiet(ctx context.Context) error {
	end := time.Now().Add(quietWait)
	before, err := c.read(ctx)
	for err == nil && time.Now().Before(end) {
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
		var after reading
		after, err = c.read(ctx)
		if after.since(before).cpu < quietShare {
			break
		}
		before = after
	}
	return err
}

// series is one counter or gauge.
type series struct {
	name   string
	labels map[string]string
	value  float64
}

// counters returns the series of a few metrics out of a text that holds many.
func counters(text io.Reader, names ...string) ([]series, error) {
	var wanted bytes.Buffer
	lines := bufio.NewScanner(text)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		for _, name := range names {
			line := lines.Text()
			if strings.HasPrefix(line, name+"{") || strings.HasPrefix(line, name+" ") {
				fmt.Fprintln(&wanted, line)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(&wanted)
	if err != nil {
		return nil, err
	}
	var all []series
	for name, family := range families {
		for _, metric := range family.GetMetric() {
			s := series{name: name, labels: map[string]string{}, value: metric.GetUntyped().GetValue()}
			for _, label := range metric.GetLabel() {
				s.labels[label.GetName()] = label.GetValue()
			}
			all = append(all, s)
		}
	}
	return all, nil
}

// queuedBy returns when the server queues the account's requests by a FlowSchema, which it names in every answer.
func (a *account) queuedBy(ctx context.Context, schemaUID string) error {
	client, err := rest.HTTPClientFor(a.config)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.config.Host+"/version", nil)
		if err != nil {
			return err
		}
		answer, err := client.Do(request)
		if err != nil {
			return fmt.Errorf("waiting for FlowSchema %s: %w", a.flowSchema, err)
		}
		_ = answer.Body.Close()
		if answer.Header.Get("X-Kubernetes-Pf-Flowschema-Uid") == schemaUID {
			return nil
		}
		time.Sleep(50 * time.Millisecond) // nothing announces it
	}
}
