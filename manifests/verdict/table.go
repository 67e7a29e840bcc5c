package verdict

import (
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	eventsv1 "k8s.io/api/events/v1"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	networkingv1 "k8s.io/api/networking/v1"
	nodev1 "k8s.io/api/node/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	resourcev1 "k8s.io/api/resource/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	storagemigrationv1 "k8s.io/api/storagemigration/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsinstall "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/install"
	"k8s.io/apiextensions-apiserver/pkg/registry/customresourcedefinition"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/kube-aggregator/pkg/apis/apiregistration"
	apiregistrationinstall "k8s.io/kube-aggregator/pkg/apis/apiregistration/install"
	"k8s.io/kube-aggregator/pkg/registry/apiservice"
	"k8s.io/kubernetes/pkg/api/legacyscheme"

	// Each install package registers its group's types, defaults, conversions and declarative validation with legacyscheme.
	_ "k8s.io/kubernetes/pkg/apis/admissionregistration/install"
	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	_ "k8s.io/kubernetes/pkg/apis/autoscaling/install"
	_ "k8s.io/kubernetes/pkg/apis/batch/install"
	_ "k8s.io/kubernetes/pkg/apis/certificates/install"
	_ "k8s.io/kubernetes/pkg/apis/coordination/install"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	_ "k8s.io/kubernetes/pkg/apis/discovery/install"
	_ "k8s.io/kubernetes/pkg/apis/events/install"
	_ "k8s.io/kubernetes/pkg/apis/flowcontrol/install"
	_ "k8s.io/kubernetes/pkg/apis/networking/install"
	_ "k8s.io/kubernetes/pkg/apis/node/install"
	_ "k8s.io/kubernetes/pkg/apis/policy/install"
	_ "k8s.io/kubernetes/pkg/apis/rbac/install"
	_ "k8s.io/kubernetes/pkg/apis/resource/install"
	_ "k8s.io/kubernetes/pkg/apis/scheduling/install"
	_ "k8s.io/kubernetes/pkg/apis/storage/install"
	_ "k8s.io/kubernetes/pkg/apis/storagemigration/install"
	"k8s.io/kubernetes/pkg/registry/admissionregistration/mutatingadmissionpolicy"
	"k8s.io/kubernetes/pkg/registry/admissionregistration/mutatingadmissionpolicybinding"
	"k8s.io/kubernetes/pkg/registry/admissionregistration/mutatingwebhookconfiguration"
	"k8s.io/kubernetes/pkg/registry/admissionregistration/validatingadmissionpolicy"
	"k8s.io/kubernetes/pkg/registry/admissionregistration/validatingadmissionpolicybinding"
	"k8s.io/kubernetes/pkg/registry/admissionregistration/validatingwebhookconfiguration"
	"k8s.io/kubernetes/pkg/registry/apps/controllerrevision"
	"k8s.io/kubernetes/pkg/registry/apps/daemonset"
	"k8s.io/kubernetes/pkg/registry/apps/deployment"
	"k8s.io/kubernetes/pkg/registry/apps/replicaset"
	"k8s.io/kubernetes/pkg/registry/apps/statefulset"
	"k8s.io/kubernetes/pkg/registry/autoscaling/horizontalpodautoscaler"
	"k8s.io/kubernetes/pkg/registry/batch/cronjob"
	"k8s.io/kubernetes/pkg/registry/batch/job"
	"k8s.io/kubernetes/pkg/registry/certificates/certificates"
	"k8s.io/kubernetes/pkg/registry/certificates/clustertrustbundle"
	"k8s.io/kubernetes/pkg/registry/coordination/lease"
	"k8s.io/kubernetes/pkg/registry/coordination/leasecandidate"
	"k8s.io/kubernetes/pkg/registry/core/configmap"
	"k8s.io/kubernetes/pkg/registry/core/endpoint"
	"k8s.io/kubernetes/pkg/registry/core/event"
	"k8s.io/kubernetes/pkg/registry/core/limitrange"
	"k8s.io/kubernetes/pkg/registry/core/namespace"
	"k8s.io/kubernetes/pkg/registry/core/node"
	"k8s.io/kubernetes/pkg/registry/core/persistentvolume"
	"k8s.io/kubernetes/pkg/registry/core/persistentvolumeclaim"
	"k8s.io/kubernetes/pkg/registry/core/pod"
	"k8s.io/kubernetes/pkg/registry/core/podtemplate"
	"k8s.io/kubernetes/pkg/registry/core/replicationcontroller"
	"k8s.io/kubernetes/pkg/registry/core/resourcequota"
	"k8s.io/kubernetes/pkg/registry/core/secret"
	"k8s.io/kubernetes/pkg/registry/core/serviceaccount"
	"k8s.io/kubernetes/pkg/registry/discovery/endpointslice"
	"k8s.io/kubernetes/pkg/registry/flowcontrol/flowschema"
	"k8s.io/kubernetes/pkg/registry/flowcontrol/prioritylevelconfiguration"
	"k8s.io/kubernetes/pkg/registry/networking/ingress"
	"k8s.io/kubernetes/pkg/registry/networking/ingressclass"
	"k8s.io/kubernetes/pkg/registry/networking/ipaddress"
	"k8s.io/kubernetes/pkg/registry/networking/networkpolicy"
	"k8s.io/kubernetes/pkg/registry/networking/servicecidr"
	"k8s.io/kubernetes/pkg/registry/node/runtimeclass"
	"k8s.io/kubernetes/pkg/registry/policy/poddisruptionbudget"
	"k8s.io/kubernetes/pkg/registry/rbac/clusterrole"
	"k8s.io/kubernetes/pkg/registry/rbac/clusterrolebinding"
	"k8s.io/kubernetes/pkg/registry/rbac/role"
	"k8s.io/kubernetes/pkg/registry/rbac/rolebinding"
	"k8s.io/kubernetes/pkg/registry/resource/deviceclass"
	"k8s.io/kubernetes/pkg/registry/resource/devicetaintrule"
	"k8s.io/kubernetes/pkg/registry/resource/resourceclaim"
	"k8s.io/kubernetes/pkg/registry/resource/resourceclaimtemplate"
	"k8s.io/kubernetes/pkg/registry/resource/resourceslice"
	"k8s.io/kubernetes/pkg/registry/scheduling/podgroup"
	"k8s.io/kubernetes/pkg/registry/scheduling/priorityclass"
	"k8s.io/kubernetes/pkg/registry/scheduling/workload"
	"k8s.io/kubernetes/pkg/registry/storage/csidriver"
	"k8s.io/kubernetes/pkg/registry/storage/csinode"
	"k8s.io/kubernetes/pkg/registry/storage/csistoragecapacity"
	"k8s.io/kubernetes/pkg/registry/storage/storageclass"
	"k8s.io/kubernetes/pkg/registry/storage/volumeattachment"
	"k8s.io/kubernetes/pkg/registry/storage/volumeattributesclass"
	"k8s.io/kubernetes/pkg/registry/storagemigration/storagemigration"
)

// table names the strategy of each kind, by API group, as k8s.io/kubernetes/pkg/registry/*/rest wires them. To add a kind: a row
// here, and its group's install package above.
//
// Not in it: kinds that only exist in alpha, since a server that serves them runs with feature gates that are off here; what is
// answered and not stored (reviews, bindings, evictions); ComponentStatus, which nobody can create; and PodCertificateRequest,
// which only a kubelet can sign.
func table() map[string]map[string]linked {
	return map[string]map[string]linked{
		admissionregistrationv1.GroupName: legacy(map[string]rest.RESTCreateUpdateStrategy{
			"MutatingAdmissionPolicy":          mutatingadmissionpolicy.NewStrategy(nil, resolveNothing),
			"MutatingAdmissionPolicyBinding":   mutatingadmissionpolicybinding.NewStrategy(nil, nil, resolveNothing),
			"MutatingWebhookConfiguration":     mutatingwebhookconfiguration.Strategy,
			"ValidatingAdmissionPolicy":        validatingadmissionpolicy.NewStrategy(nil, resolveNothing),
			"ValidatingAdmissionPolicyBinding": validatingadmissionpolicybinding.NewStrategy(nil, nil, resolveNothing),
			"ValidatingWebhookConfiguration":   validatingwebhookconfiguration.Strategy,
		}),
		appsv1.GroupName: legacy(map[string]rest.RESTCreateUpdateStrategy{
			"ControllerRevision": controllerrevision.Strategy,
			"DaemonSet":          daemonset.Strategy,
			"Deployment":         deployment.Strategy,
			"ReplicaSet":         replicaset.Strategy,
			"StatefulSet":        statefulset.Strategy,
		}),
		autoscalingv2.GroupName: legacy(map[string]rest.RESTCreateUpdateStrategy{
			"HorizontalPodAutoscaler": horizontalpodautoscaler.Strategy,
		}),
		batchv1.GroupName: legacy(map[string]rest.RESTCreateUpdateStrategy{
			"CronJob": cronjob.Strategy,
			"Job":     job.Strategy,
		}),
		certificatesv1.GroupName: legacy(map[string]rest.RESTCreateUpdateStrategy{
			"CertificateSigningRequest": certificates.Strategy,
			"ClusterTrustBundle":        clustertrustbundle.Strategy,
		}),
		coordinationv1.GroupName: legacy(map[string]rest.RESTCreateUpdateStrategy{
			"Lease":          lease.Strategy,
			"LeaseCandidate": leasecandidate.Strategy,
		}),
		corev1.GroupName: withHooks(legacy(map[string]rest.RESTCreateUpdateStrategy{
			"ConfigMap":             configmap.Strategy,
			"Endpoints":             endpoint.Strategy,
			"Event":                 event.Strategy,
			"LimitRange":            limitrange.Strategy,
			"Namespace":             namespace.Strategy,
			"Node":                  node.Strategy,
			"PersistentVolume":      persistentvolume.Strategy,
			"PersistentVolumeClaim": persistentvolumeclaim.Strategy,
			"Pod":                   pod.Strategy,
			"PodTemplate":           podtemplate.Strategy,
			"ReplicationController": replicationcontroller.Strategy,
			"ResourceQuota":         resourcequota.Strategy,
			"Secret":                secret.Strategy,
			"ServiceAccount":        serviceaccount.Strategy,
		})),
		discoveryv1.GroupName: legacy(map[string]rest.RESTCreateUpdateStrategy{
			"EndpointSlice": endpointslice.Strategy,
		}),
		eventsv1.GroupName: legacy(map[string]rest.RESTCreateUpdateStrategy{
			"Event": event.Strategy,
		}),
		flowcontrolv1.GroupName: legacy(map[string]rest.RESTCreateUpdateStrategy{
			"FlowSchema":                 flowschema.Strategy,
			"PriorityLevelConfiguration": prioritylevelconfiguration.Strategy,
		}),
		networkingv1.GroupName: legacy(map[string]rest.RESTCreateUpdateStrategy{
			"IPAddress":     ipaddress.Strategy,
			"Ingress":       ingress.Strategy,
			"IngressClass":  ingressclass.Strategy,
			"NetworkPolicy": networkpolicy.Strategy,
			"ServiceCIDR":   servicecidr.Strategy,
		}),
		nodev1.GroupName: legacy(map[string]rest.RESTCreateUpdateStrategy{
			"RuntimeClass": runtimeclass.Strategy,
		}),
		policyv1.GroupName: legacy(map[string]rest.RESTCreateUpdateStrategy{
			"PodDisruptionBudget": poddisruptionbudget.Strategy,
		}),
		rbacv1.GroupName: legacy(map[string]rest.RESTCreateUpdateStrategy{
			"ClusterRole":        clusterrole.Strategy,
			"ClusterRoleBinding": clusterrolebinding.Strategy,
			"Role":               role.Strategy,
			"RoleBinding":        rolebinding.Strategy,
		}),
		resourcev1.GroupName: legacy(map[string]rest.RESTCreateUpdateStrategy{
			"DeviceClass":           deviceclass.Strategy,
			"DeviceTaintRule":       devicetaintrule.Strategy,
			"ResourceClaim":         resourceclaim.NewStrategy(adminNamespaces{}, nil),
			"ResourceClaimTemplate": resourceclaimtemplate.NewStrategy(adminNamespaces{}),
			"ResourceSlice":         resourceslice.Strategy,
		}),
		schedulingv1.GroupName: legacy(map[string]rest.RESTCreateUpdateStrategy{
			"PodGroup":      podgroup.NewStrategy(),
			"PriorityClass": priorityclass.Strategy,
			"Workload":      workload.Strategy,
		}),
		storagev1.GroupName: legacy(map[string]rest.RESTCreateUpdateStrategy{
			"CSIDriver":             csidriver.Strategy,
			"CSINode":               csinode.Strategy,
			"CSIStorageCapacity":    csistoragecapacity.Strategy,
			"StorageClass":          storageclass.Strategy,
			"VolumeAttachment":      volumeattachment.Strategy,
			"VolumeAttributesClass": volumeattributesclass.Strategy,
		}),
		storagemigrationv1.GroupName: legacy(map[string]rest.RESTCreateUpdateStrategy{
			"StorageVersionMigration": storagemigration.Strategy,
		}),

		// Two servers of their own inside kube-apiserver, each with its own scheme.
		apiextensions.GroupName:   definitions(),
		apiregistration.GroupName: aggregation(),
	}
}

// legacy makes rows of strategies whose types are in legacyscheme: all but those of the two servers within the server.
func legacy(strategies map[string]rest.RESTCreateUpdateStrategy) map[string]linked {
	rows := make(map[string]linked, len(strategies))
	for kind, strategy := range strategies {
		rows[kind] = linked{scheme: legacyscheme.Scheme, strategy: strategy}
	}
	return rows
}

func definitions() map[string]linked {
	scheme := runtime.NewScheme()
	apiextensionsinstall.Install(scheme)
	return map[string]linked{"CustomResourceDefinition": {scheme: scheme, strategy: customresourcedefinition.NewStrategy(scheme)}}
}

func aggregation() map[string]linked {
	scheme := runtime.NewScheme()
	apiregistrationinstall.Install(scheme)
	return map[string]linked{"APIService": {scheme: scheme, strategy: apiservice.NewStrategy(scheme)}}
}
