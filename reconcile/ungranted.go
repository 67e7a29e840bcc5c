package reconcile

import (
	"fmt"
	"regexp"
	"strings"
)

// ungranted is the API server's answer to a request that no role allows: user, verb, resource, API group and namespace, which is empty for
// what is asked at the cluster scope. It follows k8s.io/apiserver/pkg/endpoints/handlers/responsewriters/errors.go, forbiddenMessage.
var ungranted = regexp.MustCompile(`User "([^"]*)" cannot (\S+) resource "([^"]*)" in API group "([^"]*)" (?:in the namespace "([^"]*)"|at the cluster scope)`)

// wayToGrant returns what to set for a request that no role allowed, as the end of a sentence; empty for any other answer.
func wayToGrant(message string) string {
	found := ungranted.FindStringSubmatch(message)
	if found == nil {
		return ""
	}
	user, verb, resource, group, namespace := found[1], found[2], found[3], found[4], found[5]
	if !strings.HasPrefix(user, "system:serviceaccount:") {
		return "; no role of this user allows it"
	}
	rule := fmt.Sprintf("{apiGroups: [%q], resources: [%s], verbs: [%s]}", group, resource, verb)
	value := "rbac.extraRules with " + rule
	switch {
	case namespace == "":
		value = "rbac.scope=cluster, and for kinds beyond the chart's " + value
	case resource == "secrets":
		value = namespace + " in rbac.namespaces, and rbac.manageSecrets=true, or for credentials its name in rbac.credentialSecrets"
	default:
		value = namespace + " in rbac.namespaces, and for kinds beyond the chart's " + value
	}
	return "; give the account a role that allows it, Kilter's own by the chart's values: " + value
}
