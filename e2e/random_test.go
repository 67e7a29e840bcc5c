package e2e

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"kilter.dev/kilter/internal/gitserver"
	"kilter.dev/kilter/reconcile/inventory"
)

var rounds = flag.Int("rounds", 10, "commits that TestRandomEdits makes")

// randomKind is a kind whose manifests are made at random. Each choice is a list of fragments, one of which stands in a manifest of the kind:
// so an edit adds, changes and removes fields, and switches what cannot be switched in one step. No object starts a pod: Jobs are suspended.
type randomKind struct {
	apiVersion string
	resource   string
	choices    [][]string
}

var (
	data   = []string{"data: {a: MQ==}", "data: {a: Mg==, b: Mw==}", "data: {b: NA==}", ""}
	podOfX = "  selector: {matchLabels: {app: x}}\n  template:\n    metadata: {labels: {app: x}}\n    spec:\n      nodeSelector: {no-such: node}\n"
	images = []string{
		podOfX + container("x:1", ""), podOfX + container("x:2", ", env: [{name: A, value: b}]"),
		podOfX + container("x:2", ", env: [{name: C, value: d}, {name: A, value: c}]"),
	}
)

func container(image, more string) string {
	return fmt.Sprintf("      containers: [{name: x, image: %q%s}]", "registry.example/"+image, more)
}

var randomKinds = map[string]randomKind{
	"ConfigMap":      {"v1", "configmaps", [][]string{data}},
	"Secret":         {"v1", "secrets", [][]string{data}},
	"ServiceAccount": {"v1", "serviceaccounts", [][]string{{"", "automountServiceAccountToken: false", "imagePullSecrets: [{name: a}, {name: b}]"}}},
	"Service": {"v1", "services", [][]string{
		{"spec:\n  ports: [{name: a, port: 80}]", "spec:\n  ports: [{name: b, port: 81}, {name: a, port: 80, targetPort: 8080}]"},
		{"", "  selector: {app: x}", "  sessionAffinity: ClientIP", "  publishNotReadyAddresses: true"},
	}},
	"LimitRange": {"v1", "limitranges", [][]string{
		{"spec:\n  limits: [{type: Container, max: {cpu: 2}}]", "spec:\n  limits: [{type: Container, default: {cpu: 500m}}]"},
	}},
	"Role": {"rbac.authorization.k8s.io/v1", "roles", [][]string{{
		`rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]`, `rules: [{apiGroups: [""], resources: [pods, secrets], verbs: [get, list]}]`, "rules: []",
	}}},
	"RoleBinding": {"rbac.authorization.k8s.io/v1", "rolebindings", [][]string{
		{"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}", "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}"},
		{"subjects: [{kind: ServiceAccount, name: default}]", "subjects: [{kind: ServiceAccount, name: default}, {kind: User, apiGroup: rbac.authorization.k8s.io, name: u}]"},
	}},
	"NetworkPolicy": {"networking.k8s.io/v1", "networkpolicies", [][]string{
		{"spec:\n  podSelector: {}", "spec:\n  podSelector: {matchLabels: {app: x}}"},
		{"", "  policyTypes: [Egress]", "  policyTypes: [Ingress, Egress]\n  egress: [{ports: [{port: 53, protocol: UDP}]}]"},
	}},
	"PodDisruptionBudget": {"policy/v1", "poddisruptionbudgets", [][]string{
		{"spec:\n  selector: {matchLabels: {app: x}}"}, {"  minAvailable: 1", "  maxUnavailable: 1", "  maxUnavailable: 10%"},
	}},
	"Lease": {"coordination.k8s.io/v1", "leases", [][]string{{"spec: {holderIdentity: a}", "spec: {holderIdentity: b, leaseDurationSeconds: 10}", "spec: {}"}}},
	"Deployment": {"apps/v1", "deployments", [][]string{
		{"spec:\n  replicas: 0"}, {"", "  strategy: {type: Recreate}", "  strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 2}}", "  minReadySeconds: 3"}, images,
	}},
	"StatefulSet": {"apps/v1", "statefulsets", [][]string{
		{"spec:\n  replicas: 0"},
		{"", "  updateStrategy: {type: OnDelete}", "  updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 1}}"},
		{"  serviceName: a", "  serviceName: b"},
		images,
	}},
	"DaemonSet": {"apps/v1", "daemonsets", [][]string{
		{"spec:"}, {"", "  updateStrategy: {type: OnDelete}", "  updateStrategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 2}}"}, images,
	}},
	"Job": {"batch/v1", "jobs", [][]string{
		{"spec:\n  suspend: true"},
		{"", "  backoffLimit: 2", "  ttlSecondsAfterFinished: 60", "  completionMode: Indexed\n  completions: 2"},
		{"  template: {spec: {restartPolicy: Never, containers: [{name: x, image: x}]}}", "  template: {spec: {restartPolicy: OnFailure, containers: [{name: x, image: z}]}}"},
	}},
	"CronJob": {"batch/v1", "cronjobs", [][]string{
		{"spec:\n  suspend: true"},
		{"  schedule: 0 3 * * *", "  schedule: 0 4 * * *\n  timeZone: Europe/Berlin"},
		{"", "  concurrencyPolicy: Forbid", "  startingDeadlineSeconds: 60"},
		{"  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: x, image: x}]}}}}"},
	}},
}

// randomObject is an object of Git: a kind, a name, and which of the choices it has.
type randomObject struct {
	kind, name string
	label      int
	note       bool
	chosen     []int
}

func (m randomObject) file() string {
	return "prod/" + strings.ToLower(m.kind) + "-" + m.name + ".yaml"
}

func (m randomObject) text() string {
	kind := randomKinds[m.kind]
	note := ""
	if m.note {
		note = ", note: noted"
	}
	text := fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata:\n  name: %s\n  labels: {edition: e%d}\n  annotations: {kilter.dev/recreate: allowed%s}\n",
		kind.apiVersion, m.kind, m.name, m.label, note)
	for i, choice := range kind.choices {
		if fragment := choice[m.chosen[i]]; fragment != "" {
			text += fragment + "\n"
		}
	}
	return text
}

func (m randomObject) gvr() schema.GroupVersionResource {
	gv, _ := schema.ParseGroupVersion(randomKinds[m.kind].apiVersion)
	return gv.WithResource(randomKinds[m.kind].resource)
}

// world is what Git holds, by file.
type world struct {
	*rand.Rand
	objects map[string]randomObject
}

// edit changes between one and twelve objects, and returns what it did.
func (w *world) edit(t *testing.T, repo *gitserver.Repo) []string {
	t.Helper()
	var done []string
	put := func(what string, m randomObject) {
		w.objects[m.file()] = m
		must(t, repo.Write(m.file(), m.text()))
		done = append(done, what+" "+m.kind+" "+m.name)
	}
	remove := func(what string, m randomObject) {
		delete(w.objects, m.file())
		must(t, repo.Remove(m.file()))
		done = append(done, what+" "+m.kind+" "+m.name)
	}
	for range 1 + w.IntN(12) {
		files := slices.Sorted(maps.Keys(w.objects))
		if w.IntN(25) >= len(files) { // so there are some twenty
			kinds := slices.Sorted(maps.Keys(randomKinds))
			m := randomObject{kind: kinds[w.IntN(len(kinds))], name: string(rune('p' + w.IntN(4)))}
			w.choose(&m)
			put("put", m)
			continue
		}
		m := w.objects[files[w.IntN(len(files))]]
		switch w.IntN(6) {
		case 0:
			remove("remove", m)
		case 1:
			remove("rename", m)
			m.name += "r"
			put("to", m)
		case 2:
			m.note = !m.note
			put("annotate", m)
		default:
			w.choose(&m)
			put("change", m)
		}
	}
	return done
}

func (w *world) choose(m *randomObject) {
	m.label, m.chosen = w.IntN(3), nil
	for _, choice := range randomKinds[m.kind].choices {
		m.chosen = append(m.chosen, w.IntN(len(choice)))
	}
}

// TestRandomEdits commits at random, lets somebody else change and delete what is there, and kills the program after a random number of its
// writes, again and again. Whenever a run comes to its end, the cluster holds what Git names and nothing else; and in the end each object
// is the one that a namespace gets in which none of this ever happened, field by field and owner by owner.
func TestRandomEdits(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	w := &world{Rand: random(t), objects: map[string]randomObject{}}
	ns := c.namespace(t, "random")
	repo, url := repository(t, fstest.MapFS{"prod/anchor.yaml": configMap("anchor")})
	sync := syncFile(t, ns, url, "  maxPrune: \"100%\"\n")
	kills := 0
	for round := range *rounds {
		t.Logf("round %d: %s", round, strings.Join(append(c.meddle(ctx, t, ns, w), w.edit(t, repo)...), ", "))
		if _, err := repo.Commit(ctx, "Change what chance says"); err != nil { // two edits may have come to nothing
			must(t, repo.Write("note", fmt.Sprint(round)))
			_, err = repo.Commit(ctx, "Change nothing")
			must(t, err)
		}
		must(t, repo.Push(ctx))
		for range w.IntN(3) {
			b := c.newBetween(t, moment{write: 1 + w.IntN(12)})
			if code := b.run(ctx, t, "run", "-f", sync, "--once", "--allow-insecure-git"); code == -1 {
				kills++
			}
		}
		once(ctx, t, 0, "run", "-f", sync, "--once", "--kubeconfig", c.kubeconfig, "--allow-insecure-git")
		c.holds(ctx, t, ns, w)
		if t.Failed() {
			t.FailNow()
		}
	}
	t.Logf("killed %d times; %d objects in the end", kills, len(w.objects))

	fresh := c.namespace(t, "random")
	once(ctx, t, 0, "run", "-f", syncFile(t, fresh, url, ""), "--once", "--kubeconfig", c.kubeconfig, "--allow-insecure-git")
	if diff := cmp.Diff(c.randomState(ctx, t, fresh), c.randomState(ctx, t, ns)); diff != "" {
		t.Errorf("what was edited and killed is not what a new namespace gets (-new +edited):\n%s", diff)
	}
}

// meddle changes or deletes some of the objects that are there.
func (c *cluster) meddle(ctx context.Context, t *testing.T, ns string, w *world) []string {
	t.Helper()
	var done []string
	for _, file := range slices.Sorted(maps.Keys(w.objects)) {
		m := w.objects[file]
		client := c.dynamic.Resource(m.gvr()).Namespace(ns)
		var err error
		chance := w.IntN(8)
		if m.kind == "Job" && chance == 0 {
			continue // while nobody watches: whether its run had ended is not known then, and is said instead of guessed
		}
		switch chance {
		case 0:
			err = client.Delete(ctx, m.name, metav1.DeleteOptions{})
			done = append(done, "somebody deletes "+m.kind+" "+m.name)
		case 1:
			_, err = client.Patch(ctx, m.name, types.MergePatchType, []byte(`{"metadata":{"labels":{"edition":"theirs"}}}`),
				metav1.PatchOptions{FieldManager: "somebody"})
			done = append(done, "somebody edits "+m.kind+" "+m.name)
		}
		if err != nil && !apierrors.IsNotFound(err) {
			t.Fatal(err)
		}
	}
	return done
}

// holds compares the objects of a namespace and the inventory with Git.
func (c *cluster) holds(ctx context.Context, t *testing.T, ns string, w *world) {
	t.Helper()
	want, kinds := map[string]string{"ConfigMap anchor": ""}, map[string]bool{"ConfigMap": true}
	for _, m := range w.objects {
		want[m.kind+" "+m.name] = fmt.Sprintf("e%d %t", m.label, m.note)
		kinds[m.kind] = true
	}
	parent := inventory.Parent{GroupVersion: schema.GroupVersion{Version: "v1"}, Kind: "ConfigMap", Namespace: ns, Name: "kilter-e2e"}
	got := map[string]string{}
	for kind := range randomKinds {
		list, err := c.metadata.Resource(randomObject{kind: kind}.gvr()).Namespace(ns).List(ctx, metav1.ListOptions{})
		must(t, err)
		for i := range list.Items {
			object := &list.Items[i]
			switch id := kind + " " + object.Name; {
			case made[object.Name]:
			case !inventory.Member(parent.ID(), object):
				t.Errorf("%s is not a member of the set", id)
			case object.Name == "anchor":
				got[id] = ""
			default:
				got[id] = fmt.Sprintf("%s %t", object.Labels["edition"], object.Annotations["note"] != "")
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the cluster is not as Git says (-Git +cluster):\n%s", diff)
	}
	stored, err := c.CoreV1().ConfigMaps(ns).Get(ctx, parent.Name, metav1.GetOptions{})
	must(t, err)
	contents, _ := parent.Read(stored.Annotations)
	listed := map[string]bool{}
	for _, kind := range contents.GroupKinds {
		listed[kind.Kind] = true
	}
	if diff := cmp.Diff(kinds, listed); diff != "" {
		t.Errorf("the inventory is not as Git says (-Git +inventory):\n%s", diff)
	}
}

// randomState is the state of every object of a random kind.
func (c *cluster) randomState(ctx context.Context, t *testing.T, ns string) map[string]string {
	t.Helper()
	kinds := map[string]schema.GroupVersionResource{}
	for kind := range randomKinds {
		kinds[kind] = randomObject{kind: kind}.gvr()
	}
	parent := inventory.Parent{GroupVersion: schema.GroupVersion{Version: "v1"}, Kind: "ConfigMap", Namespace: ns, Name: "kilter-e2e"}
	return c.state(ctx, t, kinds, ns, parent.ID())
}
