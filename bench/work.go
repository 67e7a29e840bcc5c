package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/reconcile/inventory"
)

// object is one manifest of the work, in a file of its own.
type object struct {
	kind, name string
	file       string // in the repository
	resource   schema.GroupVersionResource
	text       string // YAML, without a namespace
}

// key is the object's name among all of the work.
func (o object) key() string { return o.kind + "/" + o.name }

// Every object carries this label, so that what else is in a namespace is not counted.
const (
	workLabel = "app.kubernetes.io/part-of"
	workValue = "bench"
)

// kinds are the resources of the work.
var kinds = map[string]schema.GroupVersionResource{
	"CronJob":    {Group: "batch", Version: "v1", Resource: "cronjobs"},
	"ConfigMap":  {Version: "v1", Resource: "configmaps"},
	"Deployment": {Group: "apps", Version: "v1", Resource: "deployments"},
	"Job":        {Group: "batch", Version: "v1", Resource: "jobs"},
	"DaemonSet":  {Group: "apps", Version: "v1", Resource: "daemonsets"},
}

// mixture is the kind of each of ten objects that follow each other.
var mixture = [10]string{
	"CronJob", "ConfigMap", "CronJob", "Deployment", "ConfigMap", "CronJob", "Job", "ConfigMap", "CronJob", "DaemonSet",
}

// newWork returns n objects, a hundred in a directory. None of them ever starts a pod.
func newWork(n int) []object {
	work := make([]object, n)
	for i := range work {
		kind := mixture[i%len(mixture)]
		name := fmt.Sprintf("%s-%05d", strings.ToLower(kind), i)
		work[i] = object{
			kind: kind, name: name, resource: kinds[kind],
			file: fmt.Sprintf("prod/team-%03d/%s.yaml", i/100, name),
			text: strings.ReplaceAll(manifests[kind], "NAME", name),
		}
	}
	return work
}

// ofKind returns the objects of one kind.
func ofKind(work []object, kind string) []object {
	var found []object
	for _, o := range work {
		if o.kind == kind {
			found = append(found, o)
		}
	}
	return found
}

// firstValue is what the key "value" of every ConfigMap holds at first.
const firstValue = "first"

// withValue returns a ConfigMap with another value.
func (o object) withValue(value string) object {
	o.text = strings.Replace(o.text, "value: "+firstValue, "value: "+value, 1)
	return o
}

// body returns what Kilter would send to apply the object: the manifest in its namespace, with two marks.
func (o object) body(namespace string) ([]byte, error) {
	var content map[string]any
	if err := yaml.Unmarshal([]byte(o.text), &content); err != nil {
		return nil, err
	}
	metadata := content["metadata"].(map[string]any)
	metadata["namespace"] = namespace
	metadata["labels"].(map[string]any)[inventory.PartOfLabel] = "applyset-" + strings.Repeat("x", 43) + "-v1"
	metadata["annotations"] = map[string]any{v1alpha1.AppliedAnnotation: strings.Repeat("0", 64)}
	return json.Marshal(content)
}

const podSpec = `
      containers:
      - name: main
        image: registry.example.com/NAME:1.4.2
        args: [--verbose, --shard=3]
        env:
        - {name: LOG_LEVEL, value: info}
        - {name: REGION, value: eu-west-1}
        resources:
          requests: {cpu: 50m, memory: 64Mi}
          limits: {memory: 128Mi}
`

// manifests are a manifest for each kind.
var manifests = map[string]string{
	"ConfigMap": `apiVersion: v1
kind: ConfigMap
metadata:
  name: NAME
  labels: {app.kubernetes.io/name: NAME, app.kubernetes.io/part-of: bench}
data:
  value: ` + firstValue + `
  settings.ini: |
    [server]
    listen = 0.0.0.0:8080
    timeout = 30s
    [database]
    host = db.example.com
    pool = 20
`,
	"CronJob": `apiVersion: batch/v1
kind: CronJob
metadata:
  name: NAME
  labels: {app.kubernetes.io/name: NAME, app.kubernetes.io/part-of: bench}
spec:
  schedule: "15 3 * * *"
  timeZone: Etc/UTC
  suspend: true
  concurrencyPolicy: Forbid
  startingDeadlineSeconds: 600
  jobTemplate:
    spec:
      backoffLimit: 2
      activeDeadlineSeconds: 1800
      template:
        spec:
          restartPolicy: Never` + strings.ReplaceAll(podSpec, "\n", "\n    "),
	"Job": `apiVersion: batch/v1
kind: Job
metadata:
  name: NAME
  labels: {app.kubernetes.io/name: NAME, app.kubernetes.io/part-of: bench}
spec:
  suspend: true
  backoffLimit: 2
  activeDeadlineSeconds: 1800
  template:
    spec:
      restartPolicy: Never` + podSpec,
	"Deployment": `apiVersion: apps/v1
kind: Deployment
metadata:
  name: NAME
  labels: {app.kubernetes.io/name: NAME, app.kubernetes.io/part-of: bench}
spec:
  replicas: 0
  selector:
    matchLabels: {app: NAME}
  template:
    metadata:
      labels: {app: NAME}
    spec:` + podSpec,
	"DaemonSet": `apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: NAME
  labels: {app.kubernetes.io/name: NAME, app.kubernetes.io/part-of: bench}
spec:
  selector:
    matchLabels: {app: NAME}
  template:
    metadata:
      labels: {app: NAME}
    spec:
      nodeSelector: {bench.kilter.dev/no-such-node: "true"}` + podSpec,
}
