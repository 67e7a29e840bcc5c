package verdict

import (
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/rest"

	// Each install package registers its group's types, defaults, conversions and declarative validation with legacyscheme. The
	// core group is needed by all that hold a pod template.
	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	_ "k8s.io/kubernetes/pkg/apis/batch/install"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	"k8s.io/kubernetes/pkg/registry/apps/daemonset"
	"k8s.io/kubernetes/pkg/registry/apps/deployment"
	"k8s.io/kubernetes/pkg/registry/apps/statefulset"
	"k8s.io/kubernetes/pkg/registry/batch/cronjob"
	"k8s.io/kubernetes/pkg/registry/batch/job"
)

// linked is one kind whose rules are part of this program.
type linked struct {
	resource string // the plural name in the request's path, which declarative validation reads
	strategy rest.RESTCreateStrategy
}

// kinds is the table of linked kinds. To add one: its strategy here, its group's install package above.
var kinds = map[schema.GroupVersionKind]linked{
	appsv1.SchemeGroupVersion.WithKind("DaemonSet"):   {"daemonsets", daemonset.Strategy},
	appsv1.SchemeGroupVersion.WithKind("Deployment"):  {"deployments", deployment.Strategy},
	appsv1.SchemeGroupVersion.WithKind("StatefulSet"): {"statefulsets", statefulset.Strategy},
	batchv1.SchemeGroupVersion.WithKind("CronJob"):    {"cronjobs", cronjob.Strategy},
	batchv1.SchemeGroupVersion.WithKind("Job"):        {"jobs", job.Strategy},
}
