package health

import corev1 "k8s.io/api/core/v1"

// Reasons of a PersistentVolumeClaim.
const (
	ReasonBound      = "Bound"
	ReasonUnbound    = "Unbound"
	ReasonVolumeLost = "VolumeLost"
)

// claim judges a PersistentVolumeClaim. An unbound one is Current: under WaitForFirstConsumer, which most storage classes use, it
// binds only once a pod asks for it, and that pod's workload is applied after the claim; to wait here would be to wait for ever.
// The claim does not show its class' mode, so an Immediate one that never binds comes to light in the workload that cannot start.
func claim(c *corev1.PersistentVolumeClaim) Health {
	switch c.Status.Phase {
	case corev1.ClaimBound:
		return Health{Current, ReasonBound, "bound"}
	case corev1.ClaimLost:
		return Health{Failed, ReasonVolumeLost, "its volume is gone, and the data with it"}
	}
	return Health{Current, ReasonUnbound, "not bound; it may be waiting for its first pod"}
}
