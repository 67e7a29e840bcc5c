package health

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// OfMetadata judges an object of which only the metadata is known: it is Current when it exists and is not being deleted. That is
// the whole truth for kinds without a status, such as ConfigMap and Role. A nil interface is NotFound.
func OfMetadata(object metav1.Object) Health {
	switch {
	case object == nil:
		return Absent()
	case object.GetDeletionTimestamp() != nil:
		return deleting(object.GetFinalizers())
	}
	return Health{Current, ReasonExists, "exists"}
}
