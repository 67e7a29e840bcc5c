package health

import "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

// ReasonNotAvailable is that of an APIService whose server does not answer.
const ReasonNotAvailable = "NotAvailable"

// apiService judges an APIService by its one condition: its kinds can be used once the server behind it answers.
func apiService(u *unstructured.Unstructured) Health {
	available := find(conditionsOf(u), "Available")
	if available.Status == "True" {
		return Health{Current, ReasonAvailable, "its kinds are served"}
	}
	return Health{InProgress, ReasonNotAvailable, available.says("its kinds are not served yet")}
}
