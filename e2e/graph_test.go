package e2e

import (
	"fmt"
	"path/filepath"
	"testing"
	"testing/fstest"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kilter.dev/kilter/internal/golden"
)

// A lane of the graph: three Jobs in a row, each after the one before, and what may only come once the last of them is done.
//
//	settings, login ─▶ extract ─▶ transform ─▶ load ─▶ report, web
const lane = `apiVersion: v1
kind: ConfigMap
metadata: {name: settings-%[2]d}
data: {lane: "%[2]d"}
---
apiVersion: v1
kind: Secret
metadata: {name: login-%[2]d}
stringData: {password: c4n4ry}
---
apiVersion: batch/v1
kind: Job
metadata: {name: extract-%[2]d}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      serviceAccountName: etl
      containers:
      - name: main
        image: registry.example/etl:1
        envFrom: [{configMapRef: {name: settings-%[2]d}}, {secretRef: {name: login-%[2]d}}]
---
apiVersion: batch/v1
kind: Job
metadata:
  name: transform-%[2]d
  annotations: {config.kubernetes.io/depends-on: batch/namespaces/%[1]s/Job/extract-%[2]d, kilter.dev/recreate: allowed}
spec:
  backoffLimit: 0
  template:
    metadata: {annotations: {devcluster.kilter.dev/exit-code: "%[3]d"}}
    spec: {restartPolicy: Never, containers: [{name: main, image: "registry.example/etl:1"}]}
---
apiVersion: batch/v1
kind: Job
metadata:
  name: load-%[2]d
  annotations: {config.kubernetes.io/depends-on: batch/namespaces/%[1]s/Job/transform-%[2]d}
spec:
  backoffLimit: 0
  template:
    spec: {restartPolicy: Never, containers: [{name: main, image: "registry.example/etl:1"}]}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: report-%[2]d
  annotations: {config.kubernetes.io/depends-on: batch/namespaces/%[1]s/Job/load-%[2]d}
---
apiVersion: v1
kind: Service
metadata: {name: web-%[2]d}
spec: {selector: {app: web-%[2]d}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web-%[2]d
  annotations: {config.kubernetes.io/depends-on: batch/namespaces/%[1]s/Job/load-%[2]d}
spec:
  selector: {matchLabels: {app: web-%[2]d}}
  template:
    metadata: {labels: {app: web-%[2]d}}
    spec: {containers: [{name: web, image: "registry.example/web:1"}]}
`

// What the lanes share, and what needs all of them.
const common = `apiVersion: v1
kind: ServiceAccount
metadata: {name: etl}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: etl}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: etl}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: etl}
subjects: [{kind: ServiceAccount, name: etl}]
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec:
  schedule: "0 3 * * *"
  jobTemplate:
    spec:
      template:
        spec: {restartPolicy: Never, containers: [{name: main, image: "registry.example/etl:1"}]}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {containers: [{name: agent, image: "registry.example/agent:1"}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed}
spec: {podSelector: {}}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: summary
  annotations:
    config.kubernetes.io/depends-on: batch/namespaces/%[1]s/Job/load-1, batch/namespaces/%[1]s/Job/load-2, batch/namespaces/%[1]s/Job/load-3
---
apiVersion: batch/v1
kind: Job
metadata:
  name: publish
  annotations: {config.kubernetes.io/depends-on: /namespaces/%[1]s/ConfigMap/summary}
spec:
  backoffLimit: 0
  template:
    spec: {restartPolicy: Never, containers: [{name: main, image: "registry.example/etl:1"}]}
`

// TestGraph applies 40 objects in four lanes, the second of which fails in its middle Job: everything that does not need it is there and well,
// everything that does waits, and the status names for what. The push that mends the Job brings the rest.
func TestGraph(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	ns := c.namespace(t, "graph")
	files := fstest.MapFS{"prod/common.yaml": file(fmt.Sprintf(common, ns))}
	for i := 1; i <= 4; i++ {
		exit := 0
		if i == 2 {
			exit = 3
		}
		files[fmt.Sprintf("prod/lane-%d.yaml", i)] = file(fmt.Sprintf(lane, ns, i, exit))
	}
	repo, url := repository(t, files)
	planned := plan(ctx, t, 1, "-f", syncFile(t, ns, url, ""), "--kubeconfig", c.kubeconfig, "--exit-code")
	golden.Check(t, filepath.Join("testdata", "graph-plan.txt"), timeless(planned, []string{ns, "NS"}))

	run, sync := c.follow(ctx, t, ns, url, "")
	head, err := repo.Head(ctx)
	must(t, err)
	failed := atRest(ctx, t, sync, head)
	checkStatus(t, "graph-failed.yaml", failed, ns, "NS")
	jobs, err := c.BatchV1().Jobs(ns).List(ctx, metav1.ListOptions{})
	must(t, err)
	if len(jobs.Items) != 11 {
		t.Errorf("%d Jobs, want 3 of each lane less the one that waits", len(jobs.Items))
	}

	must(t, repo.Replace("prod/lane-2.yaml", `exit-code: "3"`, `exit-code: "0"`))
	mended := atRest(ctx, t, sync, push(t, repo))
	checkStatus(t, "graph-mended.yaml", mended, ns, "NS")
	line(ctx, t, run, "created", "Job "+ns+"/publish")
}
