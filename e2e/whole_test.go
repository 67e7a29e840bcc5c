package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// TestWatchedWhole follows what the health of a custom resource and of a bare Pod comes to: what depends on them waits, and goes ahead when
// they are well. Every watch streams its first list; built-in kinds come in protobuf. A status that changes nothing but words
// that nobody reads costs no request. It is not parallel, because of its CRD.
func TestWatchedWhole(t *testing.T) {
	ctx, c := newCluster(t)
	ns := c.namespace(t, "whole")
	group := ns + ".example.com"
	c.definePipelines(ctx, t, group)
	var mu sync.Mutex
	seen := map[string]string{} // resource -> the query and what was accepted, of the first request for it
	var requests []string
	kubeconfig := c.proxied(t, func(r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		resource := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
		// The watch of the parent, and the first look at what the CronJob has started, may still be on their way; and Events are told.
		if r.URL.Query().Get("watch") == "" && resource != "jobs" && resource != "events" {
			requests = append(requests, r.Method+" "+r.URL.RequestURI())
		}
		if _, known := seen[resource]; !known && strings.Contains(r.URL.RawQuery, "labelSelector") {
			seen[resource] = r.URL.RawQuery + " " + r.Header.Get("Accept")
		}
	})
	repo, url := repository(t, fstest.MapFS{
		"prod/pipeline.yaml": file("apiVersion: " + group + "/v1\nkind: Pipeline\nmetadata: {name: build}\n"),
		"prod/pod.yaml": file("apiVersion: v1\nkind: Pod\nmetadata: {name: bare}\n" +
			"spec: {schedulingGates: [{name: example.com/wait}], containers: [{name: a, image: \"a:1\"}]}\n"),
		"prod/cron.yaml": file("apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: nightly}\nspec: {schedule: 0 3 1 1 *, startingDeadlineSeconds: 600, " +
			"jobTemplate: {spec: {backoffLimit: 1, activeDeadlineSeconds: 60, template: {spec: {restartPolicy: Never, containers: [{name: a, image: \"a:1\"}]}}}}}\n"),
	})
	run := kilter(t, "run", "-f", syncFile(t, ns, url, ""), "--kubeconfig", kubeconfig, "--allow-insecure-git")
	line(ctx, t, run, "3 objects: 2 current, 1 in progress")

	pipelines := c.dynamic.Resource(schema.GroupVersionResource{Group: group, Version: "v1", Resource: "pipelines"}).Namespace(ns)
	ready := func(status, message string) {
		t.Helper()
		body := fmt.Appendf(nil, `{"status":{"conditions":[{"type":"Ready","status":%q,"message":%q}]}}`, status, message)
		_, err := pipelines.Patch(ctx, "build", types.MergePatchType, body, metav1.PatchOptions{FieldManager: "controller"}, "status")
		must(t, err)
	}
	mu.Lock()
	before := len(requests)
	mu.Unlock()
	for n := range 50 {
		ready("False", fmt.Sprintf("attempt %d", n))
	}
	ready("False", "2 of 3 members joined")
	// The loop hears of the Pod after all of that.
	_, err := c.CoreV1().Pods(ns).Patch(ctx, "bare", types.MergePatchType, []byte(`{"status":{"phase":"Failed","message":"no room"}}`), metav1.PatchOptions{}, "status")
	must(t, err)
	line(ctx, t, run, "unwell", "Pod "+ns+"/bare", "no room")
	mu.Lock()
	if because := requests[before:]; len(because) > 0 {
		t.Errorf("requests because of a status: %q", because)
	}
	mu.Unlock()

	must(t, repo.Write("prod/after.yaml", strings.Replace(string(configMap("after").Data), "metadata: {", fmt.Sprintf(
		"metadata: {annotations: {config.kubernetes.io/depends-on: %s/namespaces/%s/Pipeline/build}, ", group, ns), 1)))
	push(t, repo)
	line(ctx, t, run, "waits", "ConfigMap "+ns+"/after", "2 of 3 members joined")
	ready("True", "serving")
	line(ctx, t, run, "created", "ConfigMap "+ns+"/after")

	mu.Lock()
	defer mu.Unlock()
	for resource, accept := range map[string]string{
		"pipelines": "application/json", "pods": "application/vnd.kubernetes.protobuf", "cronjobs": "application/vnd.kubernetes.protobuf",
	} {
		if !strings.Contains(seen[resource], "sendInitialEvents=true") || !strings.Contains(seen[resource], " "+accept) {
			t.Errorf("%s are first asked for as %q", resource, seen[resource])
		}
	}
}
