package reconcile

import (
	"errors"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// The messages are the API server's own.
func TestFailureSaysWhatToGrant(t *testing.T) {
	const account = `User "system:serviceaccount:kilter:kilter" cannot `
	const begin = "; give the account a role that allows it, Kilter's own by the chart's values: "
	tests := map[string]struct{ message, want string }{
		"a kind in a namespace": {
			account + `patch resource "cronjobs" in API group "batch" in the namespace "shop"`,
			begin + `shop in rbac.namespaces, and for kinds beyond the chart's rbac.extraRules with {apiGroups: ["batch"], resources: [cronjobs], verbs: [patch]}`,
		},
		"secrets": {
			account + `list resource "secrets" in API group "" in the namespace "shop"`,
			begin + `shop in rbac.namespaces, and rbac.manageSecrets=true, or for credentials its name in rbac.credentialSecrets`,
		},
		"a kind without namespaces": {
			account + `create resource "namespaces" in API group "" at the cluster scope`,
			begin + `rbac.scope=cluster, and for kinds beyond the chart's rbac.extraRules with {apiGroups: [""], resources: [namespaces], verbs: [create]}`,
		},
		"a person": {`User "jane" cannot patch resource "jobs" in API group "batch" in the namespace "shop"`, "; no role of this user allows it"},
		"a quota":  {"exceeded quota: jobs, requested: 1, used: 5, limited: 5", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := apierrors.NewForbidden(schema.GroupResource{Group: "batch", Resource: "cronjobs"}, "a", errors.New(test.message))
			want := `cronjobs.batch "a" is forbidden: ` + test.message + test.want
			if got := newFailure(err, "").Text; got != want {
				t.Errorf("the failure says\n%s\nwant\n%s", got, want)
			}
		})
	}
}
