package health

import "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

// Reasons of a CustomResourceDefinition.
const (
	ReasonEstablished      = "Established"
	ReasonNotEstablished   = "NotEstablished"
	ReasonNamesNotAccepted = "NamesNotAccepted"
)

// crd judges a CustomResourceDefinition: Current when its kind is served. It reads conditions only, so any version of the type
// will do. Names that another definition holds are Failed: they stay refused until somebody renames or deletes one of the two.
func crd(u *unstructured.Unstructured) Health {
	conditions := conditionsOf(u)
	names, established := find(conditions, "NamesAccepted"), find(conditions, "Established")
	switch {
	case names.Status == "False":
		return Health{Failed, ReasonNamesNotAccepted, names.says("its names are not accepted")}
	case names.Status == "True" && established.Status == "True":
		return Health{Current, ReasonEstablished, "its kind is served"}
	}
	return Health{InProgress, ReasonNotEstablished, established.says("its kind is not served yet")}
}
