{{/* Name of the program's objects: the release's name, with the chart's where it does not say it already. */}}
{{- define "kilter.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{/* Labels that select the pod. They never change in the life of a release. */}}
{{- define "kilter.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Labels of every object. */}}
{{- define "kilter.labels" -}}
{{ include "kilter.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "kilter.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "kilter.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{/* The Lease of who leads, and what gives access to it. */}}
{{- define "kilter.leaseName" -}}
{{ include "kilter.fullname" . | trunc 56 | trimSuffix "-" }}-leader
{{- end }}

{{- define "kilter.image" -}}
{{- $v := .Values.image -}}
{{- if $v.registry }}{{ $v.registry }}/{{ end }}{{ $v.repository -}}
{{- if $v.digest }}@{{ $v.digest }}{{ else }}:{{ default .Chart.AppVersion $v.tag }}{{ end -}}
{{- end }}

{{/* The namespaces of scope "namespace", as {"in": […]}. */}}
{{- define "kilter.namespaces" -}}
{{- dict "in" (.Values.rbac.namespaces | default (list .Release.Namespace) | sortAlpha) | toJson -}}
{{- end }}

{{/*
The one list of kinds that Kilter applies, by API group. Secrets are added where rbac.manageSecrets is true. The API server
still forbids to grant by a Role what Kilter itself may not do.
*/}}
{{- define "kilter.kinds" -}}
"": [configmaps, persistentvolumeclaims, serviceaccounts, services]
apps: [daemonsets, deployments, statefulsets]
autoscaling: [horizontalpodautoscalers]
batch: [cronjobs, jobs]
networking.k8s.io: [ingresses, networkpolicies]
policy: [poddisruptionbudgets]
rbac.authorization.k8s.io: [rolebindings, roles]
{{- end }}

{{/* The cluster-scoped kinds that Kilter applies besides in scope "cluster", by API group. */}}
{{- define "kilter.clusterKinds" -}}
"": [namespaces]
apiextensions.k8s.io: [customresourcedefinitions]
{{- end }}

{{/* Rules to apply the kinds of a YAML map from API group to resources. */}}
{{- define "kilter.applyRules" -}}
{{- range $group, $resources := fromYaml . }}
- apiGroups: [{{ $group | quote }}]
  resources: {{ toJson $resources }}
  verbs: [get, list, watch, create, patch, delete]
{{- end }}
{{- end }}

{{/* Everything that Kilter may do in a namespace. */}}
{{- define "kilter.rules" -}}
# Syncs, their status, and which objects each one owns.
- apiGroups: [kilter.dev]
  resources: [syncs]
  verbs: [get, list, watch, patch, update]
- apiGroups: [kilter.dev]
  resources: [syncs/status]
  verbs: [get, patch, update]
# The records of Jobs' runs, and what they are made from: pods, logs and events.
- apiGroups: [kilter.dev]
  resources: [jobruns]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [kilter.dev]
  resources: [jobruns/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
{{- if .Values.tenancy.defaultServiceAccount }}
# What became of Jobs, which the accounts of the Syncs apply.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get]
{{- else }}
# The kinds it applies.
{{- include "kilter.applyRules" (include "kilter.kinds" .) }}
{{- end }}
{{- if and .Values.rbac.manageSecrets .Values.tenancy.defaultServiceAccount }}
# Credentials of Git repositories.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
{{- else if .Values.rbac.manageSecrets }}
{{- include "kilter.applyRules" "\"\": [secrets]" }}
{{- else if .Values.rbac.credentialSecrets }}
# Credentials of Git repositories.
- apiGroups: [""]
  resources: [secrets]
  resourceNames: {{ toJson (sortAlpha .Values.rbac.credentialSecrets) }}
  verbs: [get]
{{- end }}
# What workloads do.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
- apiGroups: [apps]
  resources: [controllerrevisions] # which of a DaemonSet's templates is the newest
  verbs: [list]
- apiGroups: ["", events.k8s.io]
  resources: [events]
  verbs: [create, patch, list]
# The serviceAccountName of a Sync.
- apiGroups: [""]
  resources: [serviceaccounts]
  {{- with .Values.tenancy.impersonate }}
  resourceNames: {{ toJson (sortAlpha .) }}
  {{- end }}
  verbs: [impersonate]
{{- with .Values.rbac.extraRules }}
# rbac.extraRules
{{ toYaml . }}
{{- end }}
{{- end }}

{{/*
Not empty when the Syncs have to wait for the next upgrade: Helm looks up every kind before it creates anything, so the
release that brings the CRD to a cluster cannot bring a Sync.
*/}}
{{- define "kilter.syncsWait" -}}
{{- if and .Values.crds.install .Release.IsInstall (not (.Capabilities.APIVersions.Has "kilter.dev/v1alpha1/Sync")) -}}
true
{{- end -}}
{{- end }}
