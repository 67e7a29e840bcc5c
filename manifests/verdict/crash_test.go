package verdict

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// TestCreateSurvivesARuleThatPanics uses the CronJob on which release 1.37 of the API server drops the connection.
func TestCreateSurvivesARuleThatPanics(t *testing.T) {
	const manifest = `{"apiVersion":"batch/v1","kind":"CronJob","metadata":{"name":"a"},"spec":{"schedule":"@hourly","jobTemplate":{"spec":{` +
		`"completionMode":"Indexed","successPolicy":{"rules":[{"succeededCount":2}]},` +
		`"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"a","image":"b"}]}}}}}}`
	got, ok := Create(schema.GroupVersionKind{Group: "batch", Version: "v1", Kind: "CronJob"}, "", []byte(manifest))
	want := Verdict{Causes: []Cause{{Reason: "InternalError", Message: errCrash.Error()}}}
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Errorf("%v, -want +got:\n%s", ok, diff)
	}
}

// TestCreateDedupsOwners gives one controller twice: only two different ones are refused.
func TestCreateDedupsOwners(t *testing.T) {
	const owner = `{"apiVersion":"example.com/v1","kind":"Owner","name":"o","uid":"u","controller":true}`
	const manifest = `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a","ownerReferences":[` + owner + "," + owner + `]},"spec":{` +
		`"selector":{"matchLabels":{"app":"a"}},"template":{"metadata":{"labels":{"app":"a"}},"spec":{"containers":[{"name":"a","image":"b"}]}}}}`
	got, ok := Create(schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}, "", []byte(manifest))
	if !ok || len(got.Causes) != 0 || len(got.Warnings) != 1 {
		t.Errorf("%v, %+v; want one warning", ok, got)
	}
}

// TestPrivilegedContainersAreAllowed, as by every server that runs network plugins or storage drivers.
func TestPrivilegedContainersAreAllowed(t *testing.T) {
	const manifest = `{"apiVersion":"apps/v1","kind":"DaemonSet","metadata":{"name":"a"},"spec":{"selector":{"matchLabels":{"app":"a"}},` +
		`"template":{"metadata":{"labels":{"app":"a"}},"spec":{"containers":[{"name":"a","image":"b","securityContext":{"privileged":true}}]}}}}`
	got, ok := Create(schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "DaemonSet"}, "", []byte(manifest))
	if diff := cmp.Diff(Verdict{}, got); !ok || diff != "" {
		t.Errorf("%v, -want +got:\n%s", ok, diff)
	}
}
