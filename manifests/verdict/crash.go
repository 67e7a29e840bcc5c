package verdict

import (
	"errors"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

var errCrash = errors.New("the API server's own rules fail on this object (a defect in Kubernetes), so it cannot be stored: " +
	"look for a field that another one needs, such as completions in a Job template that is Indexed")

// survive turns a panic of the linked rules into a refusal. The server's request ends in the same panic and stores nothing:
// release 1.37 does so for a CronJob whose template has a successPolicy and no completions, and for a Job that loses its completions.
func survive(verdict func() Verdict) (v Verdict) {
	defer func() {
		if recover() != nil { // the value may hold the object's
			v = refusal("", metav1.CauseType(field.ErrorTypeInternal), errCrash)
		}
	}()
	return verdict()
}
