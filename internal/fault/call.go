package fault

import (
	"net/http"
	"path"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/endpoints/request"
)

// Call is one request in Kubernetes' words: "apply configmaps/app", "list jobs", "patch syncs/shop/status". A request that would change
// something and must not, a dry run, has the verb "try"; what is no object is "get /apis/batch/v1". Of a Git server there are "git refs" and
// "git fetch".
type Call struct {
	Verb, Object string
	Namespace    string // empty for the cluster scope, and of Git
	Status       int    // of the answer; 0 as long as there is none, and when it was lost
	Done         bool   // the server has done what it was asked: its answer was a success, whoever heard it
}

// Is reports whether verb and object, which may be patterns of path.Match, match the call.
func (c Call) Is(verb, object string) bool {
	v, _ := path.Match(verb, c.Verb)
	o, _ := path.Match(object, c.Object)
	return v && (o || object == "*")
}

// Count returns how many of the calls match.
func Count(calls []Call, verb, object string) (n int) {
	for _, call := range calls {
		if call.Is(verb, object) {
			n++
		}
	}
	return n
}

// Writes reports whether the call changes an object. Events are notes to people and do not count.
func (c Call) Writes() bool {
	switch c.Verb {
	case "create", "update", "patch", "apply", "delete", "deletecollection":
		return c.Object != "events" && !strings.HasPrefix(c.Object, "events/")
	}
	return false
}

// String renders the call as a scenario names it.
func (c Call) String() string { return c.Verb + " " + c.Object }

var requests = &request.RequestInfoFactory{APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api")}

// callOf names a request.
func callOf(r *http.Request) Call {
	switch {
	case strings.HasSuffix(r.URL.Path, "/info/refs"):
		return Call{Verb: "git", Object: "refs"}
	case strings.HasSuffix(r.URL.Path, "/git-upload-pack"):
		return Call{Verb: "git", Object: "fetch"}
	}
	info, err := requests.NewRequestInfo(r)
	if err != nil || !info.IsResourceRequest {
		return Call{Verb: strings.ToLower(r.Method), Object: r.URL.Path}
	}
	call := Call{Verb: info.Verb, Object: info.Resource, Namespace: info.Namespace}
	for _, part := range []string{info.Name, info.Subresource} {
		if part != "" {
			call.Object += "/" + part
		}
	}
	if info.Resource == "namespaces" {
		call.Namespace = "" // of the object itself, which is in none
	}
	switch {
	case r.URL.Query().Get("dryRun") != "":
		call.Verb = "try"
	case strings.HasPrefix(r.Header.Get("Content-Type"), string(types.ApplyPatchType)):
		call.Verb = "apply"
	}
	return call
}
