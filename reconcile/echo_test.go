package reconcile

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/rest"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/manifests/verdict"
	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/reconcile/health"
	"kilter.dev/kilter/reconcile/inventory"
)

// echo is as much of an API server as is needed to see what a pass costs by itself: it says which kinds there are, and answers every write
// with the metadata that was written. It stores nothing, and nobody may list or watch there.
type echo struct{ writes atomic.Int64 }

// echoed are the kinds that echo serves, by group and version. A name with a slash in front is that of a kind in no namespace.
var echoed = map[string]map[string]string{
	"v1": {
		"configmaps": "ConfigMap", "secrets": "Secret", "services": "Service", "serviceaccounts": "ServiceAccount", "/namespaces": "Namespace",
	},
	"apps/v1":                   {"deployments": "Deployment", "daemonsets": "DaemonSet"},
	"batch/v1":                  {"jobs": "Job", "cronjobs": "CronJob"},
	"autoscaling/v2":            {"horizontalpodautoscalers": "HorizontalPodAutoscaler"},
	"apiextensions.k8s.io/v1":   {"/customresourcedefinitions": "CustomResourceDefinition"},
	"kilter.dev/v1alpha1":       {"jobruns": "JobRun"},
	"served.example.com/v1beta": {"gadgets": "Gadget"},
}

func (e *echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, grouped := strings.CutPrefix(r.URL.Path, "/apis")
	if !grouped {
		path = strings.TrimPrefix(path, "/api")
	}
	var answer any
	switch resources := echoed[strings.TrimPrefix(path, "/")]; {
	case r.Method != http.MethodGet:
		e.writes.Add(1)
		answer = answerTo(r)
	case path == "/version":
		major, minor, _ := strings.Cut(verdict.Version(), ".")
		answer = version.Info{Major: major, Minor: minor}
	case path == "" && grouped:
		groups := metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}}
		for groupVersion := range echoed {
			if group, version, ok := strings.Cut(groupVersion, "/"); ok {
				served := metav1.GroupVersionForDiscovery{GroupVersion: groupVersion, Version: version}
				groups.Groups = append(groups.Groups, metav1.APIGroup{
					Name: group, Versions: []metav1.GroupVersionForDiscovery{served}, PreferredVersion: served,
				})
			}
		}
		answer = groups
	case path == "":
		answer = metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{"v1"}}
	case resources != nil:
		list := metav1.APIResourceList{GroupVersion: strings.TrimPrefix(path, "/")}
		for name, kind := range resources {
			bare := strings.TrimPrefix(name, "/")
			list.APIResources = append(list.APIResources, metav1.APIResource{Name: bare, Kind: kind, Namespaced: bare == name})
		}
		answer = list
	default:
		http.Error(w, "nobody reads here", http.StatusForbidden)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer) // whoever hangs up fails by itself
}

// answerTo is the answer to a write.
func answerTo(r *http.Request) *metav1.PartialObjectMetadata {
	stored := &metav1.PartialObjectMetadata{}
	if err := json.NewDecoder(r.Body).Decode(stored); err != nil {
		return stored
	}
	stored.TypeMeta = metav1.TypeMeta{Kind: "PartialObjectMetadata", APIVersion: metav1.SchemeGroupVersion.String()}
	stored.ResourceVersion, stored.UID = "2", "uid"
	stored.ManagedFields = []metav1.ManagedFieldsEntry{{
		Manager: inventory.FieldManager, Operation: metav1.ManagedFieldsOperationApply, APIVersion: "v1", FieldsType: "FieldsV1",
		FieldsV1: metav1.NewFieldsV1(`{"f:data":{}}`),
	}}
	return stored
}

// connectEcho starts an echo, and returns the clients for it.
func connectEcho(t testing.TB) *Cluster {
	t.Helper()
	server := httptest.NewServer(&echo{})
	t.Cleanup(server.Close)
	cluster, err := Connect(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	return cluster
}

// newEchoed returns a loop that speaks to an echo, and has not begun.
func newEchoed(t testing.TB, cluster *Cluster, loader *manifests.Loader) *Loop {
	t.Helper()
	sync := &v1alpha1.Sync{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "shop"}}
	sync.Spec.Invalid = v1alpha1.InvalidSkipObject
	sync.Spec.Default()
	l, err := NewLoop(Options{
		Sync: sync, Cluster: cluster, Loader: loader, Publish: func(*Result) {}, Log: slog.New(slog.DiscardHandler), Clock: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	l.observer = newObserver(t.Context(), cluster, cluster, l.parent.ID(), l.ledger.sync)
	l.parent.loaded = true
	return l
}

// asApplied is what a cluster holds of an object that was applied and that nobody has touched since.
func (l *Loop) asApplied(object *manifests.Object) *diff.Live {
	live := &diff.Live{
		ID: object.ID, UID: "uid", ResourceVersion: "1", Member: true, Applied: object.Hash, Fields: "fields of " + object.Hash,
		DependsOn: object.DependsOn, Health: health.Health{Word: health.Current},
	}
	if object.Run != nil {
		live.Job = &diff.JobState{Record: object.ID.Name + "-1", Identity: l.identity(object), Outcome: diff.Complete}
	}
	l.sight.expect(object, live.Fields)
	return live
}

// recordOf is the record of the run that a Job of the loop's is; nil for everything else.
func (l *Loop) recordOf(live *diff.Live) *diff.Live {
	if live.Job == nil {
		return nil
	}
	id := jobRunID(live.ID.Namespace, live.Job.Record)
	return &diff.Live{ID: id, Health: health.Health{Word: health.Current}, Run: &diff.Run{
		Record: id.Name, Sync: l.ledger.sync, Job: live.ID.Name, Number: 1, Identity: live.Job.Identity,
		Outcome: live.Job.Outcome, Created: time.Now(), Started: time.Now(), Told: true,
	}}
}
