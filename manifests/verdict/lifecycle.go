package verdict

import (
	"strconv"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// release is the minor version whose rules are linked: Kubernetes 1.37.
const release = 37

// removed follows the lifecycle methods that Kubernetes generates for its API types from their
// "+k8s:prerelease-lifecycle-gen" markers.
func removed(gvk schema.GroupVersionKind) (string, schema.GroupVersionKind, bool) {
	obj, err := builtin.New(gvk)
	if err != nil {
		return "", schema.GroupVersionKind{}, false
	}
	marked, ok := obj.(interface{ APILifecycleRemoved() (major, minor int) })
	if !ok {
		return "", schema.GroupVersionKind{}, false
	}
	major, minor := marked.APILifecycleRemoved()
	if major > 1 || minor > release {
		return "", schema.GroupVersionKind{}, false
	}
	var replacement schema.GroupVersionKind
	if replaced, ok := obj.(interface {
		APILifecycleReplacement() schema.GroupVersionKind
	}); ok {
		replacement = replaced.APILifecycleReplacement()
	}
	return strconv.Itoa(major) + "." + strconv.Itoa(minor), replacement, true
}
