package verdict

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// open lists the fields whose values may be shown, some with the field around them: they come from closed sets, say when
// something runs, or are addresses and names that others see. Every other string could hold a secret.
var open = []string{
	"accessModes", "action", "addressType", "admissionReviewVersions", "allocationMode", "apiGroup", "apiGroups", "apiVersion",
	"apiVersions", "appProtocol", "cidr", "cidrs", "clusterIP", "clusterIPs", "completionMode", "concurrencyPolicy",
	"controller", "dnsPolicy", "effect", "except", "externalIPs", "externalName", "externalTrafficPolicy", "failurePolicy",
	"fsGroupChangePolicy", "fsGroupPolicy", "group", "handler", "hard", "host", "hosts", "imagePullPolicy",
	"ingressClassName", "internalTrafficPolicy", "ip", "ipFamilies", "ipFamilyPolicy", "kind", "limits", "listKind",
	"loadBalancerClass", "loadBalancerIP", "loadBalancerSourceRanges", "matchPolicy", "maxSurge", "maxUnavailable", "medium",
	"minAvailable", "mountPath", "mountPropagation", "nodeAffinityPolicy", "nodeTaintsPolicy", "nonResourceURLs", "operations",
	"operator", "parameterNotFoundAction", "paths.path", "pathType", "persistentVolumeReclaimPolicy", "plural", "podCIDR",
	"podCIDRs", "podManagementPolicy", "podReplacementPolicy", "policyTypes", "port", "ports.name", "preemptionPolicy",
	"priorityClassName", "procMount", "protocol", "provisioner", "reclaimPolicy", "reinvocationPolicy", "requests", "resource",
	"resources", "restartPolicy", "runtimeClassName", "schedule", "schedulerName", "scheme", "scope", "scopeName",
	"selectPolicy", "sessionAffinity", "sideEffects", "signerName", "singular", "storageClassName", "supplementalGroupsPolicy",
	"targetPort", "terminationMessagePolicy", "timeZone", "topologyKey", "type", "unhealthyPodEvictionPolicy", "usages",
	"validationActions", "verbs", "version", "versions.name", "volumeBindingMode", "volumeLifecycleModes", "volumeMode",
	"whenDeleted",
	"whenScaled", "whenUnsatisfiable",
}

// causes turns the server's errors into causes.
func causes(errs field.ErrorList) []Cause {
	out := make([]Cause, 0, len(errs))
	for _, err := range errs {
		out = append(out, Cause{Field: err.Field, Reason: string(err.Type), Message: message(err)})
	}
	return out
}

// message is field.Error.ErrorBody in k8s.io/apimachinery/pkg/util/validation/field/errors.go, without the bad value where that
// could be a secret.
func message(err *field.Error) string {
	body := err.Type.String()
	detail, _, _ := strings.Cut(err.Detail, "\n") // immutable specs append a diff of the whole, with all values
	if value, shown := show(err); shown {
		body += ": " + value
	} else if hidden, ok := text(err.BadValue); ok {
		detail = mask(detail, hidden)
	}
	if detail != "" {
		body += ": " + detail
	}
	return body
}

// show returns the bad value as the server prints it, or false when the server prints none or it must not be printed here.
func show(err *field.Error) (string, bool) {
	switch err.Type {
	case field.ErrorTypeRequired, field.ErrorTypeForbidden, field.ErrorTypeTooLong, field.ErrorTypeTooShort, field.ErrorTypeInternal:
		return "", false
	}
	value := reflect.Indirect(reflect.ValueOf(err.BadValue))
	switch value.Kind() {
	case reflect.Invalid:
		return "null", true
	case reflect.Bool, reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint32, reflect.Uint64,
		reflect.Float32, reflect.Float64:
		return fmt.Sprint(value), true
	}
	switch v := value.Interface().(type) {
	case resource.Quantity:
		return v.String(), true
	case metav1.Duration:
		return v.Duration.String(), true
	case intstr.IntOrString:
		return v.String(), v.Type == intstr.Int || public(err.Field)
	}
	s, ok := text(err.BadValue)
	if !ok || !public(err.Field) {
		return "", false
	}
	return strconv.Quote(s), true
}

// public reports whether the values of a field may be shown.
func public(path string) bool {
	words := strings.Split(brackets.ReplaceAllLiteralString(path, ""), ".")
	last := words[len(words)-1]
	return slices.Contains(open, last) || len(words) > 1 && slices.Contains(open, words[len(words)-2]+"."+last)
}

// brackets are what a field path says of list entries and map keys.
var brackets = regexp.MustCompile(`\[[^]]*\]`)

// mask removes a value that must not be shown from an explanation that repeats it. Short values are masked only in quotes: they
// may be part of a word.
func mask(detail, value string) string {
	if value == "" {
		return detail
	}
	for _, quoted := range []string{strconv.Quote(value), "'" + value + "'", "`" + value + "`"} {
		detail = strings.ReplaceAll(detail, quoted, "the value")
	}
	if len(value) >= 6 {
		detail = strings.ReplaceAll(detail, value, "the value")
	}
	return detail
}

// text returns the string behind a value: the API has many named string types, and pointers to them.
func text(value any) (string, bool) {
	v := reflect.ValueOf(value)
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if v.Kind() != reflect.String {
		return "", false
	}
	return v.String(), true
}
