package health

import corev1 "k8s.io/api/core/v1"

// ReasonActive is a Namespace's: objects can be created in it.
const ReasonActive = "Active"

// namespace judges a Namespace by its phase. No phase yet means that it was just created, and it takes objects then too.
func namespace(n *corev1.Namespace) Health {
	if n.Status.Phase == corev1.NamespaceTerminating {
		return deleting(n.Finalizers)
	}
	return Health{Current, ReasonActive, "active"}
}
