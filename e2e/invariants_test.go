package e2e

import (
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	yamldecoder "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/restmapper"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/internal/fault"
	"kilter.dev/kilter/reconcile/inventory"
)

const (
	// convergence is how long a Sync may take to be as Git says once nothing fails any more: the longest that anything waits after the few failures
	// of a script, and time to act. It is far less than two of the intervals that people set.
	convergence = 15 * time.Second
	// mostWrites bounds how often one and the same thing is written in a script.
	mostWrites = 12
	// restLooks is how many looks at the repository there are in which nothing is written.
	restLooks = 5
)

// parent is the inventory's: the Sync.
func (s *scene) parent() inventory.Parent {
	return inventory.Parent{GroupVersion: v1alpha1.GroupVersion, Kind: v1alpha1.SyncKind, Namespace: s.ns, Name: "e2e"}
}

// plant makes objects that are not Kilter's: one of somebody else, and one with a copy of the set's label, as controllers make them.
func (s *scene) plant() {
	s.applied(s.ctx, s, s.ns, "configmaps", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"theirs"}}`)
	s.applied(s.ctx, s, s.ns, "configmaps", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"copied","labels":{"`+
		inventory.PartOfLabel+`":"`+s.parent().ID()+`"}}}`)
	s.theirs = s.uids(s.ctx, s, s.ns)
}

// survives ends the faults and asserts the invariants I1 to I8 of docs/reliability.md.
func (s *scene) survives([]string) {
	s.survived = true
	if !s.awaited || !s.measured {
		s.Error("I7: the script asks for no condition or for no metric")
	}
	s.mend()
	began := time.Now()
	s.await([]string{"ReconciliationSucceeded"}) // and I8: the process is live and ready
	took := time.Since(began)
	if took > convergence {
		s.Errorf("I4: it took %s to be as Git says", took)
	}
	s.atRest()

	calls := s.api.Calls()
	desired, anew := s.desired()
	now := s.uids(s.ctx, s, s.ns)
	for id, uid := range s.theirs {
		if now[id] != uid {
			s.Errorf("I1: %s is not Kilter's: its UID was %s and is %q", id, uid, now[id])
		}
	}
	writes := map[string]int{}
	for _, call := range calls {
		object := named{call.Object, call.Namespace}
		if call.Verb == "delete" && call.Done && desired[object] && !anew[object] {
			s.Errorf("I2: %s was deleted, and is in Git", call.Object)
		}
		if call.Writes() && !strings.HasSuffix(call.Object, "/status") {
			writes[call.String()]++
		}
	}
	s.inventoried(calls, desired)
	for call, n := range writes {
		if n > mostWrites {
			s.Errorf("I5: %d × %s", n, call)
		}
	}
	if _, text := s.get("/metrics"); strings.Contains(text, canary) {
		s.Error("I6: a metric holds a value of a Secret") // newScene and kilter look at all the rest
	}
	s.Logf("as Git says after %s; %d calls, written: %v", took.Round(time.Millisecond), len(calls), writes)
}

// atRest waits for some looks at the repository, and wants no write meanwhile.
func (s *scene) atRest() {
	writes := func(calls []fault.Call) []fault.Call {
		return slices.DeleteFunc(calls, func(c fault.Call) bool { return !c.Writes() })
	}
	seen, before := len(s.git.Calls()), len(writes(s.api.Calls()))
	must(s, s.git.Until(s.ctx, func(calls []fault.Call) bool { return len(calls) >= seen+restLooks }))
	if more := writes(s.api.Calls())[before:]; len(more) > 0 {
		s.Errorf("I5: all is as Git says, and it writes %q", more)
	}
}

// named is "configmaps/app" in a namespace.
type named struct{ name, namespace string }

// desired returns what the newest commit has, and what of it may be deleted to be made anew: Jobs, and what says so itself.
func (s *scene) desired() (all, anew map[named]bool) {
	groups, err := restmapper.GetAPIGroupResources(s.Discovery())
	must(s, err)
	mapper := restmapper.NewDiscoveryRESTMapper(groups)
	all, anew = map[named]bool{}, map[named]bool{}
	must(s, filepath.WalkDir(filepath.Join(s.repo.Dir, "prod"), func(name string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		defer file.Close()
		for decoder := yamldecoder.NewYAMLOrJSONDecoder(file, 4096); ; {
			var u unstructured.Unstructured
			if err := decoder.Decode(&u.Object); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			if u.Object == nil {
				continue
			}
			mapping, err := mapper.RESTMapping(u.GroupVersionKind().GroupKind(), u.GroupVersionKind().Version)
			if err != nil {
				return err
			}
			in := u.GetNamespace()
			if in == "" && mapping.Scope.Name() == "namespace" {
				in = s.ns
			}
			object := named{mapping.Resource.Resource + "/" + u.GetName(), in}
			all[object] = true
			anew[object] = u.GetKind() == "Job" || u.GetAnnotations()[v1alpha1.RecreateAnnotation] != ""
		}
	}))
	return all, anew
}

// inventoried compares what is the set's in every place where the program has ever written with Git, and with what the inventory lists.
func (s *scene) inventoried(calls []fault.Call, desired map[named]bool) {
	groups, err := restmapper.GetAPIGroupResources(s.Discovery())
	must(s, err)
	mapper := restmapper.NewDiscoveryRESTMapper(groups)
	members, kinds, namespaces := map[named]bool{}, map[string]bool{}, map[string]bool{}
	places := map[named]bool{}
	for _, call := range calls {
		if call.Verb == "apply" && call.Done {
			places[named{strings.Split(call.Object, "/")[0], call.Namespace}] = true
		}
	}
	for place := range places {
		gvr, err := mapper.ResourceFor(schema.GroupVersionResource{Resource: place.name})
		must(s, err)
		list, err := s.metadata.Resource(gvr).Namespace(place.namespace).List(s.ctx, metav1.ListOptions{
			LabelSelector: inventory.PartOfLabel + "=" + s.parent().ID(),
		})
		must(s, err)
		for i := range list.Items {
			if found := &list.Items[i]; inventory.Member(s.parent().ID(), found) {
				members[named{gvr.Resource + "/" + found.Name, found.Namespace}] = true
				kind, err := mapper.KindFor(gvr)
				must(s, err)
				kinds[kind.GroupKind().String()] = true
				namespaces[found.Namespace] = true
			}
		}
	}
	if diff := cmp.Diff(desired, members, cmp.AllowUnexported(named{})); diff != "" {
		s.Errorf("I3, I4: what is in the cluster is not what is in Git (-Git +cluster):\n%s", diff)
	}
	var sync v1alpha1.Sync
	must(s, s.sync.Client.Get().Namespace(s.ns).Resource(s.sync.Resource).Name(s.sync.Name).Do(s.ctx).Into(&sync))
	contents, _ := s.parent().Read(sync.Annotations)
	listed := map[string]bool{}
	for _, kind := range contents.GroupKinds {
		listed[kind.String()] = true
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		if !listed[kind] {
			s.Errorf("I3: the inventory does not list %s: %v", kind, contents)
		}
	}
	for namespace := range namespaces {
		if namespace != "" && namespace != s.ns && !slices.Contains(contents.Namespaces, namespace) {
			s.Errorf("I3: the inventory does not list namespace %s: %v", namespace, contents)
		}
	}
}
